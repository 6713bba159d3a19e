"""Intervals and tests of paired differences: numbers in, numbers out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 10_000
LEVEL = 0.95
SAME = 1e-9  # numbers closer than this are one: means of shares differ in their last bits
EXACT = 13  # pairs up to which every sign is tried
CELLS = 4_000_000  # of the largest array of a bootstrap


class Interval(NamedTuple):
    """Of a mean difference."""

    low: float
    high: float
    p: float  # two-sided, that the difference is 0


class Record(NamedTuple):
    """Over seeds."""

    wins: int
    ties: int
    losses: int


def paired(method: Mapping[int, float], baseline: Mapping[int, float]) -> dict[int, float]:
    """`method` less `baseline` at the seeds that both have, in order."""
    return {seed: method[seed] - baseline[seed] for seed in sorted(method.keys() & baseline.keys())}


def bootstrap(
    differences: np.ndarray, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> list[Interval]:
    """Percentile interval and p of every row's mean, by drawing items with replacement.

    A row holds the differences of one comparison, each item's mean over seeds: drawing the same
    items for all seeds and taking the mean over seeds gives the same. All rows meet the same draws.
    p is twice the smaller share of resamples on one side of 0, itself counted, so never 0.

    Args:
        differences: (M, N), of M comparisons on the same N items.
        resamples: how often N items are drawn.
        level: of the interval, in (0, 1).
        seed: of the draws.
    """
    items = differences.shape[1]
    generator = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, step := max(1, CELLS // items)):
        many = min(step, resamples - start)
        drawn = generator.integers(items, size=(many, items)) + items * np.arange(many)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=many * items).reshape(many, items)
        means.append(counts.astype(float) @ differences.T / items)
    every = np.concatenate(means)  # (resamples, M)
    low, high = np.quantile(every, ((1 - level) / 2, (1 + level) / 2), axis=0)
    below, above = (every <= SAME).sum(axis=0), (every >= -SAME).sum(axis=0)
    p = np.minimum(1, 2 * (1 + np.minimum(below, above)) / (resamples + 1))
    return [Interval(*map(float, row)) for row in zip(low, high, p, strict=True)]


def t_test(differences: Sequence[float]) -> float | None:
    """p of Student's paired t test; 1 if all are 0; None for fewer than two, or all the same."""
    if len(differences) < 2 or not np.isfinite(differences).all():
        return None
    if np.ptp(differences) < SAME:  # no spread to hold the mean against
        return 1.0 if abs(differences[0]) < SAME else None
    return float(stats.ttest_rel(differences, np.zeros(len(differences))).pvalue)


def wilcoxon(differences: Sequence[float]) -> float | None:
    """p of the signed rank test, exact also with ties; 1 if all are 0; None for fewer than two.

    Differences of 0 are left out, as by Wilcoxon. Up to `EXACT` pairs, every combination of signs
    is tried; beyond, scipy chooses between its exact table and the normal distribution.
    """
    if len(differences) < 2 or not np.isfinite(differences).all():
        return None
    moved = np.array([d for d in differences if abs(d) >= SAME])
    if len(moved) < 2:  # one difference has either sign equally often
        return 1.0
    moved = np.round(moved / SAME) * SAME  # what is equal but for its last bits gets equal ranks
    if len(moved) > EXACT:
        return float(stats.wilcoxon(moved).pvalue)
    found = stats.permutation_test(
        (moved,), rank_sum, permutation_type='samples', n_resamples=np.inf, vectorized=True
    )
    return float(found.pvalue)


def rank_sum(differences: np.ndarray, axis: int = -1) -> np.ndarray:
    """Sum of the ranks, by size, of what is above 0."""
    ranks = stats.rankdata(np.abs(differences), axis=axis)
    return (ranks * (differences > 0)).sum(axis=axis)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """p values that hold for all of them together; None is no comparison, and stays.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979: the k-th smallest of n is multiplied by n - k + 1, and none falls below a
    smaller one's.
    """
    known = [(p, k) for k, p in enumerate(ps) if p is not None]
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, k) in enumerate(sorted(known)):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[k] = highest
    return adjusted


def record(differences: Sequence[float], lower: bool = False) -> Record:
    """How often the method was better, the same and worse; `lower` says that less is better."""
    gains = -np.asarray(differences) if lower else np.asarray(differences)
    wins, losses = int((gains >= SAME).sum()), int((gains <= -SAME).sum())
    return Record(wins, int((np.abs(gains) < SAME).sum()), losses)
