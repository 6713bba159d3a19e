"""Interrupt: Ctrl-C or SIGTERM ends a training so that it can be resumed."""

import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier
from mmengine.hooks import EMAHook, Hook

from mmcalib.registry import HOOKS

_NOTICE = b'\nStopping after this step; Ctrl-C once more stops at once, without saving.\n'


@HOOKS.register_module()
class Interrupt(Hook):
    """Finish the step, save, say how to go on, and end with SystemExit(128 + signal).

    The state is saved by the hook that defines `save_interrupted(runner, iteration)`, as
    AtomicCheckpointHook does. A validation that is interrupted is repeated by the resume. Gradients
    that are still being accumulated are stepped first.

    Args:
        interval: with several processes, how many steps pass between two agreements on whether one
            of them was told to stop. More is faster, and stops later.
    """

    # Last, when the other hooks have done their part of the step.
    priority = 'LOWEST'

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'Interrupt(interval={interval}) is not possible; it is at least 1')
        self.interval = interval
        self._received = 0
        self._handlers: dict[int, Any] = {}
        self._process = 0
        self._val_steps = 0

    def before_train(self, runner: Any) -> None:
        """Take over the two signals."""
        self._received, self._process = 0, os.getpid()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._receive)

    def after_train(self, runner: Any) -> None:
        """Give the signals back; one that came after the last step still ends the process."""
        number = self._agree(runner)
        self._release()
        if number:
            runner.logger.info('The training had come to its end when it was told to stop')
            raise SystemExit(128 + number)

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Stop here, if a process was told to and no gradient is waiting for others."""
        if self._is_turn(runner, runner.iter) and runner.optim_wrapper.should_update():
            self._stop_if_told(runner, runner.iter + 1)

    def before_val_epoch(self, runner: Any) -> None:
        """Count the steps that all processes have: without rounding up they differ by one."""
        if self._handlers:
            steps = torch.tensor(len(runner.val_dataloader))
            all_reduce(steps, op='min')
            self._val_steps = int(steps)

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Stop here, if training is under way and a process was told to stop."""
        if self._handlers and batch_idx < self._val_steps and self._is_turn(runner, batch_idx):
            self._stop_if_told(runner, runner.iter, validating=True)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A child that was forked: its owner decides about Ctrl-C, but may end it by SIGTERM.
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self._received = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(2, _NOTICE)  # logging may hold a lock at this moment

    def _is_turn(self, runner: Any, step: int) -> bool:
        return runner.world_size == 1 or (step + 1) % self.interval == 0

    def _agree(self, runner: Any) -> int:
        if runner.world_size == 1:
            return self._received
        number = torch.tensor(self._received)
        all_reduce(number, op='max')
        return int(number)

    def _stop_if_told(self, runner: Any, iteration: int, validating: bool = False) -> None:
        number = self._agree(runner)
        if not number:
            return
        if validating:  # it has the averaged weights in the model; the trained ones are saved
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)
        runner.call_hook('save_interrupted', iteration=iteration)
        barrier()  # or a launcher kills rank 0 in the middle of it, because another rank ended
        self._release()
        runner.logger.info(
            f'Stopped after iteration {iteration} by {signal.Signals(number).name}. '
            f'The same command with --resume continues from {runner.work_dir}'
        )
        runner.call_hook('after_run')
        raise SystemExit(128 + number)

    def _release(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
