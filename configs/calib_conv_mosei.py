# Means of features + concatenation on CMU-MOSEI, score >= 0 or not, calibrated by VGMR.
#     python tools/train.py configs/calib_conv_mosei.py
_base_ = ['base_conv_mosei.py']

model = dict(calibrator=dict(type='VGMR'))
