# Features of AVE's ten seconds + transformer, without calibration.
#     python tools/train.py configs/base_seq_ave_features.py --data-root path/to/features
_base_ = ['_base_/runtime.py', '_base_/datasets/ave_features.py', '_base_/fusion/seq.py']

model = dict(
    encoders=dict(
        audio=dict(type='Features', dim=_base_.widths.audio),
        visual=dict(type='Features', dim=_base_.widths.visual),
    ),
    head=dict(num_classes=_base_.num_classes),
)
