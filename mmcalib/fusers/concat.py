"""Concatenation of pooled signals."""

import torch

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class Concat(Fuser):
    """Mean of each modality over its real tokens, concatenated; no parameters.

    The late fusion of the convolutional family (ResNet + Concat).

    Missing: an absent modality is zeros.
    """

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.out_dim = sum(dims.values())

    def forward(self, signals: Signals) -> Fusion:
        return Fusion(torch.cat([signals[m].mean() for m in self.modalities], dim=-1))
