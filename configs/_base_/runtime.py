# Schedule, hooks and logs of every run. AdamW 1e-3, weight decay 0.01, a tenth every 10 of 30
# epochs: the common setting of BalanceBenchmark (arXiv:2502.10816).
default_scope = 'mmcalib'
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))

train_cfg = dict(type='EpochLoop', max_epochs=30)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = dict(type='StepLR', step_size=10, gamma=0.1)

default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        interval=1,
        max_keep_ckpts=1,
        save_best='accuracy',
        rule='greater',
    ),
)
custom_hooks = [
    dict(type='StepSeed'),
    dict(type='SyncBuffers'),
    dict(type='Interrupt'),
    dict(type='ClassCheck'),
    dict(type='MediaReport'),
    dict(type='Progress'),
    dict(type='TrainingDynamics'),
    dict(type='FeatureDump', interval=0),
]
visualizer = dict(
    type='Visualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
