"""Chain: calibrators one after another."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.func import functional_call

from mmcalib.contract import Calibration, Calibrator, Signals, Supervision, merge
from mmcalib.registry import CALIBRATORS

Named = TypeVar('Named')


@CALIBRATORS.register_module()
class Chain(Calibrator):
    """Calibrate in steps: each step reads the signals of the one before it.

    To a step, the rest of the model includes the steps behind it: what it asks of
    `supervision.task_loss` passes through them, without their losses. Such a pass works on copies
    of their buffers, so that only the batch itself moves running statistics. It does draw random
    numbers, as dropout in a fuser does, and it calls the forward hooks of the steps.

    Missing: as the steps have it.
    Losses: those of all steps. If two steps share a name, every loss carries the number of its
    step, counted from 0: `loss_0_value`, `loss_1_value`.
    Evidence: that of all steps; if two steps share a name, every name carries the number of its
    step: `0_gate`, `1_gate`.

    Args:
        steps: calibrator configs, or names of calibrators, in order of application; a step may be a
            Chain. From the command line:
            `--calibrator Chain --cfg-options model.calibrator.steps=VGMR,NormOnly`.
    """

    def __init__(self, dims: dict[str, int], steps: Sequence[Mapping[str, Any] | str]) -> None:
        super().__init__(dims)
        if not steps:
            raise ValueError(f'Chain(steps={steps!r}); it needs one or more calibrator configs')
        steps = [steps] if isinstance(steps, str) else steps  # what a command line gives for one
        cfgs = [{'type': step} if isinstance(step, str) else step for step in steps]
        self.steps = nn.ModuleList(CALIBRATORS.build(cfg, dims=dims) for cfg in cfgs)

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        done: list[Calibration] = []
        for index, step in enumerate(self.steps):
            asked = supervision
            if supervision is not None:
                rest = partial(self.rest, start=index + 1, task_loss=supervision.task_loss)
                asked = Supervision(supervision.target, rest)
            done.append(step(signals, asked))
            signals = done[-1].signals
        losses = join([merge(calibration.losses) for calibration in done], 'loss_')
        return Calibration(signals, losses, join([calibration.evidence for calibration in done]))

    def rest(self, signals: Signals, start: int, task_loss: Callable[[Signals], Tensor]) -> Tensor:
        """The task loss (B,) of signals that enter step `start`."""
        for step in self.steps[start:]:
            buffers = {name: buffer.clone() for name, buffer in step.named_buffers()}
            signals = functional_call(step, buffers, (signals,)).signals
        return task_loss(signals)


def join(parts: Sequence[Mapping[str, Named]], prefix: str = '') -> dict[str, Named]:
    """One mapping; if any name occurs twice, the number of its part enters all, behind `prefix`.

    All or none: a nested Chain has numbered names already, and these could meet new ones.
    """
    pairs = [(index, name, named) for index, p in enumerate(parts) for name, named in p.items()]
    if len({name for _, name, _ in pairs}) == len(pairs):
        return {name: named for _, name, named in pairs}
    return {f'{prefix}{index}_{n.removeprefix(prefix)}': named for index, n, named in pairs}
