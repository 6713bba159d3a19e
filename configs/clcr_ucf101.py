# CLCR on UCF101: two ResNet-18 of three levels.
#     python tools/train.py configs/clcr_ucf101.py
_base_ = ['_base_/schedule_clcr.py', '_base_/datasets/ucf101.py', '_base_/fusion/clcr.py']

model = dict(
    encoders=dict(
        rgb=dict(type='Hierarchy', backbone=dict(type='ResNet', depth=18, tokens='frame')),
        flow=dict(
            type='Hierarchy', backbone=dict(type='ResNet', depth=18, in_channels=2, tokens='frame')
        ),
    ),
    head=dict(type='Classify', num_classes=_base_.num_classes),
)
