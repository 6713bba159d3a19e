"""AGM: keep the balance of the modalities where its running mean is."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import factorial
from typing import Any

import torch
from torch import Tensor, nn

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks
from mmcalib.engine.modulation import evaluating, logged, scale
from mmcalib.registry import HOOKS

MAX_EXPONENT = 80.0  # exp of it is finite in float32


@HOOKS.register_module()
class AGM(Balancing):
    """Adaptive gradient modulation: scale an encoder by its modality's share against its past.

    Li et al., "Boosting Multi-modal Model Performance with Adaptive Gradient Modulation", ICCV
    2023. With f(S) the prediction of the modalities in S, the response of one modality is its
    Shapley value phi_m = sum over S without m of |S|! (M - |S| - 1)! / M! (f(S + m) - f(S)), for
    two modalities phi_a = (f(a, v) - f(v) + f(a)) / 2; s_m is the batch loss of phi_m;
    r_m = exp(mean of the others' s - s_m), above 1 for a modality that is ahead; tau_m the same of
    the running means of s; kappa_m = exp(alpha min(tau_m - r_m, cap)) multiplies the encoder's
    gradients. All responses together are the prediction: f of nothing counts as zero, as in the
    paper's case of two.

    Differs from the paper: any number of modalities, r_m against the mean of the others, which for
    two is the paper's ratio. The gradients of the encoder's parameters are scaled, not the one that
    flows back from the modality's response; for a linear map like backpropagation that is the same
    as scaling what flows into the encoder. The code limits each sample's loss to -log(1e-8); here
    exponents are limited to 80 instead, which works for any head.

    The paper leaves open, and we decide: the running mean is over all steps so far, before this
    one, as in its code. All f(S) are evaluated without dropout, f of all modalities too. The
    default of alpha is ours.

    Missing: s_m is the mean over the samples that have m. A modality that no sample of a batch has,
    on any process, keeps its running mean, is no partner of the others, and has kappa 1.

    Cost: 2^M - 1 passes through fuser and head per step, without gradients. Logs:
    `balance_<modality>`, kappa.

    Args:
        alpha: strength, 0 or more; 0 leaves all gradients as they are.
        cap: limit of tau_m - r_m, above 0; a modality that falls far behind its past is sped up at
            most exp(alpha * cap) times.
    """

    def __init__(self, alpha: float = 1.0, cap: float = 10.0) -> None:
        super().__init__()
        if alpha < 0 or cap <= 0:
            raise ValueError(f'AGM(alpha={alpha}, cap={cap}); alpha is 0 or more, cap above 0')
        self.alpha, self.cap = alpha, cap
        self.factors: dict[str, float] = {}
        self.running: Tensor | None = None  # (M,) mean of s over the steps before
        self.steps: Tensor | None = None  # (M,) how many they were

    def losses(self, step: Step) -> Losses:
        """The same losses; the factors of this step are logged."""
        total, count = self.scores(step)
        seen = count > 0
        score = total / count.clamp(min=torch.finfo(count.dtype).tiny)
        if self.running is None or self.steps is None:
            self.running, self.steps = torch.zeros_like(score), torch.zeros_like(score)
        running, steps = self.running.to(score), self.steps.to(score)
        change = (lead(running, seen) - lead(score, seen)).clamp(max=self.cap)
        factors = torch.where(seen, (self.alpha * change).exp(), torch.ones_like(score))
        self.factors = dict(zip(self.modalities, factors.tolist(), strict=True))
        self.steps = steps + seen
        self.running = running + seen * (score - running) / self.steps.clamp(min=1)
        return {**step.losses, **logged(self.modalities, factors)}

    @torch.no_grad()
    def scores(self, step: Step) -> tuple[Tensor, Tensor]:
        """Losses of the responses, summed (M,), and of how many samples; means over processes."""
        with evaluating(step.model.fuser, step.model.head):
            value = {s: step.predict(step.only(*s)).float() for s in subsets(self.modalities)}
            rows = []
            for m in self.modalities:
                present = step.signals[m].present
                loss = step.loss(respond(value, m, self.modalities))
                rows.append(torch.stack([loss[present].sum(), present.sum().to(loss.dtype)]))
        total, count = mean_over_ranks(torch.stack(rows)).unbind(1)
        return total, count

    def gradients(self, model: nn.Module) -> None:
        """Scale each encoder's."""
        scale(model, self.factors)

    def state_dict(self) -> dict[str, Any]:
        """The running means."""
        if self.running is None:
            return {}
        return {'running': self.running, 'steps': self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from these means."""
        self.running, self.steps = state['running'], state['steps']


def subsets(modalities: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All but the empty one, in order."""
    for size in range(1, len(modalities) + 1):
        yield from combinations(modalities, size)


def respond(
    value: Mapping[tuple[str, ...], Tensor], modality: str, modalities: tuple[str, ...]
) -> Tensor:
    """The Shapley value of one modality (B, ...), the value of nothing being zero."""
    many, response = len(modalities), torch.zeros_like(value[modalities])
    for within in (s for s in value if modality in s):
        without = tuple(m for m in within if m != modality)
        weight = factorial(len(without)) * factorial(many - len(within)) / factorial(many)
        gain = value[within] - value[without] if without else value[within]
        response = response + weight * gain
    return response


def lead(loss: Tensor, seen: Tensor) -> Tensor:
    """r (M,): exp of how far the others' mean loss is above one's own; 1 without others."""
    loss = torch.where(seen, loss, torch.zeros_like(loss))
    others = seen.sum() - seen.to(loss.dtype)
    ahead = (loss.sum() - loss) / others.clamp(min=1) - loss
    return torch.where(others > 0, ahead, torch.zeros_like(ahead)).clamp(max=MAX_EXPONENT).exp()
