# Spoken and handwritten digits: small ResNets + concatenation, without calibration.
#     python tools/prepare/manifest.py configs/studies/av_digits_conv.py --data-root DIR \
#         --out cache/av_digits
#     python tools/train.py configs/studies/av_digits_conv.py --data-root DIR \
#         --cache cache/av_digits
_base_ = [
    '../_base_/runtime_study.py',
    '../_base_/datasets/av_digits.py',
    '../_base_/fusion/conv.py',
]

model = dict(
    encoders=dict(
        audio=dict(type='ResNet', depth=18, in_channels=1, base_channels=8),
        image=dict(type='ResNet', depth=18, base_channels=8),
    ),
    head=dict(num_classes=_base_.num_classes),
)
train_cfg = dict(max_epochs=5)
param_scheduler = dict(step_size=4)
