"""VGMR, the contextual calibrator: value-gated refinement before fusion."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Calibration, Calibrator, Losses, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS

ORDERS = ('gate_then_norm', 'norm_then_gate')
POSTS = ('norm', 'none')
EPSILON = 1e-6  # under square roots and in denominators
SPREAD = 0.05  # s0: the standard deviation below which values count as collapsed
CLOSENESS = 0.01  # c: weight of the gate's distance from 1
MOMENTUM = 0.1  # of the running statistics of contributions, as in BatchNorm


class Gated(NamedTuple):
    """What one modality's branch computes."""

    value: Tensor  # g (B,)
    channel_value: Tensor  # p (B, width)
    gate: Tensor  # G (B, L, D)
    effective_gate: Tensor  # G-bar (B, L, D)


class Branch(nn.Module):
    """Everything of one modality: nothing is shared between modalities."""

    def __init__(self, dim: int, partners: int, width: int, dropout: float, post: str) -> None:
        super().__init__()
        self.project = nn.Linear(dim, width)  # P, Eq. 2
        self.summary = mlp(2 * width, width, dropout)  # phi, Eq. 3
        self.interaction = mlp((2 + 3 * partners) * width, width, dropout)  # psi, Eq. 8
        self.code = mlp(2 * width, width, dropout)  # eta, Eq. 9
        self.value = nn.Linear(width, 1)  # w^g, b^g, Eq. 10
        self.channel_value = nn.Linear(width, width)  # W^p, b^p, Eq. 10
        self.gate_x = nn.Linear(dim, dim)  # rho^x .. rho^p, Eq. 11
        self.gate_h = nn.Linear(width, dim)
        self.gate_value = nn.Linear(1, dim)
        self.gate_channel = nn.Linear(width, dim)
        for rho in (self.gate_x, self.gate_h, self.gate_value, self.gate_channel):
            nn.init.zeros_(rho.weight)
            nn.init.zeros_(rho.bias)
        self.norm = nn.LayerNorm(dim) if post == 'norm' else nn.Identity()
        self.dropout = nn.Dropout(dropout if post == 'norm' else 0.0)


@CALIBRATORS.register_module()
class VGMR(Calibrator):
    """Value-Gated Modality Refiner: gate every feature by what the other modalities say.

    Liu et al., "Before Fusion, Ask What to Keep: Contextual Calibration of Multimodal Signals",
    arXiv:2606.02679, Eq. 2-13 and sections 3.7-3.8. Value is impact, not reliability: it says where
    strong modulation may be needed; the gate learns the direction.

    The paper leaves open, and we decide: two-layer MLPs Linear-GELU-Dropout-Linear; gates start at
    exactly 1 (all of Eq. 11 starts at zero); `loss_value` is the smooth L1 distance of the value,
    and of the mean channel value, to sigmoid((Delta - mean) / std), where Delta is the rise of the
    sample's task loss when the modality of the refined, detached signals is declared missing, and
    mean and std are running over batches and modalities; Delta is signed, as in the formula, and
    measured with the rest of the model in training mode, dropout included;
    `loss_gate` keeps the standard deviation of values over the batch above 0.05 and the gate
    near 1 (weight 0.01).

    alpha and beta act only through (1 - beta) * alpha, the half-width of the gate's range around 1;
    0.4 by default. LayerNorm after the gate cancels whatever part of the gate is constant over a
    token's features, so 'gate_then_norm' (the paper) cannot turn a whole modality down and
    'norm_then_gate' can.

    Missing: an absent partner gives no summary, agreement or discrepancy (zeros) and is left out of
    the averaged context; an absent modality stays absent and adds to no loss. Padded tokens enter
    no summary.
    Losses: `loss_value`, `loss_gate`, in training only.
    Evidence: `value` g (B,), `channel_value` p (B, width), `gate` G (B, L, D), `effective_gate`
    G-bar (B, L, D); meaningful where the modality, or the token, is real.

    Args:
        width: d_p, not published; with 160 the size on 768/74/35 wide inputs is 2.26 M, the paper's
            is 2.32 M.
        alpha: strength of the gate, in [0, 1]; 0 leaves only normalisation.
        beta: share that is always kept, in [0, 1]; 1 leaves only normalisation.
        order: 'gate_then_norm' or 'norm_then_gate'; matters with post='norm' only.
        post: 'norm' is LayerNorm and Dropout, 'none' neither.
        dropout: rate in the MLPs and in `post`.
        value_weight: lambda_v; 0 saves the M + 1 extra passes through fuser and head.
        reg_weight: lambda_r.
        warmup_steps: training steps over which lambda_v rises from 0 to its full weight.
    """

    contribution_mean: Tensor
    contribution_var: Tensor
    step: Tensor

    def __init__(
        self,
        dims: dict[str, int],
        width: int = 160,
        alpha: float = 0.5,
        beta: float = 0.2,
        order: str = 'gate_then_norm',
        post: str = 'norm',
        dropout: float = 0.1,
        value_weight: float = 0.1,
        reg_weight: float = 0.01,
        warmup_steps: int = 150,
    ) -> None:
        super().__init__(dims)
        check(dims, alpha, beta, order, post, value_weight, reg_weight)
        self.alpha, self.beta, self.order = alpha, beta, order
        self.value_weight, self.reg_weight = value_weight, reg_weight
        self.warmup_steps = warmup_steps
        self.branches = nn.ModuleDict(
            {m: Branch(dim, len(dims) - 1, width, dropout, post) for m, dim in dims.items()}
        )
        self.register_buffer('contribution_mean', torch.zeros(()))
        self.register_buffer('contribution_var', torch.ones(()))
        self.register_buffer('step', torch.zeros((), dtype=torch.long))

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        hidden = {m: self.project(m, signals[m]) for m in self.modalities}
        summaries = {m: self.summarise(m, hidden[m]) for m in self.modalities}
        present = {m: signals[m].present for m in self.modalities}
        gated, refined = {}, {}
        for m in self.modalities:
            code = self.assess(m, summaries, present)
            gated[m] = self.gate(m, signals[m], hidden[m], code)
            refined[m] = self.refine(m, signals[m], gated[m].effective_gate)
        losses: Losses = {}
        if supervision is not None and self.training:
            losses = self.losses(refined, gated, supervision)
        names = Gated._fields
        evidence = {n: {m: getattr(gated[m], n).detach() for m in gated} for n in names}
        return Calibration(refined, losses, evidence)

    def branch(self, m: str) -> Branch:
        """The part of one modality."""
        return cast(Branch, self.branches[m])

    def project(self, m: str, signal: Signal) -> Signal:
        """Eq. 2: X (B, L, D) -> H (B, L, width)."""
        return Signal(self.branch(m).project(signal.clean()), signal.mask)

    def summarise(self, m: str, hidden: Signal) -> Tensor:
        """Eq. 3: H -> s (B, width), zero where the modality is absent."""
        summary = self.branch(m).summary(torch.cat([hidden.mean(), hidden.max()], dim=-1))
        return summary * hidden.present.unsqueeze(-1)

    def assess(self, m: str, summaries: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """Eq. 4-9: summaries -> value code z (B, width)."""
        own = summaries[m]
        others = [o for o in self.modalities if o != m]
        partners = [summaries[o] for o in others]
        here = [present[o].unsqueeze(-1).to(own.dtype) for o in others]
        context = torch.stack(partners).sum(0) / torch.stack(here).sum(0).clamp(min=1)  # Eq. 5
        agreement = [own * partner for partner in partners]  # Eq. 6
        discrepancy = [(own - partner).abs() * h for partner, h in zip(partners, here, strict=True)]
        evidence = torch.cat([own, *partners, *agreement, *discrepancy, context], dim=-1)
        interaction = self.branch(m).interaction(evidence)  # Eq. 8
        return self.branch(m).code(torch.cat([own, interaction], dim=-1))  # Eq. 9

    def gate(self, m: str, signal: Signal, hidden: Signal, code: Tensor) -> Gated:
        """Eq. 10-13: value code -> values and gates."""
        branch = self.branch(m)
        value = branch.value(code).sigmoid()  # (B, 1)
        channel_value = branch.channel_value(code).sigmoid()  # (B, width)
        sample = branch.gate_value(2 * value - 1) + branch.gate_channel(2 * channel_value - 1)
        token = branch.gate_x(signal.clean()) + branch.gate_h(hidden.x)
        gate = (token + sample.unsqueeze(1)).sigmoid()  # Eq. 11, (B, L, D)
        amplified = 1 + self.alpha * (2 * gate - 1)  # Eq. 12
        effective = self.beta + (1 - self.beta) * amplified  # Eq. 13
        return Gated(value.squeeze(-1), channel_value, gate, effective)

    def refine(self, m: str, signal: Signal, gate: Tensor) -> Signal:
        """Section 3.7: X * G-bar, with LayerNorm and Dropout behind it or before it."""
        branch = self.branch(m)
        x = signal.clean()
        x = branch.norm(x * gate) if self.order == 'gate_then_norm' else branch.norm(x) * gate
        return Signal(branch.dropout(x), signal.mask)

    def losses(self, refined: Signals, gated: dict[str, Gated], supervision: Supervision) -> Losses:
        """Section 3.8 without the task loss."""
        losses = {'loss_gate': self.reg_weight * gate_loss(refined, gated)}
        if self.value_weight > 0:
            self.step += 1
            weight = self.value_weight * (self.step / max(1, self.warmup_steps)).clamp(max=1)
            targets = self.value_targets(refined, supervision)
            losses['loss_value'] = weight * value_loss(refined, gated, targets)
        return losses

    @torch.no_grad()
    def value_targets(self, refined: Signals, supervision: Supervision) -> dict[str, Tensor]:
        """Per modality (B,): the squashed rise of the task loss when it is removed."""
        given = {m: Signal(signal.x.detach(), signal.mask) for m, signal in refined.items()}
        whole = supervision.task_loss(given)
        rise = {
            m: (supervision.task_loss({**given, m: given[m].missing()}) - whole).to(
                self.contribution_mean.dtype
            )
            for m in self.modalities
        }
        seen = torch.cat([rise[m][given[m].present] for m in self.modalities])
        if len(seen) > 1:
            self.contribution_mean.lerp_(seen.mean(), MOMENTUM)
            self.contribution_var.lerp_(seen.var(correction=0), MOMENTUM)
        scale = self.contribution_var.sqrt() + EPSILON
        return {m: ((rise[m] - self.contribution_mean) / scale).sigmoid() for m in rise}


def mlp(in_dim: int, width: int, dropout: float) -> nn.Sequential:
    """Two layers, `width` wide."""
    return nn.Sequential(
        nn.Linear(in_dim, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
    )


def value_loss(refined: Signals, gated: dict[str, Gated], targets: dict[str, Tensor]) -> Tensor:
    """Mean over modalities and their present samples of the distance of values to targets."""
    total = []
    for m, target in targets.items():
        present = refined[m].present
        apart = F.smooth_l1_loss(gated[m].value, target, reduction='none')
        apart = apart + F.smooth_l1_loss(gated[m].channel_value.mean(-1), target, reduction='none')
        total.append((apart * present).sum() / present.sum().clamp(min=1))
    return torch.stack(total).mean()


def gate_loss(refined: Signals, gated: dict[str, Gated]) -> Tensor:
    """Hinge on the spread of values over the batch, and the gate's distance from 1."""
    total = []
    for m, branch in gated.items():
        present = refined[m].present
        spread = hinge(branch.value.unsqueeze(-1), present) + hinge(branch.channel_value, present)
        apart = Signal((branch.effective_gate - 1).square(), refined[m].mask).mean().mean(-1)
        apart = apart.sum() / present.sum().clamp(min=1)
        total.append(spread + CLOSENESS * apart / len(gated))
    return torch.stack(total).sum()


def hinge(values: Tensor, present: Tensor) -> Tensor:
    """Mean over columns of relu(SPREAD - std)^2 over present rows of (B, C); 0 for one row."""
    weight = present.unsqueeze(-1).to(values.dtype)
    count = weight.sum().clamp(min=1)
    mean = (values * weight).sum(0) / count
    std = (((values - mean).square() * weight).sum(0) / count + EPSILON**2).sqrt()
    return F.relu(SPREAD - std).square().mean() * (present.sum() > 1)


def check(
    dims: dict[str, int],
    alpha: float,
    beta: float,
    order: str,
    post: str,
    value_weight: float,
    reg_weight: float,
) -> None:
    """Refuse arguments that make no VGMR."""
    if len(dims) < 2:
        raise ValueError(f'VGMR needs two or more modalities; it was given {list(dims)}')
    for name, share in (('alpha', alpha), ('beta', beta)):
        if not 0 <= share <= 1:
            raise ValueError(f'VGMR({name}={share}); {name} lies in [0, 1]')
    for name, given, possible in (('order', order, ORDERS), ('post', post, POSTS)):
        if given not in possible:
            raise ValueError(f'VGMR({name}={given!r}); possible are {", ".join(possible)}')
    if value_weight < 0 or reg_weight < 0:
        raise ValueError(
            f'VGMR(value_weight={value_weight}, reg_weight={reg_weight}); weights are 0 or more'
        )
