"""UPN: purify each modality by closing a hard gate on the tokens that do not help."""

import math

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Losses, Signal, Signals, Supervision
from mmcalib.recurrence import read_tokens
from mmcalib.registry import CALIBRATORS

EDGE = 1e-6  # noise is drawn from [EDGE, 1 - EDGE], as in the code of MIM


class Scorer(nn.Module):
    """One modality's logits, (B, L, D) -> (B, L): how much each token deserves to stay."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        half = (dim + 1) // 2
        self.lstm = nn.LSTM(dim, half, batch_first=True, bidirectional=True)
        self.score = nn.Sequential(nn.Linear(2 * half, half), nn.ReLU(), nn.Linear(half, 1))
        self.excite = nn.Sequential(nn.Linear(4 * half + 1, half), nn.ReLU(), nn.Linear(half, 1))

    def forward(self, signal: Signal) -> Tensor:
        h, _ = read_tokens(self.lstm, signal.clean(), signal.mask)
        mean = Signal(h, signal.mask).mean().unsqueeze(1).expand_as(h)
        return self.excite(torch.cat([self.score(h), h, mean], dim=-1)).squeeze(-1)


@CALIBRATORS.register_module()
class UPN(Calibrator):
    """Unimodal purification network: an open-or-closed gate per token, from its own modality only.

    Zeng et al., "Multimodal Reaction: Information Modulation for Cross-Modal Representation
    Learning", IEEE TMM 2023, after its public code. With h a BiLSTM over the tokens and l_t their
    logits: log alpha_t = l_t + loc_bias; s_t = sigmoid((log u - log(1 - u) + log alpha_t) / beta)
    with u uniform in (0, 1); c_t = clip(s_t (zeta - gamma) + gamma, 0, 1); the gate is
    z_t = [c_t > threshold], with the gradient of c_t; X~_t = z_t X_t. Penalty, the probability that
    c_t is not 0: sigmoid(log alpha_t - beta log(-gamma / zeta)). The gate is the hard concrete one
    of Louizos et al., "Learning Sparse Neural Networks through L0 Regularization", ICLR 2018,
    arXiv:1712.01312.

    Differs from the paper: its squeeze-and-excitation over time, which fixes the number of tokens,
    is an MLP per token that any length fits: l_t = W2 relu(W1 [r_t; h_t; mean h]), r_t the score
    MLP of h_t. The ReLU that the code puts behind r_t is left out: one that is 0 everywhere would
    never learn again. There is noise in training only; the code also predicts with noise. In
    evaluation, c_t = clip(sigmoid(log alpha_t) (zeta - gamma) + gamma, 0, 1).
    The paper leaves open, and we decide: h is ceil(D / 2) wide in each direction and both hidden
    layers as well.

    A closed gate makes a token zeros and leaves its mask, so a mean still counts it, as in the
    code. Gates start open.

    Missing: only real tokens are read, as if the sample stood alone; an absent modality stays
    absent and adds to no loss.
    Losses: `loss_l0`, the penalty's mean over real tokens, summed over modalities; in training
    only; it reads no label.
    Evidence: `gate` z (B, L), 0 or 1.

    Args:
        loc_bias: added to logits; a logit of 0 then leaves 94 of 100 gates open in training.
        beta: temperature, above 0; the lower, the closer the noisy s_t is to 0 or 1.
        gamma: where c_t begins, below 0; the lower, the more often c_t is exactly 0.
        zeta: where c_t ends, above `threshold`.
        threshold: what c_t must exceed for an open gate, in [0, 1).
        penalty_weight: of `loss_l0`.
    """

    def __init__(
        self,
        dims: dict[str, int],
        loc_bias: float = 3.0,
        beta: float = 1 / 3,
        gamma: float = -0.2,
        zeta: float = 1.0,
        threshold: float = 0.6,
        penalty_weight: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if beta <= 0 or penalty_weight < 0:
            raise ValueError(
                f'UPN(beta={beta}, penalty_weight={penalty_weight}); beta is above 0, '
                'penalty_weight is 0 or more'
            )
        if not (gamma < 0 <= threshold < min(zeta, 1)):
            raise ValueError(
                f'UPN(gamma={gamma}, threshold={threshold}, zeta={zeta}); '
                'gamma < 0 <= threshold < zeta is needed, and threshold < 1'
            )
        self.loc_bias, self.beta, self.gamma, self.zeta = loc_bias, beta, gamma, zeta
        self.threshold, self.penalty_weight = threshold, penalty_weight
        self.scorers = nn.ModuleDict({m: Scorer(dim) for m, dim in dims.items()})

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        log_alpha = {m: self.log_alpha(m, signals[m]) for m in self.modalities}
        gates = {m: self.gate(log_alpha[m]) * signals[m].mask for m in self.modalities}
        purified = {m: shut(signals[m], gates[m]) for m in self.modalities}
        losses: Losses = {}
        if supervision is not None and self.training:
            each = [self.penalty(log_alpha[m], signals[m].mask) for m in self.modalities]
            losses['loss_l0'] = self.penalty_weight * torch.stack(each).sum()
        return Calibration(purified, losses, {'gate': {m: z.detach() for m, z in gates.items()}})

    def log_alpha(self, modality: str, signal: Signal) -> Tensor:
        """(B, L), in 32 bits at least: in bfloat16, noise near 1 is 1."""
        logits = self.scorers[modality](signal)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)) + self.loc_bias

    def gate(self, log_alpha: Tensor) -> Tensor:
        """(B, L), 0 or 1, with the gradient of the clipped value."""
        if self.training:
            u = torch.empty_like(log_alpha).uniform_(EDGE, 1 - EDGE)
            s = ((u.logit() + log_alpha) / self.beta).sigmoid()
        else:
            s = log_alpha.sigmoid()
        c = (s * (self.zeta - self.gamma) + self.gamma).clamp(0, 1)
        return (c > self.threshold) + (c - c.detach())

    def penalty(self, log_alpha: Tensor, mask: Tensor) -> Tensor:
        """Mean over real tokens of the probability that a gate's value is not 0."""
        not_zero = (log_alpha - self.beta * math.log(-self.gamma / self.zeta)).sigmoid()
        return (not_zero * mask).sum() / mask.sum().clamp(min=1)


def shut(signal: Signal, gate: Tensor) -> Signal:
    """Every token times its gate (B, L)."""
    x = signal.clean()
    return Signal(x * gate.unsqueeze(-1).to(x.dtype), signal.mask)
