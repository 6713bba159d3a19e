"""IntraCED: modalities exchange what they share, level by level, within a budget."""

import math
from itertools import combinations
from typing import Any, NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.utils.parametrizations import orthogonal

from mmcalib.contract import Calibration, Calibrator, Losses, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS

EPSILON = 1e-6  # under the square root of the evidence
MOMENTUM = 0.1  # of the running mean of the evidence, as in BatchNorm
RIDGE = 1e-3  # of the covariances, as a share of 1 + mean variance
SLOPE, THRESHOLD = 4.0, 0.5  # where a and theta start: a token of mean evidence asks for 0.88
BISECTIONS = 30  # then one exact step


class Bases(NamedTuple):
    """Orthonormal columns, per level."""

    shared: Tensor  # U_sh (K, width, shared)
    private: dict[str, Tensor]  # U_pr per modality (K, width, private)


class Streams(NamedTuple):
    """A token's coordinates in the two bases."""

    shared: Tensor  # (B, K, L, shared)
    private: Tensor  # (B, K, L, private)


class Exchanged(NamedTuple):
    """What one modality has after the exchange."""

    shared: Tensor  # (B, K, L, shared)
    alpha: Tensor  # (B, K, L)


class PerLevel(nn.Module):
    """One Linear per level."""

    def __init__(self, levels: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_dim)
        self.weight = nn.Parameter(torch.empty(levels, in_dim, out_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(levels, 1, out_dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias  # (B, K, L, in) -> (B, K, L, out)


class SharedBasis(nn.Module):
    """U_sh as a parameter that stays orthonormal."""

    def __init__(self, levels: int, width: int, rank: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(levels, width, rank) / math.sqrt(width))
        # Householder's map reads signs from the diagonal, and weight decay would make them zero.
        orthogonal(self, 'weight', orthogonal_map='cayley', use_trivialization=False)


class Attend(nn.Module):
    """Query, key, value and output of one modality, at every level."""

    def __init__(self, levels: int, rank: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (
            PerLevel(levels, rank, rank) for _ in range(4)
        )


@CALIBRATORS.register_module()
class IntraCED(Calibrator):
    """Intra-Level Co-Exchange Domain: split each token, exchange only the shared part.

    Meng et al., "CLCR: Cross-Level Semantic Collaborative Representation for Multimodal Learning",
    CVPR 2026, arXiv:2602.19605. At each level, with orthonormal U_sh and U_pr,m and the projectors
    P = U U^T:  h_sh = h P_sh,  h_pr = h P_pr,m;  e = ||h_sh||;  alpha = Proj(sigma(a (e - theta)))
    onto {0 <= alpha <= 1, sum over tokens <= B};  h_sh' = h_sh + alpha Attn(Q_m, K_-m, V_-m) over
    the shared tokens of the other modalities at that level. Private parts are never exchanged.

    The paper leaves open, and we decide: the ranks, heads and B = T sigma(b) with T real tokens and
    b per level; the projection is Euclidean, its gradient by implicit differentiation; e is in
    units of its running mean over the level; Q, K, V and the output are Linear layers inside the
    shared coordinates; the residual; U_pr,m = QR((I - U_sh U_sh^T) V_m), exactly orthogonal to
    U_sh; `loss_intra` = weight / private * mean over levels of [sum over pairs of modalities of
    ||C_m^-1/2 C_mn C_n^-1/2||^2 between sample means of private parts + sum over modalities of the
    same between the private and the shared parts of tokens].
    Differs from the paper: modalities of unequal widths are allowed; a Linear layer then takes each
    to the largest width, and another one back.

    The levels of a token follow each other, 'b (l k) d', as `Hierarchy` gives them; on return each
    is two, 'b (l k s) d' with s = shared, private: twice as many tokens. Padding stays behind.

    Missing: absent and padded tokens are not attended to and have no share in a budget; without any
    partner h_sh' = h_sh. An absent modality stays absent and adds to no loss.
    Losses: `loss_intra`, in training only.
    Evidence: `alpha` (B, L K), in [0, 1], zero where a token is not real.

    Args:
        levels: K; the number of tokens must be a multiple of it.
        shared: rank of U_sh.
        private: rank of each U_pr,m; shared + private is at most the width of the tokens.
        heads: of attention; must divide `shared`.
        participation: sigma(b) at the start: the share of tokens that may absorb in full, in
            (0, 1); the paper finds 0.68 best.
        weight: lambda_intra.
    """

    typical: Tensor

    def __init__(
        self,
        dims: dict[str, int],
        levels: int = 3,
        shared: int = 64,
        private: int = 32,
        heads: int = 4,
        participation: float = 0.68,
        weight: float = 0.01,
    ) -> None:
        super().__init__(dims)
        width = max(dims.values())
        check(dims, levels, shared, private, heads, participation, weight)
        self.levels, self.heads, self.weight = levels, heads, weight
        unequal = len(set(dims.values())) > 1
        self.enter = nn.ModuleDict(
            {m: nn.Linear(d, width) if unequal else nn.Identity() for m, d in dims.items()}
        )
        self.leave = nn.ModuleDict(
            {m: nn.Linear(width, d) if unequal else nn.Identity() for m, d in dims.items()}
        )
        self.basis = SharedBasis(levels, width, shared)
        self.private = nn.ParameterDict(
            {m: nn.Parameter(torch.randn(levels, width, private)) for m in dims}
        )
        self.attention = nn.ModuleDict({m: Attend(levels, shared) for m in dims})
        self.slope = nn.Parameter(torch.full((levels, 1), math.log(math.expm1(SLOPE))))
        self.threshold = nn.Parameter(torch.full((levels, 1), THRESHOLD))
        self.budget = nn.Parameter(
            torch.full((levels,), math.log(participation / (1 - participation)))
        )
        # A token behind a LayerNorm has about sqrt(shared) of its norm in U_sh.
        self.register_buffer('typical', torch.full((levels, 1), math.sqrt(shared)))

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        bases = self.bases()
        tokens = {m: self.unfold(signals[m]) for m in self.modalities}
        masks = {m: signal.mask for m, signal in tokens.items()}
        streams = {m: self.factorise(m, tokens[m].x, bases) for m in self.modalities}
        shared = {m: s.shared for m, s in streams.items()}
        if self.training:
            self.update(shared, masks)
        exchanged = self.exchange(shared, masks)
        moved: Signals = {}
        for m in self.modalities:
            both = torch.stack(
                [
                    self.leave[m](exchanged[m].shared @ bases.shared.mT),
                    self.leave[m](streams[m].private @ bases.private[m].mT),
                ]
            )
            mask = torch.stack([masks[m], masks[m]])
            moved[m] = Signal(
                rearrange(both, 's b k l d -> b (l k s) d'),
                rearrange(mask, 's b k l -> b (l k s)'),
            )
        losses: Losses = {}
        if supervision is not None and self.training:
            losses = {'loss_intra': self.weight * correlation(streams, masks)}
        alpha = {m: rearrange(e.alpha.detach(), 'b k l -> b (l k)') for m, e in exchanged.items()}
        return Calibration(moved, losses, {'alpha': alpha})

    def bases(self) -> Bases:
        """The orthonormal bases, in full precision also under autocast."""
        with torch.autocast(self.slope.device.type, enabled=False):
            shared = self.basis.weight
            private = {}
            for m, free in self.private.items():
                private[m] = torch.linalg.qr(free - shared @ (shared.mT @ free)).Q
        return Bases(shared, private)

    def unfold(self, signal: Signal) -> Signal:
        """'b (l k) d -> b k l d', clean; what the whole batch lacks may have any length."""
        x, mask = signal.clean(), signal.mask
        if left := -x.shape[1] % self.levels:
            if mask.any():
                raise ValueError(
                    f'IntraCED(levels={self.levels}) was given {x.shape[1]} tokens; it needs a '
                    f'multiple of {self.levels}'
                )
            x, mask = F.pad(x, (0, 0, 0, left)), F.pad(mask, (0, left))
        return Signal(
            rearrange(x, 'b (l k) d -> b k l d', k=self.levels),
            rearrange(mask, 'b (l k) -> b k l', k=self.levels),
        )

    def factorise(self, m: str, x: Tensor, bases: Bases) -> Streams:
        """Tokens (B, K, L, D) of one modality -> coordinates in its two bases."""
        h = self.enter[m](x)
        return Streams(h @ bases.shared, h @ bases.private[m])

    def exchange(self, shared: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Exchanged]:
        """Shared coordinates and masks (B, K, L) -> what each modality has then; sees no more."""
        attend = {m: cast(Attend, self.attention[m]) for m in shared}
        keys = {m: self.split(attend[m].key(x)) for m, x in shared.items()}
        values = {m: self.split(attend[m].value(x)) for m, x in shared.items()}
        after = {}
        for m, x in shared.items():
            others = [o for o in shared if o != m]
            mask = torch.cat([masks[o] for o in others], dim=2)  # (B, K, all tokens of partners)
            here = mask.any(dim=2)
            # Softmax over no key is NaN: without any, the first is attended to, then dropped.
            real = torch.cat([mask[..., :1] | ~here.unsqueeze(-1), mask[..., 1:]], dim=2)
            query = self.split(attend[m].query(x))  # (B, K, heads, L, shared / heads)
            key = torch.cat([keys[o] for o in others], dim=3)
            scores = (query @ key.mT / math.sqrt(query.shape[-1])).masked_fill(
                ~real[:, :, None, None], -math.inf
            )
            value = torch.cat([values[o] for o in others], dim=3)
            found = rearrange(
                scores.softmax(-1).to(value.dtype) @ value, 'b k h l c -> b k l (h c)'
            )
            alpha = self.participate(x, masks[m])
            absorbed = alpha.unsqueeze(-1) * attend[m].out(found)
            after[m] = Exchanged(x + absorbed * here[..., None, None], alpha)
        return after

    def participate(self, shared: Tensor, mask: Tensor) -> Tensor:
        """Shared coordinates (B, K, L, shared) -> alpha (B, K, L), within each level's budget."""
        asked = F.softplus(self.slope) * (strength(shared) / self.typical - self.threshold)
        budget = mask.sum(dim=2) * self.budget.sigmoid()  # (B, K)
        alpha: Tensor = Project.apply(asked.sigmoid(), budget, mask)
        return alpha

    @torch.no_grad()
    def update(self, shared: dict[str, Tensor], masks: dict[str, Tensor]) -> None:
        """Move the running mean of the evidence, per level, over real tokens."""
        total = torch.stack([(strength(x) * masks[m]).sum((0, 2)) for m, x in shared.items()])
        count = torch.stack([masks[m].sum((0, 2)) for m in shared]).sum(0).unsqueeze(-1)
        mean = total.sum(0).unsqueeze(-1) / count.clamp(min=1)
        self.typical.lerp_(
            mean.to(self.typical.dtype), MOMENTUM * (count > 0).to(self.typical.dtype)
        )

    def split(self, x: Tensor) -> Tensor:
        """(B, K, L, shared) -> (B, K, heads, L, shared / heads)."""
        return rearrange(x, 'b k l (h c) -> b k h l c', h=self.heads)


class Project(torch.autograd.Function):
    """Nearest alpha (..., T) in {0 <= alpha <= 1, sum <= budget}, zero where the mask is False.

    alpha = clip(asked - tau, 0, 1) with the smallest tau >= 0 that meets the budget. Where it
    binds, over the active tokens 0 < alpha < 1: d tau = mean(d asked) - d budget / active.
    """

    @staticmethod
    def forward(ctx: Any, asked: Tensor, budget: Tensor, mask: Tensor) -> Tensor:
        y = asked.masked_fill(~mask, 0)  # nothing asked, nothing given
        budget = budget.unsqueeze(-1)
        binds = y.clamp(0, 1).sum(-1, keepdim=True) > budget
        low = torch.zeros_like(budget, dtype=y.dtype)
        high = y.amax(-1, keepdim=True).clamp(min=0)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            over = (y - middle).clamp(0, 1).sum(-1, keepdim=True) > budget
            low, high = torch.where(over, middle, low), torch.where(over, high, middle)
        active = ((y > high) & (y < high + 1)) & mask
        count = active.sum(-1, keepdim=True)
        full = ((y >= high + 1) & mask).sum(-1, keepdim=True)
        exact = ((y * active).sum(-1, keepdim=True) + full - budget) / count.clamp(min=1)
        tau = torch.where(binds, torch.where(count > 0, exact, high), 0)
        alpha = (y - tau).clamp(0, 1)
        ctx.save_for_backward((alpha > 0) & (alpha < 1) & mask, binds)
        return alpha.to(asked.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        active, binds = ctx.saved_tensors
        inside = grad * active
        mean = inside.sum(-1, keepdim=True) / active.sum(-1, keepdim=True).clamp(min=1) * binds
        return inside - mean * active, mean.squeeze(-1), None


def strength(shared: Tensor) -> Tensor:
    """e: the norm of shared coordinates, (..., shared) -> (...)."""
    precise = shared.to(torch.promote_types(shared.dtype, torch.float32))
    return (precise.square().sum(-1) + EPSILON).sqrt()


def correlation(streams: dict[str, Streams], masks: dict[str, Tensor]) -> Tensor:
    """L_intra: between private parts of modalities, and private and shared parts of one."""
    total = []
    means = {m: Signal(s.private, masks[m]) for m, s in streams.items()}
    rank = next(iter(streams.values())).private.shape[-1]
    for level in range(next(iter(masks.values())).shape[1]):
        pooled = {m: Signal(s.x[:, level], s.mask[:, level]) for m, s in means.items()}
        for m, n in combinations(streams, 2):
            both = pooled[m].present & pooled[n].present
            total.append(squared(pooled[m].mean(), pooled[n].mean(), both))
        for m, stream in streams.items():
            flat = (stream.private[:, level], stream.shared[:, level], masks[m][:, level])
            total.append(squared(*(part.flatten(0, 1) for part in flat)))
    return torch.stack(total).sum() / (rank * next(iter(masks.values())).shape[1])


def squared(a: Tensor, b: Tensor, real: Tensor) -> Tensor:
    """||C_a^-1/2 C_ab C_b^-1/2||_F^2 over the real rows of (N, p) and (N, q).

    As tr(C_a^-1 C_ab C_b^-1 C_ba), which is the same and needs no root.
    """
    with torch.autocast(a.device.type, enabled=False):
        weight = real.unsqueeze(-1).to(torch.promote_types(a.dtype, torch.float32))
        count = weight.sum().clamp(min=1)
        a, b = (x.to(weight.dtype) * weight for x in (a, b))
        a, b = ((x - x.sum(0) / count) * weight for x in (a, b))
        cross = a.mT @ b / count
        solved = [torch.linalg.solve(ridged(x, count), y) for x, y in ((a, cross), (b, cross.mT))]
        return (solved[0] * solved[1].mT).sum()


def ridged(x: Tensor, count: Tensor) -> Tensor:
    """Covariance of centred rows, with a ridge."""
    covariance = x.mT @ x / count
    ridge = RIDGE * (1 + covariance.diagonal().mean())
    return covariance + ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)


def check(
    dims: dict[str, int],
    levels: int,
    shared: int,
    private: int,
    heads: int,
    participation: float,
    weight: float,
) -> None:
    """Refuse arguments that make no IntraCED."""
    if len(dims) < 2:
        raise ValueError(f'IntraCED needs two or more modalities; it was given {list(dims)}')
    if levels < 1 or shared < 1 or private < 1 or shared + private > max(dims.values()):
        raise ValueError(
            f'IntraCED(levels={levels}, shared={shared}, private={private}) on widths {dims}: all '
            'are 1 or more, and shared + private at most the largest width'
        )
    if heads < 1 or shared % heads:
        raise ValueError(f'IntraCED(shared={shared}, heads={heads}); heads must divide shared')
    if not 0 < participation < 1:
        raise ValueError(f'IntraCED(participation={participation}); it lies in (0, 1)')
    if weight < 0:
        raise ValueError(f'IntraCED(weight={weight}); a weight is 0 or more')
