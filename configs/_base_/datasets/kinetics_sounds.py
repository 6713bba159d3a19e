# Kinetics-Sounds: 10 s of sound and three frames, one of 31 actions (the lists of OGM-GE).
num_classes = 31
data = dict(  # shared by the three loaders
    type='KineticsSounds',
    root='data/Kinetics-Sounds',
    frames=3,
    audio=[dict(type='LogSpectrogram')],
)
evaluate = [dict(type='Resize', size=224), dict(type='Normalize')]
loader = dict(
    batch_size=64, num_workers=4, persistent_workers=True, collate_fn=dict(type='mmcalib.collate')
)
train_dataloader = dict(
    **loader,
    sampler=dict(type='EpochSampler'),
    dataset=dict(
        split='train',
        visual=[
            dict(type='RandomResizedCrop', size=224),
            dict(type='RandomFlip'),
            dict(type='Normalize'),
        ],
    ),
)
val_dataloader = dict(
    **loader,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(split='val', visual=evaluate),
)
test_dataloader = dict(
    **loader,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(split='test', visual=evaluate),
)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=64)
del loader, evaluate
