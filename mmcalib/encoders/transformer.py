"""Transformer: a convolution and self-attention over a sequence of features."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Encoder, Signal
from mmcalib.positions import distances, sines
from mmcalib.registry import ENCODERS

RATIO = 4  # width of the feed-forward layer, in widths


class Layer(nn.Module):
    """Pre-norm self-attention and feed-forward layer, each with its shortcut."""

    def __init__(
        self, width: int, heads: int, dropout: float, attention_dropout: float, relu_dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, attention_dropout, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.inner = nn.Linear(width, RATIO * width)
        self.outer = nn.Linear(RATIO * width, width)
        self.dropout = nn.Dropout(dropout)
        self.relu_dropout = nn.Dropout(relu_dropout)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        y = self.norm1(x)
        y, _ = self.attention(y, y, y, key_padding_mask=padding, need_weights=False)
        x = x + self.dropout(y)
        y = self.outer(self.relu_dropout(F.relu(self.inner(self.norm2(x)))))
        return x + self.dropout(y)


@ENCODERS.register_module()
class Transformer(Encoder):
    """Convolution and transformer encoder on features (B, L, in_dim): (B, L, width).

    Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences", ACL 2019,
    arXiv:1906.00295: a 1-D convolution to a common width, then layers of self-attention with
    sinusoidal positions: h = sqrt(width) * conv(x) + P; per layer h += attn(LN(h)) and
    h += W2 relu(W1 LN(h)); LN at the end. The defaults are those of MIM (Zeng et al.,
    "Multimodal Reaction: Information Modulation for Cross-Modal Representation Learning",
    IEEE TMM 2023), which gives text the convolution only: depth=0.

    Differs from the papers: padding is masked, and positions count from the first real token.

    Missing: padded tokens are zeros before the convolution and are not attended to, so that a
    sequence is encoded as if it stood alone; absent samples never enter.

    Args:
        in_dim: width of the raw features.
        width: even, and a multiple of `heads`.
        depth: number of layers; 0 leaves the convolution, without positions and norm.
        heads: of attention.
        kernel: of the convolution, odd; it has no bias.
        dropout: at the end of both branches of a layer, rate in [0, 1).
        attention_dropout: of attention weights, rate in [0, 1).
        relu_dropout: inside the feed-forward layer, rate in [0, 1).
        embed_dropout: before the first layer, rate in [0, 1).
        positions: whether to add P; without, the order shows in the convolution only.
    """

    def __init__(
        self,
        in_dim: int,
        width: int = 80,
        depth: int = 3,
        heads: int = 5,
        kernel: int = 3,
        dropout: float = 0.3,
        attention_dropout: float = 0.5,
        relu_dropout: float = 0.3,
        embed_dropout: float = 0.2,
        positions: bool = True,
    ) -> None:
        super().__init__()
        rates = {
            'dropout': dropout,
            'attention_dropout': attention_dropout,
            'relu_dropout': relu_dropout,
            'embed_dropout': embed_dropout,
        }
        check(in_dim, width, depth, heads, kernel, rates)
        self.in_dim, self.out_dim, self.positions = in_dim, width, positions
        self.conv = nn.Conv1d(in_dim, width, kernel, padding=kernel // 2, bias=False)
        self.dropout = nn.Dropout(embed_dropout)
        self.layers = nn.ModuleList(
            Layer(width, heads, dropout, attention_dropout, relu_dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width) if depth else nn.Identity()

    def encode(self, raw: Signal) -> Signal:
        if raw.x.ndim != 3 or raw.x.shape[-1] != self.in_dim:
            raise ValueError(
                f'Transformer(in_dim={self.in_dim}) reads (B, L, {self.in_dim}), '
                f'but was given {tuple(raw.x.shape)}'
            )
        x = self.conv(raw.clean().transpose(1, 2)).transpose(1, 2)
        if self.layers:
            x = math.sqrt(self.out_dim) * x
            if self.positions:
                x = x + sines(distances(raw.mask), self.out_dim).to(x.dtype)
            x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, ~raw.mask)
        return Signal(self.norm(x), raw.mask)


def check(
    in_dim: int, width: int, depth: int, heads: int, kernel: int, rates: dict[str, float]
) -> None:
    """Refuse arguments that make no Transformer."""
    if in_dim < 1 or depth < 0:
        raise ValueError(
            f'Transformer(in_dim={in_dim}, depth={depth}); in_dim is 1 or more, depth 0 or more'
        )
    if width < 2 or heads < 1 or width % heads or width % 2:
        raise ValueError(
            f'Transformer(width={width}, heads={heads}); width is even and a multiple of heads'
        )
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f'Transformer(kernel={kernel}); a kernel is odd and positive')
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f'Transformer({name}={rate}); a rate lies in [0, 1)')
