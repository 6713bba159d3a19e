# ResNet-18 + concatenation on Kinetics-Sounds, without calibration.
#     python tools/train.py configs/base_conv_kinetics_sounds.py
_base_ = ['_base_/runtime.py', '_base_/datasets/kinetics_sounds.py', '_base_/fusion/conv.py']

model = dict(
    encoders=dict(
        audio=dict(type='ResNet', depth=18, in_channels=1),
        visual=dict(type='ResNet', depth=18),
    ),
    head=dict(num_classes=_base_.num_classes),
)
