# The sequence family: tokens of every modality through one transformer.
model = dict(
    type='MultimodalModel', fuser=dict(type='TokenTransformer'), head=dict(type='Classify')
)
