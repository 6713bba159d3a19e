"""CrossAttention: the tokens of each modality attend to those of the others."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


class Attended(NamedTuple):
    """What one modality receives."""

    x: Tensor  # (B, L, D)
    share: Tensor  # (B, L, M - 1), attention per partner


@CALIBRATORS.register_module()
class CrossAttention(Calibrator):
    """Cross-modal attention: each token adds what it finds among the other modalities' tokens.

    Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences", ACL 2019,
    arXiv:1906.00295, Eq. 3: X~_m = X_m + O_m Attn(Q_m X_m, K X_o, V X_o), softmax over the tokens
    of all partners o at once. Also the control of VGMR's Table 6 (arXiv:2606.02679).

    Differs from the paper: one layer, without positions, norm, feed-forward layer and causal mask;
    one attention over all partners, where MulT has one transformer per pair; each modality has one
    K and V for all that read it.

    Missing: absent and padded tokens are not attended to; without any partner X_m stays as it is.
    An absent modality stays absent.
    Evidence: `attention` (B, L, M - 1), the share that each partner gets, in the order of
    modalities, averaged over heads; zero without partners.

    Args:
        width: of queries, keys and values, all heads together; the default gives the published
            2.3 M parameters on 768/74/35 wide inputs.
        heads: must divide `width`.
    """

    def __init__(self, dims: dict[str, int], width: int = 660, heads: int = 5) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(
                f'CrossAttention needs two or more modalities; it was given {list(dims)}'
            )
        if width < 1 or heads < 1 or width % heads:
            raise ValueError(
                f'CrossAttention(width={width}, heads={heads}); width is a multiple of heads'
            )
        self.heads = heads
        self.query = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.key = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.value = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.out = nn.ModuleDict({m: nn.Linear(width, dim) for m, dim in dims.items()})

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        keys = {m: self.key[m](signals[m].clean()) for m in self.modalities}
        values = {m: self.value[m](signals[m].clean()) for m in self.modalities}
        moved: Signals = {}
        shares: dict[str, Tensor] = {}
        for m in self.modalities:
            others = [o for o in self.modalities if o != m]
            found = self.attend(
                self.query[m](signals[m].clean()),
                [keys[o] for o in others],
                [values[o] for o in others],
                [signals[o].mask for o in others],
            )
            here = torch.stack([signals[o].present for o in others]).any(0).reshape(-1, 1, 1)
            x = signals[m].clean() + self.out[m](found.x) * here
            moved[m] = Signal(x, signals[m].mask)
            shares[m] = found.share.detach()
        return Calibration(moved, evidence={'attention': shares})

    def attend(
        self, query: Tensor, keys: list[Tensor], values: list[Tensor], masks: list[Tensor]
    ) -> Attended:
        """Queries (B, L, width) over the tokens of several partners."""
        mask = torch.cat(masks, dim=1)  # (B, K)
        # Softmax over no key is NaN: without any, the first is attended to, and `here` drops it.
        real = mask.clone()
        real[:, 0] |= ~mask.any(dim=1)
        q, k, v = (self.split(x) for x in (query, torch.cat(keys, 1), torch.cat(values, 1)))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, heads, L, K)
        weights = scores.masked_fill(~real[:, None, None], -math.inf).softmax(-1)
        x = (weights.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        parts = (weights.mean(1) * mask.unsqueeze(1)).split([m.shape[1] for m in masks], dim=-1)
        return Attended(x, torch.stack([part.sum(-1) for part in parts], dim=-1))

    def split(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, heads, L, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
