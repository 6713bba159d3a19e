# ResNet-18 + concatenation on CREMA-D, calibrated by VGMR.
#     python tools/train.py configs/calib_conv_cremad.py
_base_ = ['base_conv_cremad.py']

model = dict(calibrator=dict(type='VGMR'))
