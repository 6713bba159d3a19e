"""QMF: weight each modality by its own confidence."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Calibration, Calibrator, Head, Losses, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS, HEADS

TEMPERATURE = 0.1  # of the energy score


@CALIBRATORS.register_module()
class QMF(Calibrator):
    """Quality-aware fusion: a modality counts as much as it is confident in this sample.

    Zhang et al., "Provable Dynamic Fusion for Low-Quality Multimodal Data", ICML 2023,
    arXiv:2306.02050: u_m = 0.1 logsumexp(f_m), f_m the logits of modality m alone. Its loss adds
    one task loss per modality, and a ranking: the sample with the lower loss is to be the more
    confident one.

    Differs from the paper: weights act on features before fusion, not on logits:
    X~_m = w_m X_m, w_m = M exp(u_m) / (sum over o of exp(u_o)). The ranking compares each sample
    with the next one in the batch as the paper does, but by k = exp(-loss) of this step, detached,
    where the paper keeps a history per sample: relu(|k_i - k_j| - sign(k_i - k_j) (u_i - u_j)).
    With `head`, u_m does not learn from the fused task, as in a public reimplementation. Without,
    for tasks that have no logits, u_m is an affine function of the modality's mean that learns from
    the task too, there is no loss per modality, and the ranking asks the rest of the model, with
    only m there and without gradients.

    Missing: M counts, and the sum runs over, the modalities that the sample has; one that is alone
    weighs 1. An absent modality stays absent, weighs 0 and adds to no loss.
    Losses: `loss_rank`; `loss_unimodal` with `head`; both summed over modalities, in training only.
    Evidence: `weight` w_m (B,) and `confidence` u_m (B,).

    Args:
        head: config of a head whose prediction is logits, built once per modality on its mean.
        unimodal_weight: of `loss_unimodal`.
        rank_weight: of `loss_rank`; 0 saves the M extra passes when there is no head.
    """

    def __init__(
        self,
        dims: dict[str, int],
        head: Mapping[str, Any] | None = None,
        unimodal_weight: float = 1.0,
        rank_weight: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'QMF needs two or more modalities; it was given {list(dims)}')
        if unimodal_weight < 0 or rank_weight < 0:
            raise ValueError(
                f'QMF(unimodal_weight={unimodal_weight}, rank_weight={rank_weight}); weights are 0 '
                'or more'
            )
        self.unimodal_weight, self.rank_weight = unimodal_weight, rank_weight
        self.has_logits = head is not None
        self.heads = nn.ModuleDict(
            {
                m: nn.Linear(dim, 1) if head is None else HEADS.build(head, in_dim=dim)
                for m, dim in dims.items()
            }
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        predictions = {m: self.heads[m](signals[m].mean()) for m in self.modalities}
        confidence = {m: self.confide(predictions[m]) for m in self.modalities}
        weights = self.weigh(confidence, signals)
        weighted = {
            m: Signal(signals[m].clean() * weights[m].reshape(-1, 1, 1), signals[m].mask)
            for m in self.modalities
        }
        losses: Losses = {}
        if supervision is not None and self.training:
            losses = self.losses(signals, predictions, confidence, supervision)
        shown = {'weight': weights, 'confidence': confidence}
        evidence = {k: {m: t.detach() for m, t in v.items()} for k, v in shown.items()}
        return Calibration(weighted, losses, evidence)

    def confide(self, prediction: Tensor) -> Tensor:
        """u (B,)."""
        if self.has_logits:
            return TEMPERATURE * prediction.flatten(1).logsumexp(1)
        return prediction.squeeze(-1)

    def weigh(self, confidence: dict[str, Tensor], signals: Signals) -> dict[str, Tensor]:
        """w (B,) per modality; they sum to the number of modalities that the sample has."""
        present = torch.stack([signals[m].present for m in self.modalities], dim=1)
        u = torch.stack([confidence[m] for m in self.modalities], dim=1)
        u = u.detach() if self.has_logits else u
        share = u.masked_fill(~present, torch.finfo(u.dtype).min).softmax(1) * present
        weight = share * present.sum(1, keepdim=True)
        return dict(zip(self.modalities, weight.unbind(1), strict=True))

    def losses(
        self,
        signals: Signals,
        predictions: dict[str, Tensor],
        confidence: dict[str, Tensor],
        supervision: Supervision,
    ) -> Losses:
        """The ranking, and with `head` the loss of each modality."""
        present = {m: signals[m].present for m in self.modalities}
        target = supervision.target
        if self.has_logits:
            each = {m: cast(Head, self.heads[m]).loss(predictions[m], target) for m in present}
            alone = torch.stack([masked_mean(each[m], present[m]) for m in present]).sum()
            losses = {'loss_unimodal': self.unimodal_weight * alone}
        elif self.rank_weight > 0:
            each, losses = self.ask(signals, supervision), {}
        else:
            return {}
        ranks = [rank(each[m].detach(), confidence[m], present[m]) for m in present]
        return {**losses, 'loss_rank': self.rank_weight * torch.stack(ranks).sum()}

    @torch.no_grad()
    def ask(self, signals: Signals, supervision: Supervision) -> dict[str, Tensor]:
        """The task loss (B,) of the rest of the model when only one modality is there."""
        nothing = {m: signal.missing() for m, signal in signals.items()}
        return {m: supervision.task_loss({**nothing, m: signals[m]}) for m in self.modalities}


def rank(loss: Tensor, confidence: Tensor, present: Tensor) -> Tensor:
    """Hinge on neighbours in the batch whose confidence does not follow their losses."""
    right = (-loss).exp()
    ahead = right - right.roll(-1)
    hinge = F.relu(ahead.abs() - ahead.sign() * (confidence - confidence.roll(-1)))
    return masked_mean(hinge, present & present.roll(-1))


def masked_mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen of (B,); 0 if there are none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
