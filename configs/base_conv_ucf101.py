# ResNet-18 + concatenation on UCF101, without calibration.
#     python tools/train.py configs/base_conv_ucf101.py
_base_ = ['_base_/runtime.py', '_base_/datasets/ucf101.py', '_base_/fusion/conv.py']

model = dict(
    encoders=dict(
        rgb=dict(type='ResNet', depth=18),
        flow=dict(type='ResNet', depth=18, in_channels=2),
    ),
    head=dict(num_classes=_base_.num_classes),
)
