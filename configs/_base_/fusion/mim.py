# MIM: gates on tokens, guidance between modalities, and their product. The paper's sizes are the
# defaults of these components and of the encoder Transformer.
head = dict(type='Regress', kind='l1')
model = dict(
    type='MultimodalModel',
    calibrator=dict(type='KnowledgeGuidance', calibrator=dict(type='UPN'), head=head),
    fuser=dict(type='Product'),
    head=head,
)
del head
