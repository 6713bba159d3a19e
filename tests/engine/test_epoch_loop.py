"""EpochLoop: a resume continues with the next batch, and loads no other."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_project import config, diary, loader, train
from mmengine.hooks import Hook
from mmengine.runner.checkpoint import _load_checkpoint

from mmcalib.registry import HOOKS


class Stop(Exception):
    """The end of a run in the middle."""


@HOOKS.register_module()
class StopAfter(Hook):
    """Save and stop after an iteration of training, or after the first step of a validation."""

    priority = 'LOWEST'

    def __init__(self, iteration=None, val_epoch=None):
        self.iteration, self.val_epoch = iteration, val_epoch

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            runner.call_hook('save_interrupted', iteration=self.iteration)
            raise Stop

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.epoch == self.val_epoch:
            runner.call_hook('save_interrupted', iteration=runner.iter)
            raise Stop


def stopped(work_dir, more=None, **where):
    """Train until a place, with the state saved there."""
    cfg = config(work_dir, **(more or {}))
    cfg.custom_hooks.append({'type': 'StopAfter', **where})
    with pytest.raises(Stop):
        train(cfg)
    # Whatever comes next must not depend on these.
    random.seed(0), np.random.seed(0), torch.manual_seed(0)


# After iteration 6 an epoch ends without a step in this process; mmengine notices.
@pytest.mark.filterwarnings('ignore:Detected call of .scheduler.step')
@pytest.mark.parametrize('iteration', [1, 5, 6, 7, 12, 17])
def test_a_resume_anywhere_in_an_epoch_is_bit_for_bit(tmp_path, uninterrupted, same, iteration):
    stopped(tmp_path, iteration=iteration)
    train(config(tmp_path, resume=True))
    same(diary(tmp_path), uninterrupted)
    assert sum(entry[0] == 'step' for entry in diary(tmp_path)) == 24, 'no step is done twice'


def test_batches_that_were_seen_are_not_loaded_again(tmp_path):
    stopped(tmp_path, {'log': True}, iteration=9)
    log = Path(tmp_path, 'loaded.txt')
    # Three batches of epoch 1, of 4 samples each.
    before = [line for line in log.read_text().splitlines() if line.startswith('1 ')]
    assert len(before) == 12
    train(config(tmp_path, resume=True, log=True))
    lines = log.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 4 * 22


def test_a_sampler_that_cannot_skip_gives_the_same_batches(tmp_path, same):
    more = {'train_dataloader': loader(tmp_path, True)}
    more['train_dataloader']['sampler'] = {'type': 'DefaultSampler', 'shuffle': True}
    train(config(tmp_path / 'whole', **more))
    stopped(tmp_path / 'part', more, iteration=9)
    train(config(tmp_path / 'part', resume=True, **more))
    same(diary(tmp_path / 'part'), diary(tmp_path / 'whole'))


@pytest.mark.parametrize('epoch', [1, 4])
def test_a_missing_validation_is_done_first(tmp_path, uninterrupted, same, epoch):
    stopped(tmp_path, val_epoch=epoch)
    before = len(diary(tmp_path))
    train(config(tmp_path, resume=True))
    assert diary(tmp_path)[before][0] == 'looked'
    same(diary(tmp_path), uninterrupted)
    assert (tmp_path / 'epoch_4.pth').exists()


def test_a_training_that_is_complete_does_nothing_on_resume(tmp_path, uninterrupted):
    train(config(tmp_path))
    train(config(tmp_path, resume=True))
    assert diary(tmp_path) == uninterrupted


@pytest.mark.parametrize('workers', [1, 2])
def test_the_number_of_workers_changes_nothing(tmp_path, start, uninterrupted, same, workers):
    child = start(config(tmp_path, workers=workers))
    child.join(60)
    assert child.exitcode == 0
    same(diary(tmp_path), uninterrupted)


def test_a_seed_that_was_drawn_is_drawn_once(tmp_path, same):
    train(config(tmp_path / 'whole', randomness={'seed': None}))
    start = str(tmp_path / 'whole' / 'epoch_3.pth')
    more = {'randomness': {'seed': None}, 'resume': True, 'load_from': start}
    train(config(tmp_path / 'part', **more))
    first = {'step': 18, 'looked': 24, 'val': 4}  # of the fourth epoch
    same(diary(tmp_path / 'part'), [e for e in diary(tmp_path / 'whole') if e[1] >= first[e[0]]])


def test_another_epoch_length_is_refused_in_the_middle_and_fitted_between(tmp_path):
    other = {'train_dataloader': loader(tmp_path, True, batch_size=11)}
    stopped(tmp_path / 'middle', iteration=9)
    with pytest.raises(ValueError, match=r'epoch 2 after iteration 9.* 6 batches; now it has 2'):
        train(config(tmp_path / 'middle', resume=True, **other))
    train(config(tmp_path / 'between', epochs=2))
    train(config(tmp_path / 'between', epochs=4, resume=True, **other))
    last = _load_checkpoint(str(tmp_path / 'between' / 'epoch_4.pth'))
    assert (last['meta']['epoch'], last['meta']['iter']) == (4, 8)
