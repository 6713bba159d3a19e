"""One transformer over the tokens of all modalities."""

import math

import torch
from torch import Tensor, nn

from mmcalib.contract import Fuser, Fusion, Signal, Signals
from mmcalib.positions import sines
from mmcalib.registry import FUSERS


@FUSERS.register_module()
class TokenTransformer(Fuser):
    """Project every modality to one width, attend over all tokens, pool each modality.

    The sequence family of Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679, section
    4 (a shared Transformer backbone behind modality-specific input projections). Depth, width and
    heads are not published; ours give the published size (0.7 M on 768/74/35 wide inputs). Also
    ours: pre-norm, a learned embedding per modality, sinusoidal positions (Vaswani et al. 2017),
    the mean over each modality's real tokens, concatenated.

    Missing: absent and padded tokens are neither attended to nor pooled; an absent modality is
    zeros.

    Args:
        width: of the tokens inside; the vector is M times as wide.
        depth: number of layers.
        heads: of attention; must divide `width`.
        ratio: width of the feed-forward layer as a multiple of `width`.
        dropout: inside the layers, rate in [0, 1).
    """

    def __init__(
        self,
        dims: dict[str, int],
        width: int = 128,
        depth: int = 3,
        heads: int = 4,
        ratio: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if width % heads or width % 2:
            raise ValueError(
                f'TokenTransformer(width={width}, heads={heads}): width must be even and a '
                'multiple of heads'
            )
        self.width = width
        self.out_dim = width * len(dims)
        self.project = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.modality = nn.ParameterDict(
            {m: nn.Parameter(torch.randn(width) / math.sqrt(width)) for m in dims}
        )
        layer = nn.TransformerEncoderLayer(
            width, heads, ratio * width, dropout, 'gelu', batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, depth, nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, signals: Signals) -> Fusion:
        parts = [self.embed(m, signals[m]) for m in self.modalities]
        mask = torch.cat([signals[m].mask for m in self.modalities], dim=1)
        # Softmax over no key is NaN: a sample with nothing at all may attend to its first token.
        padding = ~mask
        padding[:, 0] &= mask.any(dim=1)
        tokens = self.layers(torch.cat(parts, dim=1), src_key_padding_mask=padding)
        lengths = [part.shape[1] for part in parts]
        pooled = map(Signal, tokens.split(lengths, dim=1), mask.split(lengths, dim=1))
        return Fusion(torch.cat([signal.mean() for signal in pooled], dim=-1))

    def embed(self, modality: str, signal: Signal) -> Tensor:
        """(B, L, D) -> (B, L, width): projection + modality embedding + position."""
        x = self.project[modality](signal.clean())
        step = torch.arange(x.shape[1], device=x.device)
        return x + self.modality[modality] + sines(step, self.width).to(x.dtype)
