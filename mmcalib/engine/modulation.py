"""Modulation: what balancing methods share that scale the gradients of whole encoders."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mmcalib.engine.balancing import Step


@torch.no_grad()
def confidences(step: Step, modalities: Sequence[str]) -> Tensor:
    """(M,): of each modality alone, exp(-loss) summed over the samples that have it.

    For a cross-entropy that is the probability of the right class.
    """
    scores = []
    for m in modalities:
        right = (-step.loss(step.predict(step.only(m)))).exp()
        scores.append((right * step.signals[m].present).sum())
    return torch.stack(scores)


def modulate(scores: Tensor, alpha: float) -> Tensor:
    """k (M,): 1 for every modality that is not ahead of the others' mean."""
    others = (scores.sum() - scores) / (len(scores) - 1)
    ratio = scores / others.clamp(min=torch.finfo(scores.dtype).tiny)
    return torch.where(ratio > 1, 1 - (alpha * ratio).tanh(), torch.ones_like(ratio))


def gradients_of(model: nn.Module, modality: str) -> Iterator[Tensor]:
    """The gradients of one encoder."""
    for parameter in model.get_submodule(f'encoders.{modality}').parameters():
        if parameter.grad is not None:
            yield parameter.grad


def scale(model: nn.Module, factors: Mapping[str, float]) -> None:
    """Multiply the gradients of each encoder by its factor."""
    for m, factor in factors.items():
        for gradient in gradients_of(model, m):
            gradient.mul_(factor)


def logged(modalities: Sequence[str], values: Tensor) -> Mapping[str, Tensor]:
    """Values (M,) under the names of the log, `balance_<modality>`."""
    return dict(zip((f'balance_{m}' for m in modalities), values, strict=True))


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Neither dropout nor statistics of the batch, and afterwards every part's own mode again."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
