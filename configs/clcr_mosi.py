# CLCR on CMU-MOSI: three temporal convolutions of three levels, and a number in [-3, 3].
#     python tools/train.py configs/clcr_mosi.py
# The paper's levels of text are early, middle and late layers of BERT. Here text is BERT's last
# layer, computed beforehand, and its levels are those of a temporal convolution, as for sound and
# face. For BERT itself, give text ids (L,) and backbone=dict(type='HuggingFace', path='<folder>').
_base_ = ['_base_/schedule_clcr.py', '_base_/datasets/mosi.py', '_base_/fusion/clcr.py']

model = dict(
    encoders=dict(
        text=dict(type='Hierarchy', backbone=dict(type='TemporalConv', in_dim=_base_.widths.text)),
        audio=dict(
            type='Hierarchy', backbone=dict(type='TemporalConv', in_dim=_base_.widths.audio)
        ),
        vision=dict(
            type='Hierarchy', backbone=dict(type='TemporalConv', in_dim=_base_.widths.vision)
        ),
    ),
    head=dict(type='Regress', kind='l1'),
)

train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(checkpoint=dict(save_best='MAE', rule='less'))
