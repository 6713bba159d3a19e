"""Progress: a bar per epoch, for people who watch."""

import sys
from contextlib import ExitStack
from typing import Any

import torch
from mmengine.hooks import Hook
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mmcalib.registry import HOOKS


@HOOKS.register_module()
class Progress(Hook):
    """Show a bar of the steps in an epoch of training, validation or testing.

    It appears on rank 0 when the standard error is a terminal. Log lines are printed above it;
    elsewhere mmengine's lines are all there is.
    """

    # Before LoggerHook, so that the line which ends an epoch comes after its bar.
    priority = 'NORMAL'

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._open = ExitStack()

    def _before_epoch(self, runner: Any, mode: str = 'train') -> None:
        name, total, seen = mode, len(getattr(runner, f'{mode}_dataloader')), 0
        if mode == 'train':
            name = f'train {runner.epoch + 1}/{runner.max_epochs}'
            seen = runner.iter - runner.epoch * total  # a resume begins at the first step to do
        self._begin(runner, name, total, seen if 0 < seen < total else 0)

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Any = None,
        mode: str = 'train',
    ) -> None:
        if self._bar is None:
            return
        if mode == 'train' and outputs and 'loss' in outputs:
            loss = torch.as_tensor(outputs['loss']).item()
            self._bar.set_postfix_str(f'loss {loss:.4g}', refresh=False)
        self._bar.update()

    def _after_epoch(self, runner: Any, mode: str = 'train') -> None:
        self._end()

    def after_run(self, runner: Any) -> None:
        """End, also when an interrupt came in the middle of an epoch."""
        self._end()

    def _begin(self, runner: Any, name: str, total: int, seen: int) -> None:
        self._end()
        if runner.rank == 0 and sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=seen, desc=name, leave=False, dynamic_ncols=True)
            self._open.callback(self._bar.close)
            self._open.enter_context(logging_redirect_tqdm([runner.logger]))

    def _end(self) -> None:
        self._open.close()
        self._bar = None
