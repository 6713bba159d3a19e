"""Amp: mixed precision on a GPU or a CPU."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmcalib.registry import OPTIM_WRAPPERS

_DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class Amp(OptimWrapper):
    """Run the forward pass in a short float; weights, gradients and optimiser stay float32.

    Differs from mmengine's AmpOptimWrapper: works on a CPU, and its default is bfloat16, which has
    the range of float32 and needs no loss scale.

    Args:
        optimizer: a torch optimiser.
        dtype: 'bfloat16'; or 'float16' on CUDA, whose loss is scaled dynamically.
        accumulative_counts: iterations whose gradients are summed before a step.
        clip_grad: as in mmengine's OptimWrapper; it clips gradients that are unscaled already.

    Raises:
        ValueError: an unknown dtype, or float16 without CUDA.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str = 'bfloat16',
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        if dtype not in _DTYPES:
            raise ValueError(f'Amp(dtype={dtype!r}) is not possible; there are {sorted(_DTYPES)}')
        self.device_type = get_device()
        if dtype == 'float16' and self.device_type != 'cuda':
            raise ValueError(
                f"Amp(dtype='float16') needs CUDA, but this run is on {self.device_type}; "
                "dtype='bfloat16' works there"
            )
        self.dtype = _DTYPES[dtype]
        # Switched off it passes everything through, and its state is empty.
        self.scaler = torch.amp.GradScaler('cuda', enabled=dtype == 'float16')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast the forward pass inside mmengine's context of gradient accumulation."""
        with super().optim_context(model), torch.autocast(self.device_type, self.dtype):
            yield

    def backward(self, loss: Tensor, retain_graph: bool | None = None) -> None:
        """Backpropagate the scaled loss."""
        self.scaler.scale(loss).backward(retain_graph=retain_graph)
        self._inner_count += 1

    def step(self) -> None:
        """Unscale, clip and step; a step whose float16 gradients overflow is left out."""
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state, and the scale under 'loss_scaler'."""
        return {**super().state_dict(), 'loss_scaler': self.scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the optimiser and the scale; a checkpoint without a scale starts anew."""
        state = dict(state_dict)
        if scale := state.pop('loss_scaler', None):
            self.scaler.load_state_dict(scale)
        super().load_state_dict(state)
