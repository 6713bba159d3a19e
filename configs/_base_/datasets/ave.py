# AVE, clip-level: the sound and the frames of the event, one of 28 classes (docs/datasets/ave.md).
_base_ = '../loaders.py'
num_classes = 28
data = dict(  # shared by the three loaders
    type='AVE', root='data/AVE', frames=1, audio=[dict(type='LogSpectrogram')]
)
evaluate = [dict(type='Resize', size=224), dict(type='Normalize')]
loader = dict(batch_size=32, num_workers=4, persistent_workers=True)
train_dataloader = dict(
    **loader,
    dataset=dict(
        visual=[
            dict(type='RandomResizedCrop', size=224),
            dict(type='RandomFlip'),
            dict(type='Normalize'),
        ],
    ),
)
val_dataloader = dict(**loader, dataset=dict(visual=evaluate))
test_dataloader = dict(**loader, dataset=dict(visual=evaluate))
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=32)
small = [dict(type='Resize', size=96), dict(type='Normalize')]
sample = dict(  # what a run falls back on when data.root does not exist
    module='mmcalib.samples.ave',
    root='data/sample_ave',
    page='docs/datasets/ave.md',
    overlay=dict(  # small inputs and a short schedule: minutes on two cores
        train_cfg=dict(max_epochs=12),
        param_scheduler=dict(step_size=8),
        data=dict(audio=[dict(type='LogSpectrogram', length_s=2.5, noverlap=0)]),
        train_dataloader=dict(
            batch_size=16,
            num_workers=2,
            dataset=dict(
                visual=[
                    dict(type='RandomResizedCrop', size=96),
                    dict(type='RandomFlip'),
                    dict(type='Normalize'),
                ]
            ),
        ),
        val_dataloader=dict(num_workers=1, dataset=dict(visual=small)),
        test_dataloader=dict(num_workers=1, dataset=dict(visual=small)),
    ),
)
del loader, evaluate, small
