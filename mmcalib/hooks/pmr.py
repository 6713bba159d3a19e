"""PMR: pull the features of the slower modality towards the prototypes of their classes."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks, unwrap
from mmcalib.engine.modulation import logged
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class PMR(Balancing):
    """Prototypical modal rebalance: a loss against class prototypes for the modality behind.

    Fan et al., "PMR: Prototypical Modal Rebalance for Multimodal Learning", CVPR 2023,
    arXiv:2211.07089: p_m = softmax over classes k of -|z_m - c_mk|, c_mk the prototype of a class;
    rho_m = p_m of the right class, over that of the others; L = task + alpha * sum over m with
    rho_m < 1 of -log p_m of the right class. Prototypes move once per epoch, to
    momentum * old + (1 - momentum) * mean of the class.

    Differs from the paper: any number of modalities, rho_m against the mean of the others; for two
    exactly one is behind, as in the paper. The prototypes are means over the whole epoch as it was
    trained, at no cost, where the code runs over a tenth of the data, or the validation set, once
    more; so there are none in the first epoch, which trains on the task alone. The weight is alpha
    or 0, and there is no regularisation of the faster modality's entropy, as in the code. It acts
    in all epochs; the code stops after 100 of 150.

    The paper leaves open, and we decide: z_m is the mean over tokens of the encoder's signal,
    before the calibrator, so that the loss reaches no other encoder than the slower one's.

    Missing: rho_m and the loss are means over the samples that have m and whose class has a
    prototype. A modality without such a sample, on any process, is neither behind nor a partner.

    Losses: `loss_prototype_<modality>`, zero for those that are not behind. Logs:
    `balance_<modality>`, the weight.

    Args:
        alpha: weight of the loss, 0 or more.
        momentum: weight of the old prototype when an epoch is over, in [0, 1).

    Raises:
        ValueError: a head without classes, or a target that is not one class per sample.
    """

    def __init__(self, alpha: float = 1.0, momentum: float = 0.2) -> None:
        super().__init__()
        if alpha < 0 or not 0 <= momentum < 1:
            raise ValueError(
                f'PMR(alpha={alpha}, momentum={momentum}); alpha is 0 or more, momentum in [0, 1)'
            )
        self.alpha, self.momentum = alpha, momentum
        self.classes = 0
        self.prototypes: dict[str, Tensor] = {}  # (K, D_m), NaN for a class that has none
        self.sums: dict[str, Tensor] = {}  # (K, D_m + 1) of this epoch, the last column counts

    def before_run(self, runner: Any) -> None:
        """Take the classes from the head."""
        super().before_run(runner)
        head = unwrap(runner.model).head
        if not isinstance(getattr(head, 'num_classes', None), int):
            raise ValueError(f'PMR needs a head with num_classes; {type(head).__name__} has none')
        self.classes = head.num_classes

    def losses(self, step: Step) -> Losses:
        """The losses, and one for each modality that is behind."""
        if step.target.ndim != 1 or step.target.is_floating_point():
            raise ValueError(
                'PMR needs one class per sample, integers (B,); the target is '
                f'{tuple(step.target.shape)} of {step.target.dtype}'
            )
        features = {m: step.encoded[m].mean().float() for m in self.modalities}
        told: Losses = {}
        if self.prototypes:
            losses, right = zip(*(self.judge(step, m, z) for m, z in features.items()), strict=True)
            weights = self.alpha * behind(*mean_over_ranks(torch.stack(right)).unbind(1))
            names = (f'loss_prototype_{m}' for m in self.modalities)
            told = dict(zip(names, weights * torch.stack(losses), strict=True))
            told |= logged(self.modalities, weights)
        self.collect(step, features)
        return {**step.losses, **told}

    def judge(self, step: Step, modality: str, features: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss against the prototypes; of the right class sum of p and samples (2,)."""
        prototypes = self.prototypes[modality].to(features)
        known = prototypes.isfinite().all(dim=1)  # (K,)
        # Without matrix products, whose cancellation would show where features meet a prototype.
        exact = 'donot_use_mm_for_euclid_dist'
        distance = torch.cdist(features, prototypes.nan_to_num(), compute_mode=exact)
        log_p = (-distance).masked_fill(~known, -torch.inf).log_softmax(dim=1)
        counts = step.encoded[modality].present & known[step.target]
        right = log_p[counts].gather(1, step.target[counts].unsqueeze(1)).squeeze(1)
        loss = -right.sum() / counts.sum().clamp(min=1)
        return loss, torch.stack([right.exp().sum().detach(), counts.sum().to(right.dtype)])

    @torch.no_grad()
    def collect(self, step: Step, features: dict[str, Tensor]) -> None:
        """Add this batch to the sums of the epoch, the same on all processes."""
        classes = F.one_hot(step.target, self.classes).float()  # (B, K)
        for m, z in features.items():
            own = classes * step.encoded[m].present.unsqueeze(1)
            counted = torch.cat([z, torch.ones_like(z[:, :1])], dim=1)
            batch = mean_over_ranks(own.T @ counted)
            self.sums[m] = self.sums[m].to(batch) + batch if m in self.sums else batch

    def after_train_epoch(self, runner: Any) -> None:
        """Move the prototypes of the classes that were seen."""
        for m, sums in self.sums.items():
            mean = sums[:, :-1] / sums[:, -1:]  # NaN for a class without samples
            old = self.prototypes[m].to(mean) if m in self.prototypes else mean
            moved = torch.where(
                old.isfinite(), self.momentum * old + (1 - self.momentum) * mean, mean
            )
            self.prototypes[m] = torch.where(mean.isfinite(), moved, old)
        self.sums = {}

    def state_dict(self) -> dict[str, Any]:
        """The prototypes, and the sums of an epoch that is not over."""
        if not self.prototypes and not self.sums:
            return {}
        return {'prototypes': dict(self.prototypes), 'sums': dict(self.sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from these."""
        self.prototypes, self.sums = dict(state['prototypes']), dict(state['sums'])


def behind(right: Tensor, counts: Tensor) -> Tensor:
    """(M,): 1 for each modality whose mean p of the right class is below the others' mean."""
    seen = counts > 0
    score = right / counts.clamp(min=torch.finfo(counts.dtype).tiny)
    others = (score.sum() - score) / (seen.sum() - 1).clamp(min=1)
    return (seen & (seen.sum() > 1) & (score < others)).to(score.dtype)
