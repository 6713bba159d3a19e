# MIM on CMU-MOSI: a convolution on text, three layers of self-attention on sound and face.
#     python tools/train.py configs/mim_mosi.py
# The paper fine-tunes BERT with the rest. Here text is BERT's last layer, computed beforehand, so
# numbers are not the paper's. For BERT itself, give text ids (L,), encode them with
# type='HuggingFace', path='<folder of bert-base-uncased>', whose tokens are 768 wide, and set
# width=80 in KnowledgeGuidance, which then projects their mean, as Product does.
_base_ = ['_base_/schedule_mim.py', '_base_/datasets/mosi.py', '_base_/fusion/mim.py']

model = dict(
    encoders=dict(
        text=dict(type='Transformer', in_dim=_base_.widths.text, depth=0),
        audio=dict(type='Transformer', in_dim=_base_.widths.audio),
        vision=dict(type='Transformer', in_dim=_base_.widths.vision),
    )
)
