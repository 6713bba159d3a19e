# Features + transformer on CMU-MOSEI, score >= 0 or not, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_mosei.py
_base_ = ['base_seq_mosei.py']

model = dict(calibrator=dict(type='VGMR'))
