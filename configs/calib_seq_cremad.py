# ResNet-18 tokens + transformer on CREMA-D, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_cremad.py
_base_ = ['base_seq_cremad.py']

model = dict(calibrator=dict(type='VGMR'))
