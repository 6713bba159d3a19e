"""FiLM: the other modalities scale and shift the vector of one, before the sum."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class FiLM(Fuser):
    """Feature-wise linear modulation of each modality's vector by the others, then their sum.

    Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018,
    arXiv:1709.07871, Eq. 1-2: h = sum_m gamma(c_m) * u_m + beta(c_m), with u_m = P_m x_m, x_m the
    mean over tokens, and affine gamma and beta of each modality.

    The paper leaves open, and we decide: it has one question that modulates one image; here each
    modality is modulated, by c_m = mean over the other modalities o of relu(u_o). The vector is the
    sum, not the concatenation, and gamma = 1 and beta = 0 at the start, so that it starts as `Sum`.
    Under the name FiLM, some code for balanced multimodal learning has a bilinear product; this is
    Eq. 2.

    Missing: an absent modality adds nothing, and is left out of the mean over partners; without
    any partner c is zero, and gamma and beta are their biases.

    Args:
        width: of u, c and the vector.
    """

    def __init__(self, dims: dict[str, int], width: int = 128) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'FiLM needs two or more modalities; it was given {list(dims)}')
        if width < 1:
            raise ValueError(f'FiLM(width={width}); a width is 1 or more')
        self.out_dim = width
        self.project = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.modulate = nn.ModuleDict({m: nn.Linear(width, 2 * width) for m in dims})
        for parameter in self.modulate.parameters():
            nn.init.zeros_(parameter)

    def forward(self, signals: Signals) -> Fusion:
        projected = torch.stack([self.project[m](signals[m].mean()) for m in self.modalities])
        here = torch.stack([signals[m].present for m in self.modalities]).unsqueeze(-1)  # (M, B, 1)
        said = projected.relu() * here
        parts: list[Tensor] = []
        for index, m in enumerate(self.modalities):
            partners = here.sum(0) - here[index].long()
            condition = (said.sum(0) - said[index]) / partners.clamp(min=1)
            rise, shift = self.modulate[m](condition).chunk(2, dim=-1)
            parts.append(((1 + rise) * projected[index] + shift) * here[index])
        return Fusion(torch.stack(parts).sum(0))
