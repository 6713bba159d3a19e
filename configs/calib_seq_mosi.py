# Features + transformer on CMU-MOSI, score >= 0 or not, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_mosi.py
_base_ = ['base_seq_mosi.py']

model = dict(calibrator=dict(type='VGMR'))
