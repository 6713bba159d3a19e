# CREMA-D votes: perceptrons + concatenation, without calibration.
#     python tools/train.py configs/studies/cremad_votes_conv.py --data-root DIR/cremad_votes.npz
_base_ = [
    '../_base_/runtime_study.py',
    '../_base_/datasets/cremad_votes.py',
    '../_base_/fusion/conv.py',
]

model = dict(
    encoders=dict(
        audio=dict(type='MLP', in_dim=_base_.widths.audio, width=64),
        visual=dict(type='MLP', in_dim=_base_.widths.visual, width=64),
    ),
    head=dict(num_classes=_base_.num_classes),
)
train_cfg = dict(max_epochs=5)
param_scheduler = dict(step_size=4)
