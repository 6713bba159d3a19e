"""MLA: one modality learns at a time, behind a head that all share."""

from typing import Any

import torch
from torch import Tensor, nn

from mmcalib.contract import Losses, Signals
from mmcalib.engine.balancing import Balancing, Step, mean_over_ranks, only, unwrap
from mmcalib.registry import HEADS, HOOKS


@HOOKS.register_module()
class MLA(Balancing):
    """Alternating unimodal adaptation: the modalities take turns, and the head forgets none.

    Zhang et al., "Multimodal Representation Learning by Alternating Unimodal Adaptation", CVPR
    2024, arXiv:2311.10707. In its turn a modality is trained alone through the shared head, whose
    weight gradient G is kept away from what the turns so far have needed: with r the mean input of
    the head in this turn, k = P r, P <- P - k k^T / (a + r^T P r), a = 0.1^(1 + i/n) at batch i of
    n, P <- P / |P|, G <- G P^T; P starts as the identity, and the very first turn is not
    projected, as in the public code. In evaluation the prediction is
    sum_m w_m f_m, f_m the logits of m alone, w_m ~ exp(max H - H_m), H_m the entropy of f_m.

    Differs from the paper: one training step is one turn, so each modality sees each M-th batch and
    an epoch is an M-th of the paper's; the head stands behind the model's own fuser, which is given
    one modality and the others as missing. Losses of calibrator and fuser stay. With a calibrator
    that looks at partners, their part of it learns in every turn, their encoders do not.

    Missing: a sample without the modality adds nothing to its turn; in evaluation w is shared among
    the modalities that a sample has, and a sample without any keeps the model's prediction.
    Cost: one pass through fuser and head per step, M per batch of evaluation. Logs:
    `balance_<modality>` is 1 in the modality's turn, else 0.

    Raises:
        ValueError: another head than `Classify`, or accumulated gradients, which mix turns.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.rate = 0.1  # a
        self.started = False
        self.mean: Tensor | None = None  # r of this turn (D,)
        self.projection: Tensor | None = None  # P (D, D)

    def before_run(self, runner: Any) -> None:
        """Forget an earlier run; refuse what has no logits."""
        head = unwrap(runner.model).head
        if not isinstance(head, HEADS.get('Classify')):
            raise ValueError(f'MLA needs the head Classify; the model has {type(head).__name__}')
        super().before_run(runner)
        self.started, self.mean, self.projection = False, None, None

    def before_train(self, runner: Any) -> None:
        """Refuse accumulated gradients."""
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if counts > 1:
            raise ValueError(f'MLA steps after every turn; accumulative_counts is {counts}, not 1')
        super().before_train(runner)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Whose turn is it?"""
        self.turn = runner.iter % len(self.modalities)
        self.rate = 0.1 ** (1 + batch_idx / max(1, len(runner.train_dataloader)))

    def losses(self, step: Step) -> Losses:
        """The task loss of one modality, in place of that of all."""
        m = self.modalities[self.turn]
        vector = step.model.fuser(step.only(m)).vector
        loss = step.mean(step.loss(step.model.head(vector)), m)
        self.mean = mean_over_ranks(mean(vector.detach().float(), step.signals[m].present))
        # Zero times the prediction of all: under DDP every parameter needs a gradient.
        turns = {f'balance_{o}': loss.new_tensor(float(o == m)) for o in self.modalities}
        return {**step.losses, 'loss_task': loss + 0 * step.prediction.sum(), **turns}

    def gradients(self, model: nn.Module) -> None:
        """Project the head's; drop those of the other encoders, so that no momentum moves them."""
        for index, m in enumerate(self.modalities):
            if index != self.turn:
                for parameter in model.get_submodule(f'encoders.{m}').parameters():
                    parameter.grad = None
        weight = model.get_parameter('head.linear.weight')
        if self.started and self.mean is not None and weight.grad is not None:
            last = torch.eye(weight.shape[1]) if self.projection is None else self.projection
            # A checkpoint is read to the CPU.
            self.projection = project(last.to(weight.device), self.mean, self.rate)
            weight.grad.copy_(weight.grad @ self.projection.T.to(weight.grad.dtype))
        self.started = True

    def predictions(self, model: nn.Module, signals: Signals) -> Tensor | None:
        """Logits weighted by how certain each modality is alone: (B, C)."""
        logits, entropies, present = [], [], []
        for m in self.modalities:
            logits.append(model.head(model.fuser(only(signals, m)).vector))  # type: ignore[operator]
            entropies.append(torch.special.entr(logits[-1].softmax(-1)).sum(-1))
            present.append(signals[m].present)
        here, all_logits = torch.stack(present), torch.stack(logits)  # (M, B), (M, B, C)
        some = here.any(0)
        # Where nothing is there all weigh the same: each is the prediction of nothing.
        weights = (-torch.stack(entropies)).masked_fill(~here & some, float('-inf')).softmax(0)
        return (weights.unsqueeze(-1) * all_logits).sum(0)

    def state_dict(self) -> dict[str, Any]:
        """P, None before the second turn, and whether there was a first one."""
        return {'projection': self.projection, 'started': self.started}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.projection, self.started = state['projection'], state['started']


def mean(vector: Tensor, present: Tensor) -> Tensor:
    """Mean over present rows (B, D) -> (D,)."""
    return (vector * present.unsqueeze(-1)).sum(0) / present.sum().clamp(min=1)


def project(projection: Tensor, r: Tensor, rate: float) -> Tensor:
    """The next P: away from r, of norm 1."""
    k = projection @ r
    projection = projection - torch.outer(k, k) / (rate + r @ k)
    return projection / projection.norm()
