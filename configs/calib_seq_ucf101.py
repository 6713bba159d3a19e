# ResNet-18 tokens + transformer on UCF101, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_ucf101.py
_base_ = ['base_seq_ucf101.py']

model = dict(calibrator=dict(type='VGMR'))
