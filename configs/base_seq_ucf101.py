# ResNet-18 tokens + transformer on UCF101, without calibration: a token per frame.
#     python tools/train.py configs/base_seq_ucf101.py
_base_ = ['_base_/runtime.py', '_base_/datasets/ucf101.py', '_base_/fusion/seq.py']

model = dict(
    encoders=dict(
        rgb=dict(type='ResNet', depth=18, tokens='frame'),
        flow=dict(type='ResNet', depth=18, in_channels=2, tokens='frame'),
    ),
    head=dict(num_classes=_base_.num_classes),
)
