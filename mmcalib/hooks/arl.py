"""ARL: let each encoder learn in the inverse ratio of its variance."""

from typing import Any

import torch
from torch import Tensor, nn

from mmcalib.contract import Losses, merge
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks
from mmcalib.engine.modulation import logged, scale
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class ARL(Balancing):
    """Asymmetric representation learning: modalities depend on each other by inverse variance.

    "ARL", ICCV 2025, as its public code (shicaiwei123/ICCV2025-ARL) has it for audio a, visual v:
    L = L_fused + gamma (L_a + L_v); H_m = entropy of m alone, over the sum of both, at least floor;
    q_m = (1 / H_m) / (1 / H_a + 1 / H_v); d_m = sum of |logits| of m alone, over that of both;
    w = softmax(T d_v q_a, T d_a q_v); the encoder's gradients become (1 + w_m) times as large.
    Before `begin` gamma is 1 and w_m is 1/2.

    Differs from the public code: it computes w and never uses it; here it is used. For M modalities
    the other's d becomes the mean of the others', (1 - d_m) / (M - 1); H_m is at least 2 floor / M;
    and w_m before `begin` is 1 / M. With M = 2 all three are the formulas above. A modality alone
    is predicted by the model's own fuser and head, with the others declared missing.

    Missing: entropy, logits and L_m are those of samples that have m. A modality that the whole
    batch lacks has w_m = 0, and M counts the others only.
    Cost: M passes through fuser and head per step, with gradients.
    Losses: `loss_only_<modality>`, gamma times L_m. Logs: `balance_<modality>` is w_m.

    Args:
        gamma: weight of the unimodal losses, 0 or more; 3 to 5 in the scripts of the public code.
        temperature: T, 0 or more; 0 gives all modalities the same w, 4 is used for most data sets.
        floor: smallest share of the entropy for M = 2, in (0, 0.5]; at 0.5 entropy has no effect.
        begin: first epoch with gamma and w, from 0; the public code begins after its epoch 5.

    Raises:
        ValueError: a target that is not one class per sample. A number, or several labels, has no
            entropy over classes; such a task can be trained as classes.
    """

    def __init__(
        self, gamma: float = 4.0, temperature: float = 8.0, floor: float = 0.3, begin: int = 6
    ) -> None:
        super().__init__()
        if min(gamma, temperature, begin) < 0:
            raise ValueError(
                f'ARL(gamma={gamma}, temperature={temperature}, begin={begin}); all are 0 or more'
            )
        if not 0 < floor <= 0.5:
            raise ValueError(f'ARL(floor={floor}); a share in (0, 0.5]')
        self.gamma, self.temperature, self.floor, self.begin = gamma, temperature, floor, begin
        self.active = False
        self.weights: dict[str, float] = {}

    def before_train_epoch(self, runner: Any) -> None:
        """Is it time?"""
        self.active = runner.epoch >= self.begin

    def losses(self, step: Step) -> Losses:
        """The losses and those of each modality alone; the weights of this step are logged."""
        if step.prediction.ndim != 2 or step.target.ndim != 1 or step.target.is_floating_point():
            raise ValueError(
                'ARL needs the entropy over classes, and so one class per sample, integers (B,); '
                f'the target is {step.target.dtype} of shape {tuple(step.target.shape)}, the '
                f'prediction of shape {tuple(step.prediction.shape)}'
            )
        alone, seen = {}, []
        for m in self.modalities:
            prediction = step.predict(step.only(m))
            weight = self.gamma if self.active else 1.0
            alone[f'loss_only_{m}'] = weight * step.mean(step.loss(prediction), m)
            seen.append(observe(prediction.detach()[step.signals[m].present].float()))
        entropy, magnitude, count = mean_over_ranks(torch.stack(seen)).unbind(1)
        count = count.clamp(min=torch.finfo(count.dtype).tiny)
        temperature = self.temperature if self.active else 0.0
        weights = weigh(entropy / count, magnitude / count, temperature, self.floor)
        self.weights = dict(zip(self.modalities, weights.tolist(), strict=True))
        return {**merge(step.losses, alone), **logged(self.modalities, weights)}

    def gradients(self, model: nn.Module) -> None:
        """g + w g."""
        scale(model, {m: 1 + weight for m, weight in self.weights.items()})


def observe(logits: Tensor) -> Tensor:
    """Of logits (N, C): the sums of entropies and magnitudes, and N (3,)."""
    log_p = logits.log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum()
    return torch.stack([entropy, logits.abs().sum(), entropy.new_tensor(len(logits))])


def weigh(entropy: Tensor, magnitude: Tensor, temperature: float, floor: float) -> Tensor:
    """w (M,), which sums to 1, from means per sample (M,); zero where the magnitude is zero."""
    there = magnitude > 0
    tiny = torch.finfo(entropy.dtype).tiny
    count = there.sum()
    share = entropy / entropy.sum().clamp(min=tiny)
    certainty = there / share.clamp(min=2 * floor / count.clamp(min=1))
    certainty = certainty / certainty.sum().clamp(min=tiny)
    others = (1 - magnitude / magnitude.sum().clamp(min=tiny)) / (count - 1).clamp(min=1)
    logits = (temperature * others * certainty).masked_fill(~there, -torch.inf)
    return logits.softmax(dim=0).nan_to_num()  # nobody is there: all zero
