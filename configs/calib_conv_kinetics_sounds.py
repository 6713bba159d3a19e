# ResNet-18 + concatenation on Kinetics-Sounds, calibrated by VGMR.
#     python tools/train.py configs/calib_conv_kinetics_sounds.py
_base_ = ['base_conv_kinetics_sounds.py']

model = dict(calibrator=dict(type='VGMR'))
