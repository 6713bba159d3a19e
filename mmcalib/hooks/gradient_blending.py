"""GradientBlending: weigh the losses of each modality alone and of all by how they generalise."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mmcalib.contract import Losses
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks, unwrap
from mmcalib.engine.modulation import evaluating, logged
from mmcalib.engine.observe import unmoved
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class GradientBlending(Balancing):
    """Blend unimodal losses and the fused one by generalisation over overfitting.

    Wang et al., "What Makes Training Multi-Modal Classification Networks Hard?", CVPR 2020,
    arXiv:1905.12681: L = sum_k w_k L_k over the modalities alone and all of them together,
    w_k = (1 / Z) G_k / O_k^2, with G_k the fall of the validation loss of k over a super-epoch and
    O_k the growth of its gap, validation minus training loss; the weights sum to 1 (Online
    G-Blend).

    Differs from the paper: a modality alone is predicted by the model's own fuser and head with the
    others declared missing, where the paper has a head for each. The weights of a super-epoch come
    from what the trained model did in the one before; the paper trains copies for every k first.
    So all weights are equal in the first super-epoch. Losses of other components keep their weight.

    The paper leaves open, and we decide: a k whose validation loss did not fall has the weight 0;
    if that is all of them, the weights stay as they were. O_k^2 is at least `epsilon`.

    Missing: L_k is the mean over the samples that have k.

    Measuring is without gradients, dropout or an effect on the random numbers of training, on the
    first batches of epoch 0 and on all validation batches, before training and after every
    super-epoch.

    Cost: M passes through fuser and head per step; the measuring. Losses: `loss_blend_<modality>`,
    and `loss_task` is w times the fused loss. Logs: `balance_<modality>` and `balance_fused`.

    Args:
        super_epoch: epochs between two estimates of the weights, 1 or more.
        train_batches: batches of training data of each process that are measured, 1 or more.
        epsilon: smallest O_k^2, above 0; a smaller one lets a single k take all the weight.

    Raises:
        ValueError: there is no validation data.
    """

    def __init__(
        self, super_epoch: int = 5, train_batches: int = 50, epsilon: float = 1e-8
    ) -> None:
        super().__init__()
        if super_epoch < 1 or train_batches < 1 or epsilon <= 0:
            raise ValueError(
                f'GradientBlending(super_epoch={super_epoch}, train_batches={train_batches}, '
                f'epsilon={epsilon}); the first two are 1 or more, epsilon is above 0'
            )
        self.super_epoch, self.train_batches, self.epsilon = super_epoch, train_batches, epsilon
        self.weights: Tensor | None = None  # (M + 1,), the last is that of all modalities
        self.measured: Tensor | None = None  # (2, M + 1): training and validation losses

    def before_train(self, runner: Any) -> None:
        """Measure the first time; a resumed run has done so."""
        super().before_train(runner)
        if getattr(runner, 'val_dataloader', None) is None:
            raise ValueError(
                'GradientBlending needs validation data to estimate its weights; the run has no '
                'val_dataloader'
            )
        if self.weights is None:
            self.weights = torch.full((len(self.modalities) + 1,), 1 / (len(self.modalities) + 1))
            self.measured = self.measure(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Measure at the end of a super-epoch, and estimate the weights of the next."""
        if (runner.epoch + 1) % self.super_epoch or self.measured is None or self.weights is None:
            return
        now = self.measure(runner)
        self.weights = blend(self.measured, now, self.weights, self.epsilon)
        self.measured = now

    def losses(self, step: Step) -> Losses:
        """The weighted losses; those of other components stay as they are."""
        if self.weights is None:
            return step.losses
        *alone, fused = self.weights.to(step.prediction.device)
        told = {**step.losses, 'loss_task': fused * step.losses['loss_task']}
        for m, weight in zip(self.modalities, alone, strict=True):
            loss, present = self.alone(step, m)
            told[f'loss_blend_{m}'] = weight * loss.sum() / present.sum().clamp(min=1)
        return {**told, **logged((*self.modalities, 'fused'), self.weights)}

    def alone(self, step: Step, modality: str) -> tuple[Tensor, Tensor]:
        """Loss of one modality (B,), zero where it is missing, and where it is present (B,)."""
        present = step.signals[modality].present
        loss = step.loss(step.predict(step.only(modality)))
        return torch.where(present, loss, torch.zeros_like(loss)), present

    @torch.no_grad()
    def measure(self, runner: Any) -> Tensor:
        """Mean losses (2, M + 1) of training and validation data over all processes."""
        model = unwrap(runner.model)
        train, val = runner.train_dataloader, runner.val_dataloader
        with undisturbed(train, runner.epoch), evaluating(model):
            rows = [self.mean(model, islice(train, self.train_batches)), self.mean(model, val)]
        self._calibration = self._prediction = None  # what the taps saw here is no training step
        return torch.stack(rows)

    def mean(self, model: Any, batches: Iterable[Any]) -> Tensor:
        """(M + 1,); NaN for a modality that is nowhere."""
        sums = torch.zeros(2, len(self.modalities) + 1, dtype=torch.float64)
        for batch in batches:
            data = model.data_preprocessor(batch, False)
            encoded = {m: model.encoders[m](data['inputs'][m]) for m in self.modalities}
            signals = model.calibrator(encoded).signals
            prediction = model.head(model.fuser(signals).vector)
            step = Step(model, data['inputs'], encoded, signals, prediction, data['target'], {})
            pairs = [self.alone(step, m) for m in self.modalities]
            every = step.loss(prediction)
            pairs.append((every, torch.ones_like(every)))
            sums += torch.tensor([[float(x.sum()) for x in pair] for pair in pairs]).T
        total, count = mean_over_ranks(sums.float())
        return total / count

    def state_dict(self) -> dict[str, Any]:
        """The weights, and what the next estimate starts from."""
        return {} if self.weights is None else {'weights': self.weights, 'measured': self.measured}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from these."""
        self.weights, self.measured = state['weights'], state['measured']


def blend(before: Tensor, now: Tensor, weights: Tensor, epsilon: float) -> Tensor:
    """w (M + 1,) from losses (2, M + 1) of training and validation, twice."""
    gain = (before[1] - now[1]).clamp(min=0)
    overfitting = (now[1] - now[0]) - (before[1] - before[0])
    raw = (gain / overfitting.square().clamp(min=epsilon)).nan_to_num(nan=0.0)  # nowhere: no gain
    return raw / raw.sum() if raw.sum() > 0 else weights


@contextmanager
def undisturbed(loader: Any, epoch: int) -> Iterator[None]:
    """The order of epoch 0, and afterwards random numbers and order as if nothing had been read."""
    sampler = getattr(loader, 'sampler', None)
    set_epoch = getattr(sampler, 'set_epoch', lambda epoch: None)
    set_epoch(0)
    try:
        with unmoved():
            yield
    finally:
        set_epoch(epoch)
