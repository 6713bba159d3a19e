# The order of samples of the three loaders: training draws a new one every epoch.
loader = dict(collate_fn=dict(type='mmcalib.collate'))
still = dict(type='EpochSampler', shuffle=False)
train_dataloader = dict(**loader, sampler=dict(type='EpochSampler'), dataset=dict(split='train'))
val_dataloader = dict(**loader, sampler=still, dataset=dict(split='val'))
test_dataloader = dict(**loader, sampler=still, dataset=dict(split='test'))
del loader, still
