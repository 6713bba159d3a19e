"""Sum of projected modalities."""

import torch
from torch import nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class Sum(Fuser):
    """Mean of each modality over its real tokens, projected to one width, added.

    The summation of Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679, 2026, Table 5:
    h = sum_m W_m x_m + b_m, x_m the mean over tokens. The projection is ours; the paper prints no
    equation.

    Missing: an absent modality adds nothing, no bias either.

    Args:
        width: of the vector.
    """

    def __init__(self, dims: dict[str, int], width: int = 128) -> None:
        super().__init__(dims)
        if width < 1:
            raise ValueError(f'Sum(width={width}); a width is 1 or more')
        self.out_dim = width
        self.project = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})

    def forward(self, signals: Signals) -> Fusion:
        parts = [
            self.project[m](signals[m].mean()) * signals[m].present.unsqueeze(-1)
            for m in self.modalities
        ]
        return Fusion(torch.stack(parts).sum(0))
