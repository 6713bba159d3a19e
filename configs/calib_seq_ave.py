# ResNet-18 tokens + transformer on AVE, calibrated by VGMR.
#     python tools/train.py configs/calib_seq_ave.py
_base_ = ['base_seq_ave.py']

model = dict(calibrator=dict(type='VGMR'))
