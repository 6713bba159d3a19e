# Features + transformer on CMU-MOSEI, score >= 0 or not, without calibration.
#     python tools/train.py configs/base_seq_mosei.py
_base_ = ['_base_/runtime.py', '_base_/datasets/mosei.py', '_base_/fusion/seq.py']

data = dict(target='has0')
model = dict(
    encoders=dict(
        text=dict(type='Features', dim=_base_.widths.text),
        audio=dict(type='Features', dim=_base_.widths.audio),
        vision=dict(type='Features', dim=_base_.widths.vision),
    ),
    head=dict(num_classes=2),
)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
