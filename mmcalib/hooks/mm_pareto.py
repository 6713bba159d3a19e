"""MMPareto: unimodal help for each encoder that does not work against the fused loss."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmcalib.contract import Losses, merge
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class MMPareto(Balancing):
    """Combine the fused and the unimodal gradient of each encoder, innocently for both.

    Wei & Hu, "MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance", ICML 2024,
    arXiv:2405.17730. The loss is the fused one plus one per modality alone. On the parameters of
    the encoder of m, with g the gradient of the fused loss and u that of m alone: where g.u >= 0,
    h = g/2 + u/2; else h = a g + (1 - a) u of the smallest norm, a = u.(u - g) / |g - u|^2. The
    encoder learns from gamma |g + u| h / |h|: the direction of h, as large as the plain sum, times
    gamma in both cases, as the public code has it.

    Differs from the public code: |g + u| / |h| is one number for an encoder, so that the direction
    is the Pareto one; the code rescales every parameter tensor by itself. g is the gradient of all
    but m's own unimodal loss, so that losses of a calibrator stay, and what the other modalities'
    losses send through a calibrator that mixes; without such, it is the paper's. A modality alone
    is predicted by the model's own fuser and head, with the others declared missing.

    Missing: L_m is the mean over the samples that have m.
    Cost: M passes through fuser and head, and M backward passes through one encoder each, per step;
    under clipping as many again. Clipping comes first, gamma after it.
    Losses: `loss_only_<modality>`. Logs: `balance_<modality>` is 2 (1 - a), which is 1 where the
    gradients agree.

    Args:
        gamma: size of the encoders' step against the plain sum, above 0; 1.5 in the public code.

    Raises:
        ValueError: gradients are accumulated; the unimodal gradient of a step is that of one batch.
    """

    def __init__(self, gamma: float = 1.5) -> None:
        super().__init__()
        if gamma <= 0:
            raise ValueError(f'MMPareto(gamma={gamma}); gamma is above 0')
        self.gamma = gamma
        self.wrapper: Any = None
        self.alone: dict[str, Tensor] = {}  # u, flat
        self.whole: dict[str, Tensor] = {}  # g + u before clipping, flat
        self.shares: dict[str, float] = {}

    def before_train(self, runner: Any) -> None:
        """Attach to the optimiser."""
        super().before_train(runner)
        self.wrapper = runner.optim_wrapper
        count = self.wrapper._accumulative_counts
        if count > 1:
            raise ValueError(
                'MMPareto needs a step per batch, but accumulative_counts is '
                f'{count}; 1 is possible'
            )

    def losses(self, step: Step) -> Losses:
        """The losses and those of each modality alone, whose gradients are kept."""
        alone = {}
        for m in self.modalities:
            alone[f'loss_only_{m}'] = step.mean(step.loss(step.predict(step.only(m))), m)
        told = merge(step.losses, alone)
        total = torch.stack(list(told.values())).sum()
        self.alone, self.whole = {}, {}
        for m in self.modalities:
            if parameters := trained(step.model, m):
                self.alone[m] = self.gradient(told[f'loss_only_{m}'], parameters)
                if self.wrapper.clip_grad_kwargs:
                    self.whole[m] = self.gradient(total, parameters)
        return told

    def gradient(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Of the mean loss over all processes, flat; as exact in float16 as the optimiser's."""
        scaler = getattr(self.wrapper, 'scaler', getattr(self.wrapper, 'loss_scaler', None))
        scale = scaler.get_scale() if scaler else 1.0
        # No hook of DDP fires here; the graph is still needed for the optimiser's own gradient.
        found = torch.autograd.grad(loss * scale, parameters, retain_graph=True, allow_unused=True)
        return mean_over_ranks(flat(found, parameters) / scale)

    def gradients(self, model: nn.Module) -> None:
        """Replace those of the encoders."""
        for m, alone in self.alone.items():
            parameters = trained(model, m)
            given = flat([p.grad for p in parameters], parameters)
            whole = self.whole.get(m, given)
            made, share = combine(whole - alone, alone, self.gamma)
            if whole is not given:
                made = made * (given.norm() / whole.norm()).nan_to_num(0.0)  # as it was clipped
            if not made.isfinite().all():
                continue  # the loss overflows; what a plain step does with it is not ours
            self.shares[m] = share.item()
            parts = made.split([p.numel() for p in parameters])
            for parameter, part in zip(parameters, parts, strict=True):
                if parameter.grad is not None:
                    parameter.grad.copy_(part.view_as(parameter))
        self.alone, self.whole = {}, {}

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log what was decided after the losses of the step were logged."""
        for m, share in self.shares.items():
            runner.message_hub.update_scalar(f'train/balance_{m}', 2 * share)

    def state_dict(self) -> dict[str, Any]:
        """What the log says if the next step overflows."""
        return {'shares': dict(self.shares)} if self.shares else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.shares = dict(state['shares'])


def trained(model: nn.Module, modality: str) -> list[nn.Parameter]:
    """What an encoder learns."""
    encoder = model.get_submodule(f'encoders.{modality}')
    return [p for p in encoder.parameters() if p.requires_grad]


def flat(gradients: Sequence[Tensor | None], parameters: Sequence[nn.Parameter]) -> Tensor:
    """All gradients as one vector; none is zero."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def combine(fused: Tensor, alone: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """The gradient to learn from, and the share of `alone` in h."""
    difference = fused - alone
    pareto = (fused @ difference) / difference.square().sum()
    share = torch.where(fused @ alone < 0, pareto, 0.5)
    h = (1 - share) * fused + share * alone
    # Opposite gradients leave nothing that helps both, and of h its rounding error.
    least = 10 * torch.finfo(h.dtype).eps * (fused.norm() + alone.norm())
    size = torch.where(h.norm() > least, (fused + alone).norm() / h.norm(), 0.0)
    return gamma * size * h, share
