# The schedule of MIM (IEEE TMM 2023): Adam 1e-5 for 100 epochs, without decay; the epoch of the
# lowest error on the validation set is kept.
_base_ = 'runtime.py'

train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1e-5))
param_scheduler = None
default_hooks = dict(checkpoint=dict(save_best='MAE', rule='less'))
