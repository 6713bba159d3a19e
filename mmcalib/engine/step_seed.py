"""StepSeed: the randomness of a training step is a function of (seed, rank, iteration)."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmcalib.registry import HOOKS


@HOOKS.register_module()
class StepSeed(Hook):
    """Seed Python, numpy and torch before every training step and every validation.

    Dropout then draws the same numbers after a resume, no random state has to be saved, and data
    loaders may draw from the global generators as they like.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Seed from (seed, rank, iteration)."""
        _seed(runner.seed, runner.rank, runner.iter)

    def before_val_epoch(self, runner: Any) -> None:
        """Seed as the next training step is; a validation that is repeated draws the same."""
        # `runner.iter` would build the training data set of a run that only validates.
        training = isinstance(runner._train_loop, BaseLoop)
        _seed(runner.seed, runner.rank, runner.iter if training else 0)


def _seed(*entropy: int) -> None:
    state = np.random.SeedSequence(entropy).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(state[1])
    torch.manual_seed(int(state[2]) << 32 | int(state[3]))
