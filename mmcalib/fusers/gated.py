"""Gated fusion: a convex sum of squashed modalities, weighed by all of them."""

import math

import torch
from torch import nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class Gated(Fuser):
    """Gated multimodal unit: every channel of the vector is shared out between the modalities.

    Arevalo et al., "Gated Multimodal Units for Information Fusion", ICLR workshop 2017,
    arXiv:1702.01992, section 3: h_m = tanh(W_m x_m), h = z * h_1 + (1 - z) * h_2 with
    z = sigmoid(W_z [x_1; x_2]), x_m the mean over tokens. For M modalities h = sum_m z_m * h_m
    with z = softmax over modalities of V_m [x_1; ..; x_M]; of two, this is z and 1 - z, with
    W_z = V_1 - V_2.

    Differs from the paper: with three modalities or more, its gates are sigmoids that do not know
    of each other; here they add up to one, as its two do. All layers have a bias.

    Missing: an absent modality has weight zero, the weights of the others add up to one, and it is
    zeros in their gates. Without any modality the vector is zeros.

    Args:
        width: of the vector.
    """

    def __init__(self, dims: dict[str, int], width: int = 128) -> None:
        super().__init__(dims)
        if width < 1:
            raise ValueError(f'Gated(width={width}); a width is 1 or more')
        self.out_dim = width
        total = sum(dims.values())
        self.squash = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.gate = nn.ModuleDict({m: nn.Linear(total, width) for m in dims})

    def forward(self, signals: Signals) -> Fusion:
        means = [signals[m].mean() for m in self.modalities]
        joint = torch.cat(means, dim=-1)
        pairs = zip(self.modalities, means, strict=True)
        squashed = torch.stack([self.squash[m](x).tanh() for m, x in pairs])  # (M, B, width)
        scores = torch.stack([self.gate[m](joint) for m in self.modalities])
        here = torch.stack([signals[m].present for m in self.modalities]).unsqueeze(-1)
        # Softmax over nothing is NaN: without any modality all have a weight, and are then dropped.
        weights = scores.masked_fill(~here & here.any(0), -math.inf).softmax(0)
        return Fusion((weights * here * squashed).sum(0))
