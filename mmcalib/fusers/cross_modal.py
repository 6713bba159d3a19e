"""MulT's fusion: every modality attends to every other one, then to itself."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Fuser, Fusion, Signal, Signals
from mmcalib.positions import distances, sines
from mmcalib.registry import FUSERS

RATIO = 4  # width of the feed-forward layer, in widths


class Rates(NamedTuple):
    """Dropout inside a transformer."""

    dropout: float
    attention: float
    relu: float
    embed: float


class Layer(nn.Module):
    """Pre-norm attention to a source and a feed-forward layer, each with its shortcut."""

    def __init__(self, width: int, heads: int, rates: Rates) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, rates.attention, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.inner = nn.Linear(width, RATIO * width)
        self.outer = nn.Linear(RATIO * width, width)
        self.dropout = nn.Dropout(rates.dropout)
        self.relu_dropout = nn.Dropout(rates.relu)

    def forward(self, x: Tensor, source: Tensor, blocked: Tensor, heard: Tensor) -> Tensor:
        keys = self.norm1(source)
        y, _ = self.attention(self.norm1(x), keys, keys, attn_mask=blocked, need_weights=False)
        x = x + self.dropout(y) * heard
        y = self.outer(self.relu_dropout(F.relu(self.inner(self.norm2(x)))))
        return x + self.dropout(y)


class Stack(nn.Module):
    """Layers in which a target attends to a source, or to itself."""

    def __init__(self, width: int, depth: int, heads: int, rates: Rates, causal: bool) -> None:
        super().__init__()
        self.width, self.heads, self.causal = width, heads, causal
        self.dropout = nn.Dropout(rates.embed)
        self.layers = nn.ModuleList(Layer(width, heads, rates) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, target: Signal, source: Signal | None = None) -> Tensor:
        """Target (B, Lq, width), source (B, Lk, width) -> (B, Lq, width)."""
        mask = target.mask if source is None else source.mask
        blocked = self.blocked(target.mask, mask)
        heard = mask.any(dim=1).reshape(-1, 1, 1)
        x = self.embed(target)
        keys = None if source is None else self.embed(source)
        for layer in self.layers:
            x = layer(x, x if keys is None else keys, blocked, heard)
        return self.norm(x)

    def embed(self, signal: Signal) -> Tensor:
        angles = sines(steps(signal.mask), self.width).to(signal.x.dtype)
        return self.dropout(math.sqrt(self.width) * signal.x + angles)

    def blocked(self, query: Tensor, key: Tensor) -> Tensor:
        """Masks (B, Lq) and (B, Lk) -> (B * heads, Lq, Lk), True = may not attend."""
        allowed = key.unsqueeze(1).expand(-1, query.shape[1], -1)
        if self.causal:
            at, to = steps(query), steps(key)
            last = [(s * m).amax(dim=1) for s, m in ((at, query), (to, key))]
            reach = (last[0] - last[1]).abs().reshape(-1, 1, 1)
            allowed = allowed & (to.unsqueeze(1) <= at.unsqueeze(2) + reach)
        # Softmax over nothing is NaN: of an absent source, all is attended to, and then dropped.
        allowed = allowed | ~key.any(dim=1).reshape(-1, 1, 1)
        return (~allowed).repeat_interleave(self.heads, dim=0)


class Branch(nn.Module):
    """One target: a stack per source, and one over what they found."""

    def __init__(
        self, sources: list[str], width: int, depth: int, heads: int, rates: Rates, causal: bool
    ) -> None:
        super().__init__()
        self.cross = nn.ModuleDict({s: Stack(width, depth, heads, rates, causal) for s in sources})
        self.memory = Stack(len(sources) * width, depth, heads, rates, causal)

    def forward(self, target: Signal, sources: Signals) -> Tensor:
        """Target (B, L, width) -> its last real token (B, (M - 1) width), zero where absent."""
        found = torch.cat([stack(target, sources[s]) for s, stack in self.cross.items()], dim=-1)
        tokens = self.memory(Signal(found, target.mask))
        last = target.mask.shape[1] - 1 - target.mask.flip(1).int().argmax(dim=1)
        rows = torch.arange(last.shape[0], device=last.device)
        return tokens[rows, last] * target.present.unsqueeze(-1)


@FUSERS.register_module()
class CrossModal(Fuser):
    """MulT: directed transformers between every two modalities, their last tokens concatenated.

    Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences", ACL 2019,
    arXiv:1906.00295. Per target m and source o, from h = sqrt(width) W_m X_m + P and
    k = sqrt(width) W_o X_o + P, per layer h += attn(LN(h), LN(k), LN(k)) and
    h += W2 relu(W1 LN(h)), LN at the end. Per target, the same layers with k = h read the
    concatenation over sources; its last real token is z_m. The vector is
    z + W2' relu(W1' z), z = [z_1; ..; z_M].

    Of the paper's convolution, kernel 1 and no bias are the default of its public code, as are
    dropout rates, the mask and that a modality `width` wide is not projected.
    Differs from the code: the attention dropout is the same for all modalities, where the code has
    none for attention to audio and vision; all stacks have `depth` layers, where the code has
    three or more of self-attention; text has no dropout before its projection; sines alternate with
    cosines and start at step 0.
    The paper leaves open, and we decide: the residual layers behind z belong to the fuser, the last
    linear layer is the head. Positions count from the first real token.

    Missing: padded tokens are not attended to. Attention to an absent source adds nothing, so that
    a target keeps its own tokens in that direction; z of an absent target is zeros.

    Args:
        width: of the tokens, even; the vector is M (M - 1) times as wide.
        depth: number of layers of every stack.
        heads: of attention; must divide `width`.
        causal: whether step t attends up to step t + |last step of target - last step of source|
            only, as in the code.
        dropout: at the end of both branches of a layer, rate in [0, 1).
        attention_dropout: of attention weights, rate in [0, 1).
        relu_dropout: inside the feed-forward layer, rate in [0, 1).
        embed_dropout: before the first layer, rate in [0, 1).
        out_dropout: inside the residual layers behind z, rate in [0, 1).
    """

    def __init__(
        self,
        dims: dict[str, int],
        width: int = 30,
        depth: int = 5,
        heads: int = 5,
        causal: bool = True,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        relu_dropout: float = 0.1,
        embed_dropout: float = 0.25,
        out_dropout: float = 0.0,
    ) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'CrossModal needs two or more modalities; it was given {list(dims)}')
        if depth < 1 or heads < 1 or width < 2 or width % heads or width % 2:
            raise ValueError(
                f'CrossModal(width={width}, depth={depth}, heads={heads}): width is even and a '
                'multiple of heads, depth 1 or more'
            )
        rates = Rates(dropout, attention_dropout, relu_dropout, embed_dropout)
        if not all(0 <= rate < 1 for rate in (*rates, out_dropout)):
            raise ValueError(
                f'CrossModal({rates}, out_dropout={out_dropout}); a rate lies in [0, 1)'
            )
        self.out_dim = len(dims) * (len(dims) - 1) * width
        self.project = nn.ModuleDict(
            {
                m: nn.Identity() if dim == width else nn.Linear(dim, width, bias=False)
                for m, dim in dims.items()
            }
        )
        self.branches = nn.ModuleDict(
            {
                m: Branch([o for o in dims if o != m], width, depth, heads, rates, causal)
                for m in dims
            }
        )
        self.inner = nn.Linear(self.out_dim, self.out_dim)
        self.outer = nn.Linear(self.out_dim, self.out_dim)
        self.dropout = nn.Dropout(out_dropout)

    def forward(self, signals: Signals) -> Fusion:
        tokens = {
            m: Signal(self.project[m](signals[m].clean()), signals[m].mask) for m in self.modalities
        }
        z = torch.cat([self.branches[m](tokens[m], tokens) for m in self.modalities], dim=-1)
        return Fusion(z + self.outer(self.dropout(F.relu(self.inner(z)))))


def steps(mask: Tensor) -> Tensor:
    """(B, L) -> (B, L): distance to the first real token; 0 before it."""
    return distances(mask).clamp(min=0)
