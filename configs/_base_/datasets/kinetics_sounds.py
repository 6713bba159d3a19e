# Kinetics-Sounds: 10 s of sound and three frames, one of 31 actions, in the lists of OGM-GE
# (docs/datasets/kinetics_sounds.md). Sound is a filter bank of 128 bins x 1024 windows.
_base_ = '../loaders.py'
num_classes = 31
turn = dict(type='Rearrange', pattern='c t f -> c f t')  # frequencies x steps, as encoders take it
data = dict(  # shared by the three loaders
    type='KineticsSounds',
    root='data/Kinetics-Sounds',
    frames=3,
    audio=[dict(type='Fbank'), turn],
    fbank=[turn],
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
    module='mmcalib.samples.kinetics_sounds',
    root='data/sample_kinetics_sounds',
    page='docs/datasets/kinetics_sounds.md',
    overlay=dict(  # eight classes, small inputs and a short schedule: minutes on two cores
        model=dict(head=dict(num_classes=8)),
        train_cfg=dict(max_epochs=12),
        param_scheduler=dict(step_size=8),
        data=dict(
            classes='auto',
            audio=[
                dict(type='Fbank', windows=256),
                turn,
            ],
        ),
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
del loader, evaluate, small, turn
