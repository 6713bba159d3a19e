# ResNet-18 + concatenation on AVE, calibrated by VGMR.
#     python tools/train.py configs/calib_conv_ave.py
_base_ = ['base_conv_ave.py']

model = dict(calibrator=dict(type='VGMR'))
