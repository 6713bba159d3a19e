"""Measures of gradients, contributions and order, as pure functions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import factorial, nan

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

Subset = frozenset[str]


def norm(tensors: Iterable[Tensor]) -> float:
    """Euclidean norm of all numbers of some tensors together; NaN of none."""
    given = [tensor.detach().float() for tensor in tensors]
    if not given:
        return nan
    return float(
        torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t) for t in given]))
    )


def gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The gradient of a scalar, flat (P,); zero for a parameter that has no part in it.

    It leaves every `.grad` as it is.
    """
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def cosine(one: Tensor, other: Tensor) -> float:
    """Cosine of the angle between two vectors; NaN where one of them is zero."""
    one, other = one.double(), other.double()
    length = float(one.norm() * other.norm())
    return float(one @ other) / length if length > 0 else nan


def sign_changes(series: Sequence[float]) -> int:
    """How often a series crosses zero; zeros and NaN are passed over."""
    signs = np.sign([value for value in series if value and not np.isnan(value)])
    return int((signs[1:] != signs[:-1]).sum())


def subsets(modalities: Sequence[str]) -> Iterator[Subset]:
    """All 2^M, from the empty one to that of all."""
    for size in range(len(modalities) + 1):
        yield from map(frozenset, combinations(modalities, size))


def shapley(worth: Mapping[Subset, float], modalities: Sequence[str]) -> dict[str, float]:
    """The exact Shapley value of each modality; together they are worth(all) - worth(none).

    phi_m = sum over S without m of |S|! (M - |S| - 1)! / M! (worth(S + m) - worth(S)).
    Shapley, "A Value for n-Person Games", 1953.

    Args:
        worth: of every subset, the empty one too.
        modalities: M names.
    """
    many, values = len(modalities), dict.fromkeys(modalities, 0.0)
    for subset in subsets(modalities):
        for m in set(modalities) - subset:
            weight = factorial(len(subset)) * factorial(many - len(subset) - 1) / factorial(many)
            values[m] += weight * (worth[subset | {m}] - worth[subset])
    return values


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation of two series (N,); NaN below 3 pairs or where one is constant."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return nan
    return float(spearmanr(one, other).statistic)
