# Runs of a large comparison, on one core each: as runtime.py, without observers and TensorBoard.
_base_ = ['runtime.py']

custom_hooks = [
    hook for hook in _base_.custom_hooks if hook.type not in ('TrainingDynamics', 'FeatureDump')
]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
