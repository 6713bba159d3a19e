# Features of AVE's ten seconds + transformer, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_ave_features.py --data-root path/to/features
_base_ = ['base_seq_ave_features.py']

model = dict(calibrator=dict(type='VGMR'))
