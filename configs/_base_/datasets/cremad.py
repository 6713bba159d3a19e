# CREMA-D: a spoken sentence and its speaker, one of 6 emotions (docs/datasets/cremad.md). Sound as
# in OGM-GE: 3 s at 22050 Hz, 257 frequencies x 188 steps, not standardised.
_base_ = '../loaders.py'
num_classes = 6
data = dict(  # shared by the three loaders
    type='CREMAD',
    root='data/CREMA-D',
    frames=1,
    rate_hz=22050,
    audio=[dict(type='FixLength', rate_hz=22050, length_s=3.0), dict(type='LogSTFT')],
)
evaluate = [dict(type='Resize', size=224), dict(type='Normalize')]
loader = dict(batch_size=64, num_workers=4, persistent_workers=True)
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
auto_scale_lr = dict(base_batch_size=64)
small = [dict(type='Resize', size=72), dict(type='Normalize')]
sample = dict(  # what a run falls back on when data.root does not exist
    module='mmcalib.samples.cremad',
    root='data/sample_cremad',
    page='docs/datasets/cremad.md',
    overlay=dict(  # small inputs and a short schedule: minutes on two cores
        train_cfg=dict(max_epochs=12),
        param_scheduler=dict(step_size=8),
        train_dataloader=dict(
            batch_size=16,
            num_workers=2,
            dataset=dict(
                visual=[
                    dict(type='RandomResizedCrop', size=72),
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
