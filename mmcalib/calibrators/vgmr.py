"""VGMR, the contextual calibrator: value-gated refinement before fusion."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Calibration, Calibrator, Losses, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS

CHOICES = {
    'order': ('gate_then_norm', 'norm_then_gate'),
    'post': ('norm', 'none'),
    'context': ('partners', 'own', 'shuffled'),
}
VALUES = {'value': 'gate_value', 'channel_value': 'gate_channel'}  # Eq. 10 -> its rho, Eq. 11
EPSILON = 1e-6  # under square roots and in denominators
SPREAD = 0.05  # s0: the standard deviation below which values count as collapsed
CLOSENESS = 0.01  # c: weight of the gate's distance from 1
MOMENTUM = 0.1  # of the running statistics of contributions, as in BatchNorm
STRANGERS = 64  # training samples whose summaries are kept for context='shuffled'
Gated = dict[str, Tensor]  # the evidence of one modality


class Branch(nn.Module):
    """Everything of one modality: nothing is shared between modalities."""

    def __init__(
        self, dim: int, evidence: int, width: int, dropout: float, post: str, kept: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.project = nn.Linear(dim, width)  # P, Eq. 2
        if kept:
            self.summary = mlp(2 * width, width, dropout)  # phi, Eq. 3
            self.interaction = mlp(evidence * width, width, dropout)  # psi, Eq. 8
            self.code = mlp(2 * width, width, dropout)  # eta, Eq. 9
        sizes = {'value': 1, 'channel_value': width}
        for name in kept:
            self.add_module(name, nn.Linear(width, sizes[name]))  # w^g, b^g, W^p, b^p, Eq. 10
        self.gate_x = nn.Linear(dim, dim)  # rho^x .. rho^p, Eq. 11
        self.gate_h = nn.Linear(width, dim)
        for name in kept:
            self.add_module(VALUES[name], nn.Linear(sizes[name], dim))
        for name in ('gate_x', 'gate_h', *(VALUES[name] for name in kept)):
            for parameter in self.get_submodule(name).parameters():
                nn.init.zeros_(parameter)
        self.norm = nn.LayerNorm(dim) if post == 'norm' else nn.Identity()
        self.dropout = nn.Dropout(dropout if post == 'norm' else 0.0)


class Strangers(nn.Module):
    """Whom a sample meets in place of its own partners; summaries are (B, width), masks (B, 1)."""

    rows: Tensor
    count: Tensor

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.register_buffer('rows', torch.zeros(STRANGERS, modalities, width + 1))  # mask last
        self.register_buffer('count', torch.zeros((), dtype=torch.long))  # of all ever kept

    def forward(self, index: int, given: list[Signal]) -> list[Signal]:
        """For modality `index`: summaries of a neighbour while training, otherwise of the kept."""
        own = given[index].x
        if self.training and len(own) > 1:
            return [Signal(s.roll(1, 0), mask.roll(1, 0)) for s, mask in given]
        # Spreads the samples over the rows, and knows nothing but their own summary.
        kept = self.count.clamp(1, STRANGERS)  # if there is none, of the first, an absent one
        salient = (own.detach() - self.rows[:, index, :-1].sum(0) / kept).argmax(-1)
        met = self.rows[salient % kept]
        return [Signal(row[:, :-1].to(own.dtype), row[:, -1:] > 0) for row in met.unbind(1)]

    @torch.no_grad()
    def keep(self, given: list[Signal]) -> None:
        """Write a batch over the oldest rows."""
        rows = torch.stack([torch.cat([s, mask], dim=-1) for s, mask in given], dim=1)[-STRANGERS:]
        index = (self.count + torch.arange(len(rows), device=rows.device)) % STRANGERS
        self.rows[index] = rows.to(self.rows.dtype)
        self.count += len(rows)


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
    measured with the rest of the model in training mode; `loss_gate` keeps the standard deviation
    of values over the batch above 0.05 and the gate near 1 (weight 0.01).

    alpha and beta act only through (1 - beta) * alpha, the half-width of the gate's range around 1.
    LayerNorm after the gate cancels whatever part of the gate is constant over a token's features,
    so 'gate_then_norm' (the paper) cannot turn a whole modality down and 'norm_then_gate' can.

    Missing: an absent partner gives zeros and is left out of the averaged context; an absent
    modality stays absent and adds to no loss. Padded tokens enter no summary.
    Losses: `loss_value` if there is a value, `loss_gate`; in training only.
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
        value: False is Table 3 without g; what is ablated has no parameters and no evidence.
        channel_value: False is Table 3 without p; without both, no summary reaches the gate, and
            the arguments below mean nothing.
        agreement: False leaves the agreements out of Eq. 8.
        discrepancy: False leaves the discrepancies out of Eq. 8.
        context: 'partners' is the paper's; 'own' leaves all but s_m out of Eq. 8, so that one
            modality is enough; 'shuffled' takes the partners, present or not, of another sample: in
            training of the one before it in the batch, in evaluation and in a batch of one of one
            of the last 64 training samples, picked by the sample's own s_m.
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
        value: bool = True,
        channel_value: bool = True,
        agreement: bool = True,
        discrepancy: bool = True,
        context: str = 'partners',
    ) -> None:
        super().__init__(dims)
        if len(dims) < 2 and context != 'own':
            raise ValueError(f'VGMR needs two or more modalities; it was given {list(dims)}')
        for name, given in (('order', order), ('post', post), ('context', context)):
            check(', '.join(CHOICES[name]), given in CHOICES[name], **{name: given})
        check('in [0, 1]', 0 <= min(alpha, beta) <= max(alpha, beta) <= 1, alpha=alpha, beta=beta)
        check('in [0, 1)', 0 <= dropout < 1, dropout=dropout)
        check('1 or more', width >= 1, width=width)
        weights = {'value_weight': value_weight, 'reg_weight': reg_weight}
        check('0 or more', min(weights.values()) >= 0, **weights)
        self.alpha, self.beta, self.order, self.context = alpha, beta, order, context
        self.value_weight, self.reg_weight = value_weight, reg_weight
        self.warmup_steps = warmup_steps
        self.agreement, self.discrepancy = agreement, discrepancy
        self.kept = tuple(n for n, on in zip(VALUES, (value, channel_value), strict=True) if on)
        partners = 0 if context == 'own' else len(dims) - 1
        evidence = 1 + partners * (1 + agreement + discrepancy) + (partners > 0)  # widths in Eq. 8
        shape = (evidence, width, dropout, post, self.kept)
        self.branches = nn.ModuleDict({m: Branch(dim, *shape) for m, dim in dims.items()})
        self.strangers = Strangers(len(dims), width) if context == 'shuffled' else None
        self.register_buffer('contribution_mean', torch.zeros(()))
        self.register_buffer('contribution_var', torch.ones(()))
        self.register_buffer('step', torch.zeros((), dtype=torch.long))

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        hidden = {m: self.project(m, signals[m]) for m in self.modalities}
        given = [self.summarise(m, hidden[m]) for m in self.modalities] if self.kept else []
        gated, refined = {}, {}
        for m in self.modalities:
            code = self.assess(m, given) if given else None
            gated[m] = self.gate(m, signals[m], hidden[m], code)
            refined[m] = self.refine(m, signals[m], gated[m]['effective_gate'])
        if given and self.strangers is not None and self.training:
            self.strangers.keep(given)
        losses: Losses = {}
        if supervision is not None and self.training:
            losses = self.losses(refined, gated, supervision)
        names = (*self.kept, 'gate', 'effective_gate')
        evidence = {name: {m: g[name].detach() for m, g in gated.items()} for name in names}
        return Calibration(refined, losses, evidence)

    def branch(self, m: str) -> Branch:
        """The part of one modality."""
        return cast(Branch, self.branches[m])

    def project(self, m: str, signal: Signal) -> Signal:
        """Eq. 2: X (B, L, D) -> H (B, L, width)."""
        return Signal(self.branch(m).project(signal.clean()), signal.mask)

    def summarise(self, m: str, hidden: Signal) -> Signal:
        """Eq. 3: H (B, L, width) -> s (B, width), zero where the modality is absent."""
        summary = self.branch(m).summary(torch.cat([hidden.mean(), hidden.max()], dim=-1))
        present = hidden.present.unsqueeze(-1)
        return Signal(summary * present, present)

    def assess(self, m: str, given: list[Signal]) -> Tensor:
        """Eq. 4-9: summaries of all modalities -> value code z (B, width)."""
        index = self.modalities.index(m)
        evidence = [own := given[index].x]
        if self.context != 'own':
            met = self.strangers(index, given) if self.strangers is not None else given
            partners, masks = zip(*met[:index], *met[index + 1 :], strict=True)  # Eq. 4
            here = [mask.to(own.dtype) for mask in masks]
            context = torch.stack(partners).sum(0) / torch.stack(here).sum(0).clamp(min=1)  # Eq. 5
            evidence += partners
            if self.agreement:
                evidence += [own * s for s in partners]  # Eq. 6
            if self.discrepancy:
                evidence += [(own - s).abs() * h for s, h in zip(partners, here, strict=True)]
            evidence.append(context)
        interaction = self.branch(m).interaction(torch.cat(evidence, dim=-1))  # Eq. 8
        return self.branch(m).code(torch.cat([own, interaction], dim=-1))  # Eq. 9

    def gate(self, m: str, signal: Signal, hidden: Signal, code: Tensor | None) -> Gated:
        """Eq. 10-13: value code -> values and gates."""
        branch, values = self.branch(m), {}
        logit, context = branch.gate_x(signal.clean()) + branch.gate_h(hidden.x), 0
        for name in self.kept:
            value = branch.get_submodule(name)(code).sigmoid()  # Eq. 10
            context = context + branch.get_submodule(VALUES[name])(2 * value - 1).unsqueeze(1)
            values[name] = value.squeeze(-1) if name == 'value' else value
        gate = (logit + context).sigmoid()  # Eq. 11
        amplified = 1 + self.alpha * (2 * gate - 1)  # Eq. 12
        effective = self.beta + (1 - self.beta) * amplified  # Eq. 13
        return values | {'gate': gate, 'effective_gate': effective}

    def refine(self, m: str, signal: Signal, gate: Tensor) -> Signal:
        """Section 3.7: X * G-bar, with LayerNorm and Dropout behind it or before it."""
        branch = self.branch(m)
        x = signal.clean()
        x = branch.norm(x * gate) if self.order == 'gate_then_norm' else branch.norm(x) * gate
        return Signal(branch.dropout(x), signal.mask)

    def losses(self, refined: Signals, gated: dict[str, Gated], supervision: Supervision) -> Losses:
        """Section 3.8 without the task loss."""
        losses = {'loss_gate': self.reg_weight * gate_loss(refined, gated)}
        if self.value_weight > 0 and self.kept:
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
        rise = {}
        for m in self.modalities:
            without = supervision.task_loss({**given, m: given[m].missing()})
            rise[m] = (without - whole).to(self.contribution_mean.dtype)
        seen = torch.cat([rise[m][given[m].present] for m in self.modalities])
        if len(seen) > 1:
            self.contribution_mean.lerp_(seen.mean(), MOMENTUM)
            self.contribution_var.lerp_(seen.var(correction=0), MOMENTUM)
        scale = self.contribution_var.sqrt() + EPSILON
        return {m: ((rise[m] - self.contribution_mean) / scale).sigmoid() for m in rise}


def mlp(in_dim: int, width: int, dropout: float) -> nn.Sequential:
    """Two layers, `width` wide."""
    layers = nn.Linear(in_dim, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
    return nn.Sequential(*layers)


def value_loss(refined: Signals, gated: dict[str, Gated], targets: dict[str, Tensor]) -> Tensor:
    """Mean over modalities and their present samples of the distance of values to targets."""
    total = []
    for m, target in targets.items():
        present = refined[m].present
        values = [gated[m][name] for name in VALUES if name in gated[m]]
        means = [value if value.ndim == 1 else value.mean(-1) for value in values]
        apart = sum(F.smooth_l1_loss(mean, target, reduction='none') for mean in means)
        total.append((apart * present).sum() / present.sum().clamp(min=1))
    return torch.stack(total).mean()


def gate_loss(refined: Signals, gated: dict[str, Gated]) -> Tensor:
    """Hinge on the spread of values over the batch, and the gate's distance from 1."""
    total = []
    for m, branch in gated.items():
        present = refined[m].present
        spread = sum(hinge(branch[name], present) for name in VALUES if name in branch)
        apart = Signal((branch['effective_gate'] - 1).square(), refined[m].mask).mean().mean(-1)
        apart = apart.sum() / present.sum().clamp(min=1)
        total.append(spread + CLOSENESS * apart / len(gated))
    return torch.stack(total).sum()


def hinge(values: Tensor, present: Tensor) -> Tensor:
    """Mean over columns of relu(SPREAD - std)^2 over present rows of (B,) or (B, C); 0 for one."""
    values = values.unsqueeze(-1) if values.ndim == 1 else values
    weight = present.unsqueeze(-1).to(values.dtype)
    count = weight.sum().clamp(min=1)
    mean = (values * weight).sum(0) / count
    std = (((values - mean).square() * weight).sum(0) / count + EPSILON**2).sqrt()
    return F.relu(SPREAD - std).square().mean() * (present.sum() > 1)


def check(possible: str, fits: bool, **given: object) -> None:
    """Refuse arguments that do not fit."""
    if not fits:
        arguments = ', '.join(f'{name}={value!r}' for name, value in given.items())
        raise ValueError(f'VGMR({arguments}); possible is {possible}')
