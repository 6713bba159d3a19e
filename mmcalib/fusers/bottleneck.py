"""MBT: transformers that talk to each other through a few shared tokens."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Fuser, Fusion, Signal, Signals
from mmcalib.positions import distances, sines
from mmcalib.registry import FUSERS

SPREAD = 0.02  # of the bottleneck tokens at the start, as in the public code


class Layer(nn.Module):
    """One transformer layer per modality."""

    def __init__(
        self, modalities: tuple[str, ...], width: int, heads: int, ratio: int, dropout: float
    ) -> None:
        super().__init__()
        self.own = nn.ModuleDict(
            {
                m: nn.TransformerEncoderLayer(
                    width, heads, ratio * width, dropout, 'gelu', batch_first=True, norm_first=True
                )
                for m in modalities
            }
        )

    def forward(self, signals: Signals, shared: Tensor | None = None) -> tuple[Signals, Tensor]:
        """Tokens (B, L_m, width), shared (B, T, width) -> both; (M, B, T, width) shared tokens."""
        moved: Signals = {}
        written: list[Tensor] = []
        for m, layer in self.own.items():
            x, mask = signals[m]
            length = x.shape[1]
            padding = ~mask
            if shared is not None:
                x = torch.cat([x, shared], dim=1)
                real = padding.new_zeros(shared.shape[:2])
                padding = torch.cat([padding, real], dim=1)
            x = layer(x, src_key_padding_mask=padding)
            moved[m] = Signal(x[:, :length], mask)
            written.append(x[:, length:])
        return moved, torch.stack(written)


@FUSERS.register_module()
class Bottleneck(Fuser):
    """Multimodal bottleneck transformer: modalities exchange through `tokens` shared tokens.

    Nagrani et al., "Attention Bottlenecks for Multimodal Fusion", NeurIPS 2021, arXiv:2107.00135.
    A transformer per modality; from layer `separate` on, [z_m; b_m] = layer_m([z_m; b]) and
    b = mean_m b_m. Each z_m starts with a class token; the vector is the mean over modalities of
    LN(class token). The paper averages the logits of class tokens, which one linear head makes the
    same.

    Differs from the paper: tokens have sinusoidal positions (Vaswani et al. 2017), counted from the
    first real token, where it has learned ones, so that any length fits; no layer is dropped at
    random; nothing is pretrained.

    Missing: padded tokens are not attended to; an absent modality enters neither mean. Without any
    modality the vector is zeros.

    Args:
        width: of all tokens and of the vector, even.
        depth: number of layers.
        heads: of attention; must divide `width`.
        tokens: number of bottleneck tokens; few let little through.
        separate: number of first layers without exchange; 0 is early fusion, and one layer at
            least must be left.
        ratio: width of the feed-forward layer as a multiple of `width`.
        dropout: inside the layers, rate in [0, 1); 0 in the paper's public configuration.
    """

    def __init__(
        self,
        dims: dict[str, int],
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        tokens: int = 4,
        separate: int = 8,
        ratio: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'Bottleneck needs two or more modalities; it was given {list(dims)}')
        if width < 2 or heads < 1 or width % heads or width % 2:
            raise ValueError(
                f'Bottleneck(width={width}, heads={heads}); width is even and a multiple of heads'
            )
        if not 0 <= separate < depth:
            raise ValueError(
                f'Bottleneck(depth={depth}, separate={separate}); separate lies in [0, depth)'
            )
        if tokens < 1 or ratio < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f'Bottleneck(tokens={tokens}, ratio={ratio}, dropout={dropout}): '
                'tokens and ratio are 1 or more, a rate lies in [0, 1)'
            )
        self.separate, self.out_dim = separate, width
        self.project = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.classes = nn.ParameterDict({m: nn.Parameter(torch.zeros(width)) for m in dims})
        self.shared = nn.Parameter(SPREAD * torch.randn(tokens, width))
        self.layers = nn.ModuleList(
            Layer(self.modalities, width, heads, ratio, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, signals: Signals) -> Fusion:
        here = torch.stack([signals[m].present for m in self.modalities])  # (M, B)
        tokens = {m: self.embed(m, signals[m]) for m in self.modalities}
        shared = self.shared.expand(here.shape[1], -1, -1)
        for index, layer in enumerate(self.layers):
            if index < self.separate:
                tokens, _ = layer(tokens)
            else:
                tokens, written = layer(tokens, shared)
                shared = average(written, here)
        classes = torch.stack([tokens[m].x[:, 0] for m in self.modalities])
        return Fusion(average(self.norm(classes), here))

    def embed(self, modality: str, signal: Signal) -> Signal:
        """(B, L, D) -> (B, 1 + L, width): a class token, which is always real, and the tokens."""
        x = self.project[modality](signal.clean())
        x = x + sines(distances(signal.mask), self.out_dim).to(x.dtype)
        first = self.classes[modality].to(x.dtype).expand(x.shape[0], 1, -1)
        real = signal.mask.new_ones(x.shape[0], 1)
        return Signal(torch.cat([first, x], dim=1), torch.cat([real, signal.mask], dim=1))


def average(x: Tensor, here: Tensor) -> Tensor:
    """(M, B, ...) -> (B, ...): mean over present modalities, zero without any."""
    here = here.reshape(*here.shape, *[1] * (x.ndim - 2))
    return (x * here).sum(0) / here.sum(0).clamp(min=1)
