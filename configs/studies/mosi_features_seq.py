# CMU-MOSI features: perceptrons + transformer, without calibration.
#     python tools/train.py configs/studies/mosi_features_seq.py --data-root DIR/mosi_features.npz
_base_ = [
    '../_base_/runtime_study.py',
    '../_base_/datasets/mosi_features.py',
    '../_base_/fusion/seq.py',
]

model = dict(
    encoders=dict(
        text=dict(type='MLP', in_dim=_base_.widths.text, width=64),
        audio=dict(type='MLP', in_dim=_base_.widths.audio, width=64),
        visual=dict(type='MLP', in_dim=_base_.widths.visual, width=64),
    ),
    fuser=dict(width=64, depth=1),
    head=dict(num_classes=_base_.num_classes),
)
train_cfg = dict(max_epochs=4)
param_scheduler = dict(step_size=3)
