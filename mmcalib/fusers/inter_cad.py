"""InterCAD: align the levels of all modalities, then join shared and private summaries."""

import math
from itertools import combinations
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Fuser, Fusion, Losses, Signal, Signals
from mmcalib.registry import FUSERS

EPSILON = 1e-6  # under the square root of a norm


class Summaries(NamedTuple):
    """Every modality's summaries; zero where it is absent."""

    shared: Tensor  # s (B, M, K, width)
    private: Tensor  # p (B, M, K, width)
    present: Tensor  # (B, M) bool


@FUSERS.register_module()
class InterCAD(Fuser):
    """Inter-Level Co-Aggregation Domain: weigh levels, attend over modalities, gate private parts.

    Meng et al., "CLCR: Cross-Level Semantic Collaborative Representation for Multimodal Learning",
    CVPR 2026, arXiv:2602.19605. With summaries s_l and p_l per modality and level:
    omega = softmax(level scores);  s-_m = sum_l omega_l s_l,m,  p-_m = sum_l omega_l p_l,m;
    z_sh = attention of a global context over s-_m;  eta_m = sigma(w^T LN(W_m p-_m)),
    u_pr = sum_m eta_m p-_m;  the vector is [z_sh; u_pr].

    The paper leaves open, and we decide: a summary is LN(W mean over tokens), with W and LN per
    modality and stream; omega = softmax(MLP([s_1; p_1; ...] averaged over modalities) +
    <s_l averaged, anchor_l> / sqrt(width)), anchors learnable; the context is the mean of s-_m;
    z_sh = sum_m softmax_m(<W_q g, W_k s-_m> / sqrt(width)) W_v s-_m;
    `loss_inter` = weight * (L_pr + L_sp + L_mix) with L_pr = mean over modalities and levels l < j
    of cos^2(p_l, p_j), L_sp = mean over l != j of cos^2(s_l, p_j), L_mix = sum over l < j of
    (j - l) / (K - 1) omega_l omega_j. With one level all three are zero.

    Tokens are as `IntraCED` gives them, 'b (l k s) d': of each token all levels, of each level the
    shared and the private stream. With streams=1 there is one, 'b (l k) d', and s and p are two
    linear views of it.

    Missing: padded tokens enter no summary; an absent modality enters no mean, attention or sum.
    Without any modality the vector is zeros.
    Losses: `loss_inter`, in training only.

    Args:
        levels: K.
        streams: 2 behind `IntraCED`, 1 behind other calibrators; the number of tokens must be a
            multiple of levels * streams.
        width: d; the vector is twice as wide.
        weight: lambda_inter.
    """

    def __init__(
        self,
        dims: dict[str, int],
        levels: int = 3,
        streams: int = 2,
        width: int = 128,
        weight: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if levels < 1 or streams not in (1, 2) or width < 1 or weight < 0:
            raise ValueError(
                f'InterCAD(levels={levels}, streams={streams}, width={width}, weight={weight}): '
                'levels and width are 1 or more, streams 1 or 2, weight 0 or more'
            )
        self.levels, self.streams, self.width, self.weight = levels, streams, width, weight
        self.out_dim = 2 * width
        self.shared = nn.ModuleDict({m: summary(dim, width) for m, dim in dims.items()})
        self.private = nn.ModuleDict({m: summary(dim, width) for m, dim in dims.items()})
        self.score = nn.Sequential(
            nn.Linear(2 * levels * width, width), nn.GELU(), nn.Linear(width, levels)
        )
        self.anchors = nn.Parameter(torch.randn(levels, width) / math.sqrt(width))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.confidence = nn.ModuleDict(
            {
                m: nn.Sequential(
                    nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 1, bias=False)
                )
                for m in dims
            }
        )

    def forward(self, signals: Signals) -> Fusion:
        summaries = self.summarise(signals)
        omega = self.weigh(summaries)  # (B, K)
        shared = (summaries.shared * omega[:, None, :, None]).sum(2)  # (B, M, width)
        private = (summaries.private * omega[:, None, :, None]).sum(2)
        vector = torch.cat([self.join(shared, summaries.present), self.gate(private)], dim=-1)
        losses: Losses = {}
        if self.training:
            losses = {'loss_inter': self.weight * redundancy(summaries, omega)}
        return Fusion(vector, losses)

    def summarise(self, signals: Signals) -> Summaries:
        """Signals (B, K S L, D) -> s and p of every modality and level."""
        shared, private, present = [], [], []
        for m in self.modalities:
            means = self.unfold(signals[m])  # (B, K, S, D)
            here = signals[m].present
            real = here.reshape(-1, 1, 1)
            shared.append(self.shared[m](means[:, :, 0]) * real)
            private.append(self.private[m](means[:, :, -1]) * real)
            present.append(here)
        return Summaries(*(torch.stack(part, dim=1) for part in (shared, private, present)))

    def unfold(self, signal: Signal) -> Tensor:
        """(B, L K S, D) -> means over tokens (B, K, S, D)."""
        x, mask = signal
        parts = self.levels * self.streams
        if left := -x.shape[1] % parts:
            if mask.any():  # a modality that the whole batch lacks may have any length
                raise ValueError(
                    f'InterCAD(levels={self.levels}, streams={self.streams}) was given '
                    f'{x.shape[1]} tokens; it needs a multiple of {parts}'
                )
            x, mask = F.pad(x, (0, 0, 0, left)), F.pad(mask, (0, left))
        folded = Signal(
            rearrange(x, 'b (l p) d -> (b p) l d', p=parts),
            rearrange(mask, 'b (l p) -> (b p) l', p=parts),
        )
        return rearrange(folded.mean(), '(b k s) d -> b k s d', k=self.levels, s=self.streams)

    def weigh(self, summaries: Summaries) -> Tensor:
        """omega (B, K)."""
        count = summaries.present.sum(1).clamp(min=1).reshape(-1, 1, 1)
        shared, private = (s.sum(1) / count for s in (summaries.shared, summaries.private))
        anchored = (shared * self.anchors).sum(-1) / math.sqrt(self.width)
        scores = self.score(torch.cat([shared, private], dim=-1).flatten(1))
        return (scores + anchored).softmax(-1)

    def join(self, shared: Tensor, present: Tensor) -> Tensor:
        """z_sh: s- (B, M, width) -> (B, width)."""
        some = present.any(dim=1, keepdim=True)
        context = shared.sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        scores = (self.query(context).unsqueeze(1) * self.key(shared)).sum(-1)
        # Softmax over nothing is NaN: without any modality all are attended to, and then dropped.
        scores = (scores / math.sqrt(self.width)).masked_fill(~present & some, -math.inf)
        return (scores.softmax(-1).unsqueeze(-1) * self.value(shared)).sum(1) * some

    def gate(self, private: Tensor) -> Tensor:
        """u_pr: p- (B, M, width), zero where absent -> (B, width)."""
        parts = zip(self.modalities, private.unbind(1), strict=True)
        eta = torch.stack([self.confidence[m](p).sigmoid() for m, p in parts], dim=1)
        return (eta * private).sum(1)


def summary(dim: int, width: int) -> nn.Sequential:
    """LN(W x)."""
    return nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width))


def redundancy(summaries: Summaries, omega: Tensor) -> Tensor:
    """L_pr + L_sp + L_mix, over present modalities and samples that have one."""
    levels = omega.shape[1]
    if levels == 1:
        return 0 * omega.sum()
    present = summaries.present
    pairs = list(combinations(range(levels), 2))
    private, shared = unit(summaries.private), unit(summaries.shared)
    within = (private @ private.mT).square()  # (B, M, K, K)
    across = (shared @ private.mT).square()
    both = [within[..., low, high] for low, high in pairs]
    leak = [across[..., low, high] + across[..., high, low] for low, high in pairs]
    count = len(pairs) * present.sum().clamp(min=1)
    private_loss = (torch.stack(both).sum(0) * present).sum() / count
    leak_loss = (torch.stack(leak).sum(0) * present).sum() / (2 * count)
    mixes = [(high - low) / (levels - 1) * omega[:, low] * omega[:, high] for low, high in pairs]
    some = present.any(dim=1)
    mix_loss = (torch.stack(mixes).sum(0) * some).sum() / some.sum().clamp(min=1)
    return private_loss + leak_loss + mix_loss


def unit(x: Tensor) -> Tensor:
    """Rows of length one; zero stays zero."""
    return x * (x.square().sum(-1, keepdim=True) + EPSILON).rsqrt()
