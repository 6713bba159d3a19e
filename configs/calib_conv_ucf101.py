# ResNet-18 + concatenation on UCF101, calibrated by VGMR.
#     python tools/train.py configs/calib_conv_ucf101.py
_base_ = ['base_conv_ucf101.py']

model = dict(calibrator=dict(type='VGMR'))
