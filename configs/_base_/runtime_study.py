# Runs of a large comparison, on one core each: as runtime.py, without observers and TensorBoard.
_base_ = 'runtime.py'

custom_hooks = [
    dict(type='StepSeed'),
    dict(type='SyncBuffers'),
    dict(type='Interrupt'),
    dict(type='ClassCheck'),
    dict(type='MediaReport'),
    dict(type='Progress'),
]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
