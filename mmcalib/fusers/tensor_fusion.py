"""Tensor fusion: the outer product of all modalities."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class TensorFusion(Fuser):
    """Every product of channels of one, two, .. M modalities, through a linear layer.

    Zadeh et al., "Tensor Fusion Network for Multimodal Sentiment Analysis", EMNLP 2017,
    arXiv:1707.07250: h = W vec([1; z_1] x [1; z_2] x .. x [1; z_M]) + b, x the outer product, here
    with z_m = U_m x_m + c_m, x_m the mean over tokens.

    Differs from the paper: U_m and the encoder stand for its embedding networks, W and the head for
    its inference network, and all z_m have one width.

    Missing: an absent modality has z = 0, so that its 1 remains, and the products without it.

    Args:
        width: of z_m. W has (width + 1)^M columns: 35937 for three modalities at 32.
        out_dim: width of the vector.
    """

    def __init__(self, dims: dict[str, int], width: int = 32, out_dim: int = 128) -> None:
        super().__init__(dims)
        if width < 1 or out_dim < 1:
            raise ValueError(
                f'TensorFusion(width={width}, out_dim={out_dim}); a width is 1 or more'
            )
        self.out_dim = out_dim
        self.project = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.out = nn.Linear((width + 1) ** len(dims), out_dim)

    def forward(self, signals: Signals) -> Fusion:
        first, *others = self.modalities
        tensor = self.extended(first, signals)
        for m in others:
            tensor = torch.einsum('bi,bj->bij', tensor, self.extended(m, signals)).flatten(1)
        return Fusion(self.out(tensor))

    def extended(self, modality: str, signals: Signals) -> Tensor:
        """[1; z] (B, 1 + width)."""
        here = signals[modality].present.unsqueeze(-1)
        z = self.project[modality](signals[modality].mean()) * here
        return torch.cat([torch.ones_like(z[:, :1]), z], dim=-1)
