"""StepSeed: one state of the generators per (seed, rank, iteration)."""

import random
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.runner import BaseLoop

from mmcalib.engine.step_seed import StepSeed


class Loop(BaseLoop):
    def __init__(self):
        pass

    def run(self):
        pass


def draws(seed, rank, iteration):
    runner = SimpleNamespace(seed=seed, rank=rank, iter=iteration, _train_loop=Loop())
    StepSeed().before_train_iter(runner, 0)
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_the_same_step_draws_the_same_numbers():
    first = draws(1, 0, 5)
    random.random(), np.random.rand(), torch.rand(3)
    assert draws(1, 0, 5) == first


def test_seed_rank_and_iteration_each_change_all_three_generators():
    base = draws(1, 0, 5)
    # (2, 0, 4) and (1, 1, 4): added numbers would collide with the base.
    for other in (draws(2, 0, 4), draws(1, 1, 4), draws(1, 0, 6)):
        assert all(a != b for a, b in zip(base, other, strict=True))


def test_a_run_that_only_validates_does_not_build_its_training_data():
    class Runner(SimpleNamespace):
        @property
        def iter(self):
            raise AssertionError('this builds the train loop')

    StepSeed().before_val_epoch(Runner(seed=1, rank=0, _train_loop={'type': 'EpochLoop'}))
