"""Low-rank multimodal fusion: tensor fusion without the tensor."""

import torch
from torch import nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class LowRank(Fuser):
    """Tensor fusion whose weights are a sum of `rank` products of one factor per modality.

    Liu et al., "Efficient Low-rank Multimodal Fusion with Modality-Specific Factors", ACL 2018,
    arXiv:1806.00064: h = sum_i prod_m (w_m^i [1; x_m]) + b, with i up to the rank, the product
    channel by channel, and x_m the mean over tokens. The column of a factor that meets the 1 is the
    bias of its linear layer.

    Differs from the public code: its learned weight of each rank is left to the factors.

    Missing: an absent modality is [1; 0].

    Args:
        width: of the vector.
        rank: number of products; the parameters grow with it.
    """

    def __init__(self, dims: dict[str, int], width: int = 128, rank: int = 4) -> None:
        super().__init__(dims)
        if width < 1 or rank < 1:
            raise ValueError(f'LowRank(width={width}, rank={rank}); both are 1 or more')
        self.out_dim, self.rank = width, rank
        self.factors = nn.ModuleDict({m: nn.Linear(dim, rank * width) for m, dim in dims.items()})
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, signals: Signals) -> Fusion:
        parts = [self.factors[m](signals[m].mean()) for m in self.modalities]
        products = torch.stack(parts).prod(0).unflatten(-1, (self.rank, -1))  # (B, rank, width)
        return Fusion(products.sum(1) + self.bias)
