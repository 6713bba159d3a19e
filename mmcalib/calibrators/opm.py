"""OPM: drop the dominant modality of some samples while training."""

import torch
from torch import Tensor

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class OPM(Calibrator):
    """On-the-fly prediction modulation: while training, the dominant modality is dropped at random.

    Wei et al., "On-the-fly Modulation for Balanced Multimodal Learning", IEEE TPAMI 2024,
    arXiv:2410.11582: rho_m = s_m / mean of the partners' s;
    q_m = q_base (1 + lambda tanh(relu(rho_m - 1))) where rho_m > 1, else 0; a step modulates with
    probability p_exe, and then drops modality m from each sample with probability q_m.

    Differs from the paper: s_m is the mean of exp(-loss) over samples when only m is there, which
    is the probability of the true class for a cross-entropy and exists for any task; it is a
    running mean of the earlier steps, since labels of a step must not shape its signals, and begins
    equal for all, in place of a warm-up of 5 epochs. Dropping declares the modality missing. A
    sample that would lose all its modalities keeps them, where the paper leaves it out. The M extra
    passes per step go through fuser and head in training mode, without gradients.

    Missing: an absent modality is scored by no sample, and counts as no partner that could remain.
    Evidence: `drop_rate` q_m (B,), the same for all samples; `dropped` (B,), 1 where it was.

    Args:
        q_base: rate of dropping a modality that is just dominant, in [0, 1).
        lam: lambda; growth of the rate with dominance, 0 or more, q_base * (1 + lam) up to 1.
        p_exe: share of steps that modulate, in [0, 1]; 0 leaves the signals as they are.
        momentum: weight of a step in the running scores, in (0, 1]; 1 is the step before alone.
    """

    score: Tensor

    def __init__(
        self,
        dims: dict[str, int],
        q_base: float = 0.5,
        lam: float = 0.5,
        p_exe: float = 0.7,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'OPM needs two or more modalities; it was given {list(dims)}')
        if not 0 <= q_base < 1 or lam < 0 or q_base * (1 + lam) > 1:
            raise ValueError(
                f'OPM(q_base={q_base}, lam={lam}); q_base lies in [0, 1), lam is 0 or more, and '
                'q_base * (1 + lam) is at most 1'
            )
        if not 0 <= p_exe <= 1 or not 0 < momentum <= 1:
            raise ValueError(
                f'OPM(p_exe={p_exe}, momentum={momentum}); p_exe lies in [0, 1], momentum in (0, 1]'
            )
        self.q_base, self.lam, self.p_exe, self.momentum = q_base, lam, p_exe, momentum
        self.register_buffer('score', torch.ones(len(dims)))

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        present = torch.stack([signals[m].present for m in self.modalities])  # (M, B)
        rates = self.rates() if self.training else torch.zeros_like(self.score)
        dropped = self.draw(rates, present) if self.training else torch.zeros_like(present)
        kept = {
            m: Signal(signals[m].x, signals[m].mask & ~gone.unsqueeze(1))
            for m, gone in zip(self.modalities, dropped, strict=True)
        }
        if supervision is not None and self.training:
            self.rate(signals, supervision)  # after the drawing: this step's labels come too late
        evidence = {
            'drop_rate': rates.unsqueeze(1).expand(present.shape),
            'dropped': dropped.to(rates.dtype),
        }
        named = {k: dict(zip(self.modalities, v, strict=True)) for k, v in evidence.items()}
        return Calibration(kept, evidence=named)

    def rates(self) -> Tensor:
        """q (M,) from the running scores."""
        partners = (self.score.sum() - self.score) / (len(self.dims) - 1)
        dominance = self.score / partners.clamp(min=torch.finfo(self.score.dtype).tiny) - 1
        rate = self.q_base * (1 + self.lam * dominance.relu().tanh())
        return torch.where(dominance > 0, rate, torch.zeros_like(rate))

    def draw(self, rates: Tensor, present: Tensor) -> Tensor:
        """(M, B): which samples lose which modality."""
        executed = torch.rand((), device=rates.device) < self.p_exe
        gone = torch.rand(present.shape, device=rates.device) < rates.unsqueeze(1)
        gone = gone & present & executed
        return gone & (present & ~gone).any(0)  # something must remain

    @torch.no_grad()
    def rate(self, signals: Signals, supervision: Supervision) -> None:
        """Move the running score of each modality by its samples of this batch."""
        nothing = {m: signal.missing() for m, signal in signals.items()}
        for index, m in enumerate(self.modalities):
            loss = supervision.task_loss({**nothing, m: signals[m]})
            right = (-loss.to(self.score.dtype)).exp()[signals[m].present]
            if len(right):
                self.score[index].lerp_(right.mean(), self.momentum)
