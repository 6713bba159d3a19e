# Means of features + concatenation on CMU-MOSI, score >= 0 or not, calibrated by VGMR.
#     python tools/train.py configs/calib_conv_mosi.py
_base_ = ['base_conv_mosi.py']

model = dict(calibrator=dict(type='VGMR'))
