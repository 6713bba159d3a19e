# ResNet-18 tokens + transformer on Kinetics-Sounds, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_kinetics_sounds.py
_base_ = ['base_seq_kinetics_sounds.py']

model = dict(calibrator=dict(type='VGMR'))
