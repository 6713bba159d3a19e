"""KnowledgeGuidance: let the better of two versions of a modality, and of all, teach the others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmcalib.contract import Calibration, Calibrator, Losses, Signals, Supervision, merge
from mmcalib.registry import CALIBRATORS, HEADS


class Reading(NamedTuple):
    """What a modality's head makes of its signal."""

    vector: Tensor  # (B, width)
    prediction: Tensor  # (B, ...)
    loss: Tensor  # (B,)


class Reader(nn.Module):
    """Mean of one modality, in the common width, through a head of its own."""

    def __init__(self, dim: int, width: int, head: Mapping[str, Any]) -> None:
        super().__init__()
        self.project = nn.Linear(dim, width) if dim != width else nn.Identity()
        self.head = HEADS.build(head, in_dim=width)

    def forward(self, mean: Tensor, target: Tensor) -> Reading:
        vector = self.project(mean)
        prediction = self.head(vector)
        try:
            loss = self.head.loss(prediction, target)
        except (RuntimeError, ValueError, IndexError) as error:
            raise ValueError(
                f'KnowledgeGuidance(head={type(self.head).__name__}) cannot score predictions '
                f'{tuple(prediction.shape)} against a target {tuple(target.shape)} of '
                f'{target.dtype}; it needs the head of the model: {error}'
            ) from error
        return Reading(vector, prediction, loss)


@CALIBRATORS.register_module()
class KnowledgeGuidance(Calibrator):
    """Knowledge guidance around any calibrator: what predicts better teaches what predicts worse.

    Zeng et al., "Multimodal Reaction: Information Modulation for Cross-Modal Representation
    Learning", IEEE TMM 2023, after its public code, where the calibrator is `UPN`. With u_m the
    mean of modality m before the calibrator, p_m after it, h_m one head for both, and l the loss of
    the task, averaged over the batch:
    unmasked: sum_m l(h_m(u_m)); masked: sum_m l(h_m(p_m)).
    intra: sum_m |h_m(p_m) - h_m(u_m)|^2, where the one with the lower loss teaches: it is detached.
    inter: the modality T with the lowest masked loss teaches the others,
    tau_T^2 / (M - 1) sum_{m != T} KL(softmax(p_T) || softmax(p_m)), p_T detached;
    tau_T = tau alpha_T, alpha_m = M prod_{o != m} (1 + r_o) / (sum_k prod_{o != k} (1 + r_o)), r_o
    the share of o in the sum of masked losses. alpha is 1 on average, and larger where the loss is
    lower. tau only scales the loss.

    Differs from the paper: one backward pass in place of two optimisers. There, one step moves the
    calibrator by the masked loss and its own penalty, and a second moves everything by all else.
    Here, the masked loss and the calibrator's own are those of a second run, on detached signals
    and with the same randomness, and the masked loss is read through detached heads. So gradients
    go where they go there, and two steps on a parameter become one on their sum. Any number of
    modalities: 1 / (M - 1) is the paper's 0.5 with three.
    The paper leaves open, and we decide: there is no activation before the mean (the code's is not
    published); where widths differ, a linear layer per modality takes the means to `width`, before
    heads and for the inter loss; predictions of several numbers are compared by the mean of their
    squared distances.

    In evaluation, nothing but the calibrator runs. In training it runs twice, once with and once
    without the target.

    Missing: a modality's loss is the mean over samples that have it, before and after the
    calibrator; the teacher is one that the batch has, M counts those that it has, and a pair is
    averaged over samples with both.
    Losses: `loss_kg_unmasked`, `loss_kg_masked`, `loss_kg_intra`, `loss_kg_inter`, and the
    calibrator's own; in training only.
    Evidence: the calibrator's.

    Args:
        calibrator: config of a calibrator.
        head: config of a head that fits the target, so usually the model's; built per modality.
        width: of the means in heads and inter loss; None is the largest width among modalities.
            A modality that is as wide has no layer.
        tau: scale of the inter loss, squared in it.
        unmasked_weight: of `loss_kg_unmasked`, which trains the heads.
        masked_weight: of `loss_kg_masked`, which trains the calibrator only.
        intra_weight: of `loss_kg_intra`.
        inter_weight: of `loss_kg_inter`.
    """

    def __init__(
        self,
        dims: dict[str, int],
        calibrator: Mapping[str, Any],
        head: Mapping[str, Any],
        width: int | None = None,
        tau: float = 10.0,
        unmasked_weight: float = 1.0,
        masked_weight: float = 1.0,
        intra_weight: float = 1.0,
        inter_weight: float = 1.0,
    ) -> None:
        super().__init__(dims)
        weights = {
            'unmasked': unmasked_weight,
            'masked': masked_weight,
            'intra': intra_weight,
            'inter': inter_weight,
        }
        if len(dims) < 2:
            raise ValueError(
                f'KnowledgeGuidance needs two or more modalities; it was given {list(dims)}'
            )
        if negative := {f'{name}_weight': w for name, w in weights.items() if w < 0}:
            raise ValueError(f'KnowledgeGuidance was given {negative}; weights are 0 or more')
        if tau <= 0 or (width is not None and width < 1):
            raise ValueError(
                f'KnowledgeGuidance(width={width}, tau={tau}); width is 1 or more, tau above 0'
            )
        common = max(dims.values()) if width is None else width
        self.weights, self.tau = weights, tau
        self.calibrator: Calibrator = CALIBRATORS.build(calibrator, dims=dims)
        self.readers = nn.ModuleDict({m: Reader(dim, common, head) for m, dim in dims.items()})

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        if supervision is None or not self.training:
            return self.calibrator(signals, supervision)
        device = signals[self.modalities[0]].x.device
        # Put the random state back afterwards, so that both runs meet the same.
        with torch.random.fork_rng([] if device.type == 'cpu' else [device]):
            own = self.aside(signals, supervision)
        calibration = self.calibrator(signals)
        guidance = self.guide(signals, calibration.signals, supervision.target)
        return calibration._replace(losses=merge(own, guidance))

    def aside(self, signals: Signals, supervision: Supervision) -> Losses:
        """The losses from which nothing but the calibrator learns."""
        apart = {m: s._replace(x=s.x.detach()) for m, s in signals.items()}
        calibration = self.calibrator(apart, supervision)
        total = []
        for m in self.modalities:
            reader, refined = self.readers[m], calibration.signals[m]
            fixed = {name: p.detach() for name, p in reader.named_parameters()}
            reading = functional_call(reader, fixed, (refined.mean(), supervision.target))
            total.append(masked_mean(reading.loss, signals[m].present & refined.present))
        masked = self.weights['masked'] * torch.stack(total).sum()
        return merge(calibration.losses, {'loss_kg_masked': masked})

    def guide(self, before: Signals, after: Signals, target: Tensor) -> Losses:
        """The three losses from which everything learns."""
        unmasked = {m: self.readers[m](before[m].mean(), target) for m in self.modalities}
        masked = {m: self.readers[m](after[m].mean(), target) for m in self.modalities}
        here = {m: before[m].present & after[m].present for m in self.modalities}
        alone = {m: masked_mean(unmasked[m].loss, here[m]) for m in self.modalities}
        refined = {m: masked_mean(masked[m].loss, here[m]).detach() for m in self.modalities}
        intra = []
        for m in self.modalities:
            better = refined[m] < alone[m]
            one, other = masked[m].prediction, unmasked[m].prediction
            teacher = torch.where(better, one, other).detach()
            student = torch.where(better, other, one)
            distance = (student - teacher).square().reshape(len(here[m]), -1).mean(dim=1)
            intra.append(masked_mean(distance, here[m]))
        inter = teach(
            torch.stack([masked[m].vector for m in self.modalities]),
            torch.stack([refined[m] for m in self.modalities]),
            torch.stack([here[m] for m in self.modalities]),
        )
        return {
            'loss_kg_unmasked': self.weights['unmasked'] * torch.stack([*alone.values()]).sum(),
            'loss_kg_intra': self.weights['intra'] * torch.stack(intra).sum(),
            'loss_kg_inter': self.weights['inter'] * self.tau**2 * inter,
        }


def teach(vectors: Tensor, loss: Tensor, here: Tensor) -> Tensor:
    """Vectors (M, B, width), losses (M,), presence (M, B) -> the inter loss at tau = 1."""
    seen = here.any(dim=1)
    count = seen.sum()
    best = loss.masked_fill(~seen, torch.inf).argmin(dim=0, keepdim=True)
    share = loss / (loss * seen).sum().clamp(min=torch.finfo(loss.dtype).tiny)
    ease = 1 / (1 + share)  # the product over all others, over the product over all
    alpha = count * ease[best] / (ease * seen).sum().clamp(min=torch.finfo(loss.dtype).tiny)
    logs = vectors.log_softmax(dim=-1)
    teacher = logs[best].detach()
    divergence = (teacher.exp() * (teacher - logs)).sum(dim=-1)  # (M, B)
    others = torch.arange(len(vectors), device=best.device) != best
    pairs = here & here[best] & others.unsqueeze(1)
    each = (divergence * pairs).sum(dim=1) / pairs.sum(dim=1).clamp(min=1)
    return alpha.square().squeeze() * each.sum() / (count - 1).clamp(min=1)


def masked_mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen of (B,); 0 if there are none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
