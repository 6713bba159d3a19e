"""ARL: let the encoder that the model neglects, but could trust, learn faster."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks, unwrap
from mmcalib.engine.modulation import gradients_of, logged
from mmcalib.registry import HEADS, HOOKS

FLOOR = 0.3  # of a normalised entropy


@HOOKS.register_module()
class ARL(Balancing):
    """Asymmetric representation learning: dependence on a modality inverse to its variance.

    ICCV 2025, code shicaiwei123/ICCV2025-ARL: L = L_f + gamma (L_a + L_v), unimodal predictions by
    the same head with the other modality zeroed; w = softmax([T dep_v q_a, T dep_a q_v]) with
    q_m = (1 / H_m) / (sum over o of 1 / H_o), H_m the normalised entropy of m alone, at least 0.3;
    from an epoch on, an encoder's gradient is multiplied by 1 + w_m.

    The paper leaves open, and we decide: dep_m = s_m / (sum of all s), s_m the mean over samples of
    exp(-loss) of m alone, the probability of the right class; with more than two modalities dep_v
    is the mean of the others' dep. H_m is the batch's mean entropy divided by log C. In the
    released code w is computed but never used; here it is.

    Missing: L_m, H_m and s_m are over samples that have m; a modality that the whole batch lacks
    takes no part in w.
    Cost: M passes through fuser and head per step. Losses: `loss_only_<modality>`. Logs:
    `balance_<modality>` is 1 + w_m.

    Args:
        gamma: weight of the unimodal losses, 0 or more; 3 to 5 in the public scripts.
        temperature: T, 0 or more; 8 for CREMA-D. With 0 all encoders are treated alike.
        begin: first epoch, from 0, whose gradients are modulated.

    Raises:
        ValueError: another head than `Classify`: without logits there is no entropy.
    """

    def __init__(self, gamma: float = 4.0, temperature: float = 8.0, begin: int = 5) -> None:
        super().__init__()
        if gamma < 0 or temperature < 0 or begin < 0:
            raise ValueError(
                f'ARL(gamma={gamma}, temperature={temperature}, begin={begin}); all are 0 or more'
            )
        self.gamma, self.temperature, self.begin = gamma, temperature, begin
        self.active = False
        self.factors: dict[str, float] = {}

    def before_run(self, runner: Any) -> None:
        """Refuse what has no logits."""
        head = unwrap(runner.model).head
        if not isinstance(head, HEADS.get('Classify')):
            raise ValueError(f'ARL needs the head Classify; the model has {type(head).__name__}')
        super().before_run(runner)

    def before_train_epoch(self, runner: Any) -> None:
        """Is it time?"""
        self.active = runner.epoch >= self.begin

    def losses(self, step: Step) -> Losses:
        """The losses and the unimodal ones; the factors of this step are logged."""
        told, seen = dict(step.losses), []
        for m in self.modalities:
            prediction, present = step.predict(step.only(m)), step.signals[m].present
            loss = torch.where(present, step.loss(prediction), 0.0)
            told[f'loss_only_{m}'] = self.gamma * loss.sum() / present.sum().clamp(min=1)
            with torch.no_grad():
                right = (-loss.float()).exp() * present
                entropy = entropies(prediction.float()) * present
                seen.append(torch.stack([right.sum(), entropy.sum(), present.sum()]))
        if not self.active:
            return told
        factors = 1 + weigh(mean_over_ranks(torch.stack(seen)), self.temperature)
        self.factors = dict(zip(self.modalities, factors.tolist(), strict=True))
        return {**told, **logged(self.modalities, factors)}

    def gradients(self, model: nn.Module) -> None:
        """g <- (1 + w) g for each encoder."""
        if self.active:
            for m, factor in self.factors.items():
                for gradient in gradients_of(model, m):
                    gradient.mul_(factor)


def entropies(logits: Tensor) -> Tensor:
    """Entropy as a share of its maximum: (B, C) -> (B,)."""
    share = torch.special.entr(logits.softmax(-1)).sum(-1)
    return share / math.log(logits.shape[-1])


def weigh(seen: Tensor, temperature: float) -> Tensor:
    """w (M,) from sums of right answers, entropies and samples (M, 3)."""
    right, entropy, count = seen.T
    there = count > 0
    count = count.clamp(min=torch.finfo(count.dtype).tiny)
    certain = there / (entropy / count).clamp(min=FLOOR)
    score = right / count
    tiny = torch.finfo(score.dtype).tiny
    precision = certain / certain.sum().clamp(min=tiny)
    dependence = score / score.sum().clamp(min=tiny)
    others = (dependence.sum() - dependence) / (there.sum() - 1).clamp(min=1)
    logits = (temperature * others * precision).masked_fill(~there, float('-inf'))
    return logits.softmax(0).nan_to_num()  # NaN where nothing is there
