"""Product of modalities, channel by channel."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Fuser, Fusion, Signals
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class Product(Fuser):
    """Mean of each modality over its real tokens, multiplied channel by channel, and squashed.

    The default fusion in the public code of MIM (Zeng et al., "Multimodal Reaction: Information
    Modulation for Cross-Modal Representation Learning", IEEE TMM 2023): h = tanh(W prod_m p_m + b).

    Differs from the code: a modality that is not `width` wide is projected first; its modalities
    all are.

    Missing: an absent modality is ones, and leaves the product to the others.

    Args:
        width: of the product and the vector; 80 in the code. A modality of this width is not
            projected.
    """

    def __init__(self, dims: dict[str, int], width: int = 80) -> None:
        super().__init__(dims)
        if width < 1:
            raise ValueError(f'Product(width={width}); a width is 1 or more')
        self.out_dim = width
        self.project = nn.ModuleDict(
            {m: nn.Identity() if dim == width else nn.Linear(dim, width) for m, dim in dims.items()}
        )
        self.out = nn.Linear(width, width)

    def forward(self, signals: Signals) -> Fusion:
        product = torch.ones((), device=self.out.weight.device)
        for m in self.modalities:
            part: Tensor = self.project[m](signals[m].mean())
            product = product * torch.where(signals[m].present.unsqueeze(-1), part, 1.0)
        return Fusion(self.out(product).tanh())
