"""Small sound components: the partners of whatever the sweep checks."""

import torch
from torch import nn
from torch.nn import functional as F

from mmcalib.contract import Calibration, Calibrator, Encoder, Fuser, Fusion, Head, Signal


class Pass(Encoder):
    """Hands the batch on as it is, garbage included: later stages must cope."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def encode(self, raw):
        return raw

    def forward(self, raw):
        return raw


class Still(Calibrator):
    """One affine layer per modality; leaves garbage where it was."""

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.layers = nn.ModuleDict({m: nn.Linear(dim, dim) for m, dim in dims.items()})

    def forward(self, signals, supervision=None):
        moved = {}
        for m, s in signals.items():
            x = torch.where(s.mask.unsqueeze(-1), self.layers[m](s.clean()), s.x)
            moved[m] = Signal(x, s.mask)
        return Calibration(moved)


class Mean(Fuser):
    """Means of the modalities, concatenated."""

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.out_dim = sum(dims.values())

    def forward(self, signals):
        return Fusion(torch.cat([signals[m].mean() for m in self.modalities], dim=-1))


class Score(Head):
    """Three classes."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.linear = nn.Linear(in_dim, 3)

    def forward(self, vector):
        return self.linear(vector)

    def loss(self, prediction, target):
        return F.cross_entropy(prediction, target, reduction='none')
