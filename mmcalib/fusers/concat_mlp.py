"""Concatenation and a two-layer MLP: capacity without calibration."""

import torch
from torch import nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class ConcatMLP(Fuser):
    """Mean of each modality over its real tokens, concatenated, through a two-layer MLP.

    The Concat+MLP control of Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679, 2026,
    Tables 5 and 7: h = W_2 drop(gelu(W_1 [x_1; ..; x_M])), x_m the mean over tokens. The paper
    leaves open, and we decide: that the MLP stands behind the concatenation, and both its layers
    have one width. `MatchedMLP` is the reading in which it stands before, as a calibrator.

    Missing: an absent modality is zeros.

    Args:
        width: of the hidden layer and the vector. The fuser has
            (sum_m D_m + width + 2) * width parameters; the paper sets as many as VGMR has.
        dropout: behind the hidden layer, rate in [0, 1).
    """

    def __init__(self, dims: dict[str, int], width: int = 128, dropout: float = 0.1) -> None:
        super().__init__(dims)
        if width < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f'ConcatMLP(width={width}, dropout={dropout}): '
                'a width is 1 or more, a rate lies in [0, 1)'
            )
        self.out_dim = width
        self.mlp = nn.Sequential(
            nn.Linear(sum(dims.values()), width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, signals: Signals) -> Fusion:
        return Fusion(self.mlp(torch.cat([signals[m].mean() for m in self.modalities], dim=-1)))
