"""The types that every component speaks, and the four abstract component kinds.

Axes: B samples, L tokens (differs per modality and batch), D width (differs per modality),
M modalities.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Signal(NamedTuple):
    """One modality of a batch, and which of it is real.

    A missing modality is a sample whose mask is all False; padding is a token whose mask is False.
    An input without a token axis (one image, one spectrogram) has L = 1.
    """

    x: Tensor  # raw: (B, ...)  encoded: (B, L, D)
    mask: Tensor  # (B, L) bool, True = real

    @property
    def present(self) -> Tensor:
        """(B,) bool: does the sample have this modality at all?"""
        return self.mask.any(dim=1)

    def clean(self) -> Tensor:
        """`x` with zeros where it is not real, also where it holds NaN or infinity there."""
        mask = self.mask.reshape(*self.mask.shape, *[1] * (self.x.ndim - 2))
        return torch.where(mask, self.x, torch.zeros((), dtype=self.x.dtype, device=self.x.device))

    def mean(self) -> Tensor:
        """(B, D): mean over real tokens, zero for an absent sample."""
        count = self.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return self.clean().sum(dim=1) / count

    def max(self) -> Tensor:
        """(B, D): maximum over real tokens, zero for an absent sample."""
        lowest = torch.finfo(self.x.dtype).min
        highest = self.x.masked_fill(~self.mask.unsqueeze(-1), lowest).amax(dim=1)
        return torch.where(self.present.unsqueeze(-1), highest, torch.zeros_like(highest))

    def missing(self) -> 'Signal':
        """The same signal, declared missing."""
        return Signal(self.x, torch.zeros_like(self.mask))


Signals = dict[str, Signal]
Losses = dict[str, Tensor]


class Supervision(NamedTuple):
    """What a calibrator may ask while training. It shapes losses, never signals."""

    target: Tensor
    task_loss: Callable[[Signals], Tensor]  # the rest of the model on these signals -> (B,) loss


class Calibration(NamedTuple):
    """What a calibrator returns."""

    signals: Signals
    losses: Mapping[str, Tensor] = {}  # 'loss_<name>' -> scalar, already weighted by its owner
    evidence: Mapping[str, Mapping[str, Tensor]] = {}  # evidence['gate']['audio'], detached


class Fusion(NamedTuple):
    """What a fuser returns."""

    vector: Tensor  # (B, out_dim)
    losses: Mapping[str, Tensor] = {}


class Draw(NamedTuple):
    """What a sampler asks of a data set: `dataset[Draw(sample, epoch, seed)]`; 7 means `Draw(7)`.

    The randomness of a sample is a function of these three numbers and nothing else, so that
    batches are the same with any number of workers, after a resume, and between two models.
    """

    sample: int
    epoch: int = 0
    seed: int = 0

    def generator(self, stream: int = 0) -> np.random.Generator:
        """A fresh generator; `stream` keeps the modalities of one sample independent."""
        return np.random.default_rng((self.seed, self.epoch, self.sample, stream))


def merge(*parts: Mapping[str, Tensor]) -> Losses:
    """Join losses by name.

    Raises:
        ValueError: a name is used twice, or does not start with `loss_`.
    """
    merged: Losses = {}
    for part in parts:
        for name, value in part.items():
            if not name.startswith('loss_'):
                raise ValueError(
                    f'A component returned the loss {name!r}; names start with "loss_"'
                )
            if name in merged:
                raise ValueError(f'Two components return the loss {name!r}; one must rename it')
            merged[name] = value
    return merged


class Encoder(nn.Module, ABC):
    """Turn one raw modality into tokens. A subclass sets `out_dim` and defines `encode`.

    `encode` sees present samples only, so that absent ones never enter a statistic or an attention.
    Compiled or exported for evaluation, where no sample meets another, it sees zeros for them.
    """

    out_dim: int

    @abstractmethod
    def encode(self, raw: Signal) -> Signal:
        """Raw (B', ...), every sample present -> tokens (B', L, out_dim)."""

    def forward(self, raw: Signal) -> Signal:
        present = raw.present
        if torch.compiler.is_compiling() and not self.training:
            # A graph has no branch on data: all are encoded, the absent as zeros, and masked again.
            here = present.unsqueeze(1)
            every = self.encode(Signal(raw.clean(), raw.mask | ~here))
            return Signal(every.x.where(here.unsqueeze(-1), 0.0), every.mask & here)
        if present.all():
            return self.encode(raw)
        batch = len(present)
        if not present.any():
            # Zero times every parameter: under DDP each rank owes every parameter a gradient.
            tie = sum(0.0 * p.sum() for p in self.parameters() if p.requires_grad)
            x = torch.zeros(batch, 1, self.out_dim, device=raw.mask.device) + tie
            return Signal(x, torch.zeros(batch, 1, dtype=torch.bool, device=raw.mask.device))
        some = self.encode(Signal(raw.x[present], raw.mask[present]))
        x = some.x.new_zeros(batch, *some.x.shape[1:])
        mask = some.mask.new_zeros(batch, some.mask.shape[1])
        return Signal(x.index_put((present,), some.x), mask.index_put((present,), some.mask))


class _Multimodal(nn.Module, ABC):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        if not dims or any(dim < 1 for dim in dims.values()):
            raise ValueError(
                f'{type(self).__name__} was given dims={dict(dims)}; '
                'it needs one positive width per modality'
            )
        self.dims = dict(dims)
        self.modalities = tuple(dims)


class Calibrator(_Multimodal):
    """Refine signals before fusion: same modalities, same B, same widths.

    Tokens, values and masks may change. Labels may shape losses, never signals.
    """

    @abstractmethod
    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        """Signals (B, L_m, D_m) -> calibrated signals, losses, evidence."""


class Fuser(_Multimodal):
    """Join signals into one vector per sample. A subclass sets `out_dim`.

    Padding and absence do not leak into the vector.
    """

    out_dim: int

    @abstractmethod
    def forward(self, signals: Signals) -> Fusion:
        """Signals (B, L_m, D_m) -> vector (B, out_dim)."""


class Head(nn.Module, ABC):
    """Turn the fused vector into a prediction and score it, one loss per sample."""

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.in_dim = in_dim

    @abstractmethod
    def forward(self, vector: Tensor) -> Tensor:
        """Vector (B, in_dim) -> prediction (B, ...)."""

    @abstractmethod
    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Prediction (B, ...) and target -> (B,)."""
