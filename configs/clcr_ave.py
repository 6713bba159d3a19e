# CLCR on AVE: two ResNet-18 of three levels.
#     python tools/train.py configs/clcr_ave.py
_base_ = ['_base_/schedule_clcr.py', '_base_/datasets/ave.py', '_base_/fusion/clcr.py']

model = dict(
    encoders=dict(
        audio=dict(
            type='Hierarchy', backbone=dict(type='ResNet', depth=18, in_channels=1, tokens='time')
        ),
        visual=dict(type='Hierarchy', backbone=dict(type='ResNet', depth=18, tokens='frame')),
    ),
    head=dict(type='Classify', num_classes=_base_.num_classes),
)

train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
