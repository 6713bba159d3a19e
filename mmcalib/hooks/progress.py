"""Progress: a bar per epoch, for people who watch."""

import sys
from collections.abc import Sequence
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

    def before_train_epoch(self, runner: Any) -> None:
        """Begin at the first step that is still to do."""
        total = len(runner.train_dataloader)
        seen = runner.iter - runner.epoch * total
        name = f'train {runner.epoch + 1}/{runner.max_epochs}'
        self._begin(runner, name, total, seen if 0 < seen < total else 0)

    def before_val_epoch(self, runner: Any) -> None:
        """Begin."""
        self._begin(runner, 'val', len(runner.val_dataloader))

    def before_test_epoch(self, runner: Any) -> None:
        """Begin."""
        self._begin(runner, 'test', len(runner.test_dataloader))

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Advance, and show the loss of the step."""
        if self._bar is not None:
            if outputs and 'loss' in outputs:
                loss = torch.as_tensor(outputs['loss']).item()
                self._bar.set_postfix_str(f'loss {loss:.4g}', refresh=False)
            self._bar.update()

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Advance."""
        if self._bar is not None:
            self._bar.update()

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Advance."""
        if self._bar is not None:
            self._bar.update()

    def after_train_epoch(self, runner: Any) -> None:
        """End."""
        self._end()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """End."""
        self._end()

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """End."""
        self._end()

    def after_run(self, runner: Any) -> None:
        """End, also when an interrupt came in the middle of an epoch."""
        self._end()

    def _begin(self, runner: Any, name: str, total: int, seen: int = 0) -> None:
        self._end()
        if runner.rank == 0 and sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=seen, desc=name, leave=False, dynamic_ncols=True)
            self._open.callback(self._bar.close)
            self._open.enter_context(logging_redirect_tqdm([runner.logger]))

    def _end(self) -> None:
        self._open.close()
        self._bar = None
