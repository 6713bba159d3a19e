"""OGMGE: OGM, and noise that makes up for what the scaling takes from it."""

from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast
from torch import nn

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks
from mmcalib.engine.modulation import confidences, gradients_of, logged, modulate
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class OGMGE(Balancing):
    """On-the-fly gradient modulation with generalisation enhancement: scaled gradients and noise.

    Peng et al., "Balanced Multimodal Learning via On-the-fly Gradient Modulation", CVPR 2022,
    arXiv:2203.15332, section 3.4: g_m <- k_m g_m + n, n ~ N(0, std(g_m)^2) for every parameter, as
    its code computes it; k_m as in `OGM`, whose docstring tells what differs from the paper there.
    Noise comes to all encoders, also to those that are not slowed down.

    Differs from the paper: all parameters of an encoder are scaled and get noise, where the code
    takes those with four axes (convolutions) only.

    The paper leaves open, and we decide: std(g_m) is that of the elements of a gradient before it
    is scaled, without the code's 1e-8. A gradient of one element has no deviation and gets no
    noise. The noise is a function of (seed, iteration): it is the same on every process, as the
    averaged gradient is, and after a resume.

    Cost: M passes through fuser and head per step, without gradients. Logs: `balance_<modality>`.

    Args:
        alpha: strength, 0 or more; 0.8 for CREMA-D in the public code, 0.1 for VGGSound. With 0
            there is still noise.
        begin: first epoch that is modulated, from 0.
        end: first epoch that is not any more.
    """

    def __init__(self, alpha: float = 0.8, begin: int = 0, end: int = 50) -> None:
        super().__init__()
        if alpha < 0:
            raise ValueError(f'OGMGE(alpha={alpha}); alpha is 0 or more')
        if not 0 <= begin <= end:
            raise ValueError(f'OGMGE(begin={begin}, end={end}); needs 0 <= begin <= end')
        self.alpha, self.begin, self.end = alpha, begin, end
        self.active = False
        self.factors: dict[str, float] = {}
        self.seed = self.iteration = 0

    def before_train(self, runner: Any) -> None:
        """Agree on a seed; a resumed run has its own back by now."""
        super().before_train(runner)
        seed = torch.tensor(runner.seed)
        broadcast(seed)  # mmengine's `diff_rank_seed` gives every process another one
        self.seed = int(seed)

    def before_train_epoch(self, runner: Any) -> None:
        """Is it time?"""
        self.active = self.begin <= runner.epoch < self.end

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Which iteration is it?"""
        self.iteration = runner.iter

    def losses(self, step: Step) -> Losses:
        """The same losses; the factors of this step are logged."""
        if not self.active:
            return step.losses
        factors = modulate(mean_over_ranks(confidences(step, self.modalities)), self.alpha)
        self.factors = dict(zip(self.modalities, factors.tolist(), strict=True))
        return {**step.losses, **logged(self.modalities, factors)}

    def gradients(self, model: nn.Module) -> None:
        """Scale each encoder's, and add the noise."""
        if not self.active:
            return
        generators: dict[torch.device, torch.Generator] = {}
        for m, factor in self.factors.items():
            for gradient in gradients_of(model, m):
                if gradient.device not in generators:
                    generators[gradient.device] = self.generator(gradient.device)
                noise = torch.empty_like(gradient).normal_(generator=generators[gradient.device])
                deviation = gradient.std(correction=1) if gradient.numel() > 1 else 0.0
                gradient.mul_(factor).add_(noise * deviation)

    def generator(self, device: torch.device) -> torch.Generator:
        """A fresh one; the key keeps it apart from those of StepSeed, which know the rank."""
        sequence = np.random.SeedSequence((self.seed, self.iteration), spawn_key=(0,))
        seed = int(sequence.generate_state(1, np.uint64)[0])
        return torch.Generator(device).manual_seed(seed)
