"""UDML: weight each modality by the noise that its features are estimated to carry."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Losses, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


class Noised(NamedTuple):
    """A modality with noise of a known strength."""

    signal: Signal
    log_variance: Tensor  # (B,), of the noise


@CALIBRATORS.register_module()
class UDML(Calibrator):
    """Inverse-variance weights: a modality counts as much as its features are free of noise.

    Wei et al., "Unbiased Dynamic Multimodal Fusion", CVPR Findings 2026, arXiv:2603.19681, in part.
    While training, Gaussian noise of a known strength is added, and a head per modality learns to
    predict it. With s_m^2 the predicted variance, w_m = M (1 / s_m^2) / (sum over o of 1 / s_o^2),
    which is 2 s_v^2 / (s_a^2 + s_v^2) for the a of two; X~_m = X_m + w_m X_m.

    Differs from the paper: any number of modalities; the noise is added to features, not to the
    data; the correction for how much the model depends on a modality is left out, as is the KL
    term.
    The paper leaves open, and we decide: the strength is a level drawn per sample and modality from
    1..levels, times `unit`; the head is Linear-ReLU-Linear on each token, averaged, and gives
    log s^2; its loss is the squared distance of logarithms. Head and weights stand apart from the
    task: neither does the head shape the features, nor the task the head.

    Missing: M counts, and the sum runs over, the modalities that the sample has; one that is alone
    weighs 1. An absent modality stays absent, weighs 0 and adds to no loss.
    Losses: `loss_noise`, in training only; it reads no label.
    Evidence: `weight` w_m (B,) and `log_variance` log s_m^2 (B,).

    Args:
        width: of the heads' hidden layer.
        levels: how many strengths of noise there are.
        unit: standard deviation of the noise at level 1, in the unit of the features.
        noise_weight: of `loss_noise`.
    """

    def __init__(
        self,
        dims: dict[str, int],
        width: int = 128,
        levels: int = 11,
        unit: float = 0.1,
        noise_weight: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'UDML needs two or more modalities; it was given {list(dims)}')
        if width < 1 or levels < 1:
            raise ValueError(f'UDML(width={width}, levels={levels}); both are 1 or more')
        if unit <= 0 or noise_weight < 0:
            raise ValueError(
                f'UDML(unit={unit}, noise_weight={noise_weight}); unit is positive, '
                'noise_weight is 0 or more'
            )
        self.levels, self.unit, self.noise_weight = levels, unit, noise_weight
        self.variance = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, 1))
                for m, dim in dims.items()
            }
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        given = {m: Signal(signals[m].clean(), signals[m].mask) for m in self.modalities}
        noised = {m: self.noise(given[m]) for m in self.modalities} if self.training else {}
        given = {m: noised[m].signal if noised else given[m] for m in self.modalities}
        logs = {m: self.log_variance(m, given[m]) for m in self.modalities}
        weights = self.weigh(logs, given)
        weighted = {
            m: Signal(given[m].x * (1 + weights[m].reshape(-1, 1, 1)), given[m].mask)
            for m in self.modalities
        }
        losses: Losses = {}
        if supervision is not None and self.training:
            losses['loss_noise'] = self.noise_weight * distance(logs, noised)
        evidence = {'weight': weights, 'log_variance': {m: v.detach() for m, v in logs.items()}}
        return Calibration(weighted, losses, evidence)

    def noise(self, signal: Signal) -> Noised:
        """Add noise of one random level per sample."""
        x = signal.x
        level = torch.randint(1, self.levels + 1, (len(x), 1, 1), device=x.device)
        strength = self.unit * level.to(x.dtype)
        noisy = Signal(x + strength * torch.randn_like(x), signal.mask)
        return Noised(noisy, 2 * strength.reshape(-1).log())

    def log_variance(self, modality: str, signal: Signal) -> Tensor:
        """log s^2 (B,): per token, as the mean of many tokens is nearly free of noise."""
        per_token = self.variance[modality](signal.x.detach())
        return Signal(per_token, signal.mask).mean().squeeze(-1)

    def weigh(self, logs: dict[str, Tensor], signals: Signals) -> dict[str, Tensor]:
        """w (B,) per modality; they sum to the number of modalities that the sample has."""
        present = torch.stack([signals[m].present for m in self.modalities], dim=1)
        precision = -torch.stack([logs[m] for m in self.modalities], dim=1).detach()
        lowest = torch.finfo(precision.dtype).min
        share = precision.masked_fill(~present, lowest).softmax(1) * present
        weight = share * present.sum(1, keepdim=True)
        return dict(zip(self.modalities, weight.unbind(1), strict=True))


def distance(logs: dict[str, Tensor], noised: dict[str, Noised]) -> Tensor:
    """Mean over modalities and their samples of (log s^2 - log sigma^2)^2."""
    total = []
    for m, (signal, target) in noised.items():
        apart = (logs[m] - target).square() * signal.present
        total.append(apart.sum() / signal.present.sum().clamp(min=1))
    return torch.stack(total).mean()
