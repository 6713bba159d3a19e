# ResNet-18 tokens + transformer on Kinetics-Sounds, not calibrated: 4 frames, 32 steps of sound.
#     python tools/train.py configs/base_seq_kinetics_sounds.py
_base_ = ['_base_/runtime.py', '_base_/datasets/kinetics_sounds.py', '_base_/fusion/seq.py']

data = dict(frames=4)
model = dict(
    encoders=dict(
        audio=dict(type='ResNet', depth=18, in_channels=1, tokens='time'),
        visual=dict(type='ResNet', depth=18, tokens='frame'),
    ),
    head=dict(num_classes=_base_.num_classes),
)
