"""OGM: slow down the encoder of the modality that is ahead."""

from torch import nn

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks
from mmcalib.engine.modulation import confidences, logged, modulate, scale
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class OGM(Balancing):
    """On-the-fly gradient modulation: scale down the gradients of the dominant modality's encoder.

    Peng et al., "Balanced Multimodal Learning via On-the-fly Gradient Modulation", CVPR 2022,
    arXiv:2203.15332, Eq. 8-10: rho_m = s_m / (mean of the others' s); k_m = 1 - tanh(alpha rho_m)
    for rho_m > 1, as its code computes it 1 - tanh(alpha relu(rho_m)), else 1; the encoder's
    gradients are multiplied by k_m. The factor falls at once from 1 to 1 - tanh(alpha) where rho_m
    passes 1.

    Differs from the paper: s_m is the sum over the batch's samples that have m of exp(-loss) when
    only m is there, which is the probability of the right class for a cross-entropy, and exists for
    any fuser, head and task; the paper slices the weights of a linear head and gives each of two
    modalities half the bias. Any number of modalities. All parameters of an encoder are scaled,
    where the code scales those with four axes (convolutions) only.

    Cost: M passes through fuser and head per step, without gradients. Logs: `balance_<modality>`.

    Args:
        alpha: strength, 0 or more; 0.8 for CREMA-D in the public code, 0.1 for VGGSound.
        begin: first epoch that is modulated, from 0.
        end: first epoch that is not any more.
    """

    def __init__(self, alpha: float = 0.8, begin: int = 0, end: int = 50) -> None:
        super().__init__()
        if alpha < 0:
            raise ValueError(f'OGM(alpha={alpha}); alpha is 0 or more')
        if not 0 <= begin <= end:
            raise ValueError(f'OGM(begin={begin}, end={end}); needs 0 <= begin <= end')
        self.alpha, self.begin, self.end = alpha, begin, end
        self.active = False
        self.factors: dict[str, float] = {}

    def before_train_epoch(self, runner: object) -> None:
        """Is it time?"""
        self.active = self.begin <= runner.epoch < self.end  # type: ignore[attr-defined]

    def losses(self, step: Step) -> Losses:
        """The same losses; the factors of this step are logged."""
        if not self.active:
            return step.losses
        factors = modulate(mean_over_ranks(confidences(step, self.modalities)), self.alpha)
        self.factors = dict(zip(self.modalities, factors.tolist(), strict=True))
        return {**step.losses, **logged(self.modalities, factors)}

    def gradients(self, model: nn.Module) -> None:
        """Scale each encoder's."""
        if self.active:
            scale(model, self.factors)
