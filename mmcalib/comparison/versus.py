"""Methods against a baseline, on the seeds and test items that they share."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmcalib.comparison.item_scores import item_scores
from mmcalib.comparison.result import Result
from mmcalib.comparison.statistics import (
    Interval,
    Record,
    bootstrap,
    holm,
    paired,
    record,
    t_test,
    wilcoxon,
)


class Spread(NamedTuple):
    """Of a number over runs."""

    mean: float
    sd: float | None  # of n - 1; None of a single run
    n: int


class P(NamedTuple):
    """A p value, and the same corrected for all comparisons of its table."""

    raw: float | None
    holm: float | None


class Versus(NamedTuple):
    """A method against the baseline, on the seeds that both have."""

    differences: dict[int, float]  # by seed, method less baseline
    spread: Spread
    interval: Interval | None  # over test items
    p_items: P
    p_t: P
    p_wilcoxon: P
    record: Record


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation and number."""
    many = len(values) > 1
    return Spread(
        float(np.mean(values)), float(np.std(values, ddof=1)) if many else None, len(values)
    )


def compare(
    rivals: Mapping[str, Mapping[int, Result]],
    base: Mapping[int, Result],
    metric: str,
    lower: bool,
    resamples: int,
) -> dict[str, Versus]:
    """Every method that shares a seed with the baseline, against it."""
    found: dict[str, dict[int, float]] = {}
    for name, by_seed in rivals.items():
        differences = paired(scores_of(by_seed, metric), scores_of(base, metric))
        if differences:
            found[name] = differences
    intervals = over_items({name: rivals[name] for name in found}, base, metric, resamples)
    p_items = corrected([i.p if (i := intervals.get(name)) else None for name in found])
    p_t = corrected([t_test(list(d.values())) for d in found.values()])
    p_wilcoxon = corrected([wilcoxon(list(d.values())) for d in found.values()])
    return {
        name: Versus(
            differences=differences,
            spread=spread(list(differences.values())),
            interval=intervals.get(name),
            p_items=p_items[k],
            p_t=p_t[k],
            p_wilcoxon=p_wilcoxon[k],
            record=record(list(differences.values()), lower),
        )
        for k, (name, differences) in enumerate(found.items())
    }


def scores_of(by_seed: Mapping[int, Result], metric: str) -> dict[int, float]:
    """A metric by seed."""
    return {seed: run.test[metric] for seed, run in by_seed.items()}


def corrected(ps: Sequence[float | None]) -> list[P]:
    """Each with its correction."""
    return [P(*pair) for pair in zip(ps, holm(ps), strict=True)]


def over_items(
    rivals: Mapping[str, Mapping[int, Result]],
    base: Mapping[int, Result],
    metric: str,
    resamples: int,
) -> dict[str, Interval]:
    """The bootstrap of every method whose items have scores: {} if the metric gives them none."""
    own = {seed: item_scores(run, metric) for seed, run in base.items()}
    rows: dict[str, np.ndarray] = {}
    for name, by_seed in rivals.items():
        pairs = [
            theirs - ours
            for seed, run in by_seed.items()
            if (ours := own.get(seed)) is not None
            and (theirs := item_scores(run, metric)) is not None
        ]
        if pairs and np.isfinite(pairs).all():
            rows[name] = np.mean(pairs, axis=0)
    if not rows:
        return {}
    return dict(zip(rows, bootstrap(np.stack(list(rows.values())), resamples), strict=True))
