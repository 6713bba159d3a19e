"""GradientTap: gradient norms between the backward pass and clipping."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor, nn

from mmcalib.dynamics.measures import norm


class GradientTap:
    """Call `see(model)` before some steps of an optimiser, when gradients are whole and unclipped.

    Then they are summed over accumulated iterations, averaged over processes, and still multiplied
    by the scale of float16 losses, which `scale` tells. Balancing methods change them afterwards.
    """

    def __init__(self, optim_wrapper: Any, see: Callable[[], None]) -> None:
        self.due = False
        self.wrapper, self.see, self.step = optim_wrapper, see, optim_wrapper.step

        @wraps(self.step)  # schedulers leave a mark on it
        def before_step(*args: Any, **kwargs: Any) -> Any:
            if self.due:
                self.due = False
                self.see()
            return self.step(*args, **kwargs)

        optim_wrapper.step = before_step  # of this object only; clipping is inside its method

    def remove(self) -> None:
        """Leave the wrapper as it was."""
        self.wrapper.step = self.step

    @property
    def scale(self) -> float:
        """What float16 losses were multiplied by; 1 without."""
        scaler: Any = getattr(self.wrapper, 'scaler', getattr(self.wrapper, 'loss_scaler', None))
        return float(scaler.get_scale()) if hasattr(scaler, 'get_scale') else 1.0


def gradient_norms(model: Any, scale: float = 1.0) -> dict[str, float]:
    """Of each encoder, calibrator, fuser and head; a part without gradients is left out."""
    parts: dict[str, nn.Module] = {f'encoder_{m}': e for m, e in model.encoders.items()}
    parts |= {'calibrator': model.calibrator, 'fuser': model.fuser, 'head': model.head}
    found: dict[str, list[Tensor]] = {
        name: [p.grad for p in part.parameters() if p.grad is not None]
        for name, part in parts.items()
    }
    return {name: norm(grads) / scale for name, grads in found.items() if grads}
