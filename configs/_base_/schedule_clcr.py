# The schedule of CLCR (arXiv:2602.19605): SGD, 100 epochs. The decay, not
# published, is that of OGM-GE, with which it shares all other numbers.
_base_ = 'runtime.py'

train_cfg = dict(max_epochs=100)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4)
)
param_scheduler = dict(step_size=70)
