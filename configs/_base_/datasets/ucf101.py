# UCF101, split 1: three pictures and their optical flow (u, v as bytes, 0.5 is no motion), one of
# 101 actions (docs/datasets/ucf101.md). Both are cropped and mirrored alike.
_base_ = '../loaders.py'
num_classes = 101
still = dict(mean=[0.5, 0.5], std=[0.5, 0.5])  # flow / 20 pixels
data = dict(type='UCF101', root='data/UCF101', frames=3)  # shared by the three loaders
evaluate = dict(
    rgb=[dict(type='Resize', size=224), dict(type='Normalize')],
    flow=[dict(type='Resize', size=224), dict(type='Normalize', **still)],
)
loader = dict(batch_size=64, num_workers=4, persistent_workers=True)
train_dataloader = dict(
    **loader,
    dataset=dict(
        rgb=[
            dict(type='RandomResizedCrop', size=224),
            dict(type='RandomFlip'),
            dict(type='Normalize'),
        ],
        flow=[
            dict(type='RandomResizedCrop', size=224),
            dict(type='RandomFlip', flow=True),
            dict(type='Normalize', **still),
        ],
    ),
)
val_dataloader = dict(**loader, dataset=evaluate)
test_dataloader = dict(**loader, dataset=evaluate)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=64)
small = dict(
    rgb=[dict(type='Resize', size=64), dict(type='Normalize')],
    flow=[dict(type='Resize', size=64), dict(type='Normalize', **still)],
)
sample = dict(  # what a run falls back on when data.root does not exist
    module='mmcalib.samples.ucf101',
    root='data/sample_ucf101',
    page='docs/datasets/ucf101.md',
    overlay=dict(  # six classes, small inputs and a short schedule: minutes on two cores
        model=dict(head=dict(num_classes=6)),
        train_cfg=dict(max_epochs=12),
        param_scheduler=dict(step_size=8),
        train_dataloader=dict(
            batch_size=16,
            num_workers=2,
            dataset=dict(
                rgb=[
                    dict(type='RandomResizedCrop', size=64),
                    dict(type='RandomFlip'),
                    dict(type='Normalize'),
                ],
                flow=[
                    dict(type='RandomResizedCrop', size=64),
                    dict(type='RandomFlip', flow=True),
                    dict(type='Normalize', **still),
                ],
            ),
        ),
        val_dataloader=dict(num_workers=1, dataset=small),
        test_dataloader=dict(num_workers=1, dataset=small),
    ),
)
del loader, evaluate, small, still
