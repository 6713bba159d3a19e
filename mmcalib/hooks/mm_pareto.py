"""MMPareto: settle the conflict between learning together and learning alone."""

from typing import Any

import torch
from torch import Tensor, nn

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class MMPareto(Balancing):
    """Multimodal Pareto: on each encoder, join the multimodal and the unimodal gradient.

    Wei and Hu, "MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance", ICML
    2024, arXiv:2405.17730. The loss is that of all modalities plus that of each alone. On encoder m
    these pull with g_f and g_m. Where they agree (g_f . g_m >= 0), their sum is taken; where they
    conflict, 2 a g_f + 2 (1 - a) g_m with the a in [0, 1] of least norm,
    a = clip(g_m . (g_m - g_f) / |g_f - g_m|^2), and then its magnitude is restored.

    The paper leaves open, and we decide: the restored length is `gamma` times that of the plain
    sum g_f + g_m, which is the longer of the two. g_f is the gradient of everything but the loss
    of m alone: also of the losses of calibrator and fuser, and, behind a calibrator that looks at
    partners, of the others alone.

    Differs from the paper: a modality alone is predicted by the model's own fuser and head with the
    others declared missing, where the paper has a head for each.

    Missing: the loss of m alone is over samples that have m.
    Cost: M passes through fuser and head per step, and M backward passes through an encoder each.
    Losses: `loss_only_<modality>`. Logs: `balance_<modality>` is 1 - a of the step before, the
    share of g_m: 0.5 where gradients agree.

    Args:
        gamma: length after a conflict as a multiple of the plain sum's, above 0.

    Raises:
        ValueError: accumulated or clipped gradients, in which the two parts cannot be told apart.
    """

    def __init__(self, gamma: float = 1.5) -> None:
        super().__init__()
        if gamma <= 0:
            raise ValueError(f'MMPareto(gamma={gamma}); gamma is above 0')
        self.gamma = gamma
        self.alone: dict[str, list[Tensor]] = {}  # g_m, as the encoder's parameters
        self.shares: dict[str, float] = {}
        self.scaler: Any = None

    def before_train(self, runner: Any) -> None:
        """Refuse gradients that are more than one backward pass."""
        wrapper = runner.optim_wrapper
        counts = getattr(wrapper, '_accumulative_counts', 1)
        clip = getattr(wrapper, 'clip_grad_kwargs', None)
        if counts > 1 or clip:
            raise ValueError(
                f'MMPareto compares the gradients of one batch; accumulative_counts is {counts} '
                f'and clip_grad {clip}, possible are 1 and None'
            )
        self.scaler = getattr(wrapper, 'scaler', None) or getattr(wrapper, 'loss_scaler', None)
        self.alone, self.shares = {}, dict.fromkeys(self.modalities, 0.5)
        super().before_train(runner)

    def losses(self, step: Step) -> Losses:
        """The losses and the unimodal ones, whose gradients are kept."""
        told = dict(step.losses)
        for m in self.modalities:
            present = step.signals[m].present
            loss = torch.where(present, step.loss(step.predict(step.only(m))), 0.0)
            told[f'loss_only_{m}'] = loss.sum() / present.sum().clamp(min=1)
            self.alone[m] = self.pull(step.model, m, told[f'loss_only_{m}'])
            told[f'balance_{m}'] = loss.new_tensor(self.shares.get(m, 0.5))
        return told

    def pull(self, model: Any, modality: str, loss: Tensor) -> list[Tensor]:
        """g_m, averaged over processes as `.grad` will be."""
        own = trained(model, modality)
        if not own:
            return []
        scale = self.scaler.get_scale() if self.scaler and loss.is_cuda else 1.0
        found = torch.autograd.grad(scale * loss, own, retain_graph=True, allow_unused=True)
        return [
            torch.zeros_like(p) if g is None else mean_over_ranks(g.float() / scale)
            for p, g in zip(own, found, strict=True)
        ]

    def gradients(self, model: nn.Module) -> None:
        """Replace the sum by the joint direction where the two conflict."""
        for m, alone in self.alone.items():
            own = trained(model, m)
            if not own:  # frozen, or without parameters
                continue
            grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in own]
            together = [g - a for g, a in zip(grads, alone, strict=True)]
            inner, of_alone = dot(together, alone), dot(alone, alone)
            of_together = dot(together, together)
            self.shares[m] = 0.5
            if not inner < 0 or not (of_together + of_alone).isfinite():
                continue
            share = settle(inner, of_together, of_alone)  # a
            joint = [
                2 * share * f + 2 * (1 - share) * g for f, g in zip(together, alone, strict=True)
            ]
            plain = (of_together + of_alone + 2 * inner).clamp(min=0).sqrt()
            length = dot(joint, joint).sqrt().clamp(min=torch.finfo(inner.dtype).tiny)
            for parameter, x in zip(own, joint, strict=True):
                parameter.grad = (self.gamma * plain / length * x).to(parameter.dtype)
            self.shares[m] = 1 - float(share)
        self.alone = {}

    def state_dict(self) -> dict[str, Any]:
        """What the next step logs."""
        return {'shares': dict(self.shares)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.shares = dict(state['shares'])


def trained(model: nn.Module, modality: str) -> list[nn.Parameter]:
    """An encoder's parameters that learn."""
    return [p for p in model.get_submodule(f'encoders.{modality}').parameters() if p.requires_grad]


def dot(x: list[Tensor], y: list[Tensor]) -> Tensor:
    """The inner product of two gradients of one encoder."""
    return torch.stack([(a * b).sum() for a, b in zip(x, y, strict=True)]).sum()


def settle(inner: Tensor, of_together: Tensor, of_alone: Tensor) -> Tensor:
    """a of the shortest a g_f + (1 - a) g_m, from g_f . g_m, |g_f|^2 and |g_m|^2."""
    return ((of_alone - inner) / (of_together + of_alone - 2 * inner)).clamp(0, 1)
