# Digits on video: small ResNets + transformer, without calibration.
#     python tools/prepare/manifest.py configs/studies/grid_digits_conv.py --data-root DIR \
#         --out cache/grid_digits --side 64
#     python tools/train.py configs/studies/grid_digits_seq.py --data-root DIR \
#         --cache cache/grid_digits
_base_ = [
    '../_base_/runtime_study.py',
    '../_base_/datasets/grid_digits.py',
    '../_base_/fusion/seq.py',
]

data = dict(frames=3)
model = dict(
    encoders=dict(
        audio=dict(type='ResNet', depth=18, in_channels=1, base_channels=8, tokens='time'),
        visual=dict(type='ResNet', depth=18, base_channels=8, tokens='frame'),
    ),
    fuser=dict(width=64, depth=1),
    head=dict(num_classes=_base_.num_classes),
)
train_cfg = dict(max_epochs=10)
param_scheduler = dict(step_size=8)
