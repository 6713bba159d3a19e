# CREMA-D votes: perceptrons + transformer, without calibration.
#     python tools/train.py configs/studies/cremad_votes_seq.py --data-root DIR/cremad_votes.npz
_base_ = [
    '../_base_/runtime_study.py',
    '../_base_/datasets/cremad_votes.py',
    '../_base_/fusion/seq.py',
]

model = dict(
    encoders=dict(
        audio=dict(type='MLP', in_dim=_base_.widths.audio, width=64),
        visual=dict(type='MLP', in_dim=_base_.widths.visual, width=64),
    ),
    fuser=dict(width=64, depth=1),
    head=dict(num_classes=_base_.num_classes),
)
train_cfg = dict(max_epochs=5)
param_scheduler = dict(step_size=4)
