# The convolutional family: one vector per modality, concatenated.
model = dict(type='MultimodalModel', fuser=dict(type='Concat'), head=dict(type='Classify'))
