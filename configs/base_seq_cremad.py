# ResNet-18 tokens + transformer on CREMA-D, not calibrated: 4 frames and 6 steps of spectrogram.
#     python tools/train.py configs/base_seq_cremad.py
_base_ = ['_base_/runtime.py', '_base_/datasets/cremad.py', '_base_/fusion/seq.py']

data = dict(frames=4)
model = dict(
    encoders=dict(
        audio=dict(type='ResNet', depth=18, in_channels=1, tokens='time'),
        visual=dict(type='ResNet', depth=18, tokens='frame'),
    ),
    head=dict(num_classes=_base_.num_classes),
)
