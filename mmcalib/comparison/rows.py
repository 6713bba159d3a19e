"""From results to rows: one table per setting, one row per method."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from mmcalib.comparison.item_scores import check_same_items
from mmcalib.comparison.provenance import Provenance, provenance
from mmcalib.comparison.remarks import about_pairs, about_runs
from mmcalib.comparison.result import Group, Result
from mmcalib.comparison.statistics import RESAMPLES
from mmcalib.comparison.versus import Spread, Versus, compare, scores_of, spread

BASELINE = 'Identity'
LOWER = ('MAE',)  # of metrics that nothing was selected by: less is better


class Row(NamedTuple):
    """A method."""

    method: str
    values: dict[int, float]  # of the main metric, by seed
    spread: Spread
    others: dict[str, Spread]  # of the other metrics
    versus: Versus | None  # None of the baseline, and without one
    parameters: int
    calibrator_parameters: int
    epoch_s: float | None  # medians over runs
    inference_ms: float | None
    provenance: Provenance


class Table(NamedTuple):
    """All methods on one config with the same options."""

    group: Group
    metric: str
    lower: bool  # less is better
    items: int  # of the test set
    baseline: str | None  # None: it has no run here
    others: tuple[str, ...]  # metrics
    rows: list[Row]
    notes: list[str]
    sample_data: bool

    @property
    def direction(self) -> str:
        """What is better."""
        return 'lower is better' if self.lower else 'higher is better'


def make_tables(
    results: Sequence[Result],
    baseline: str = BASELINE,
    metric: str | None = None,
    resamples: int = RESAMPLES,
) -> list[Table]:
    """Tables and their rows in the order in which the results come.

    Runs of one config with the same options are one table; so are those of two configs that differ
    in their calibrator only, under the name of the first.

    Args:
        results: of finished runs.
        baseline: a method, as `Result.method` spells it.
        metric: of the test set; None: the one that the runs selected by.
        resamples: of the bootstrap.

    Raises:
        ValueError: two results are of the same run, a metric does not exist, or runs of one table
            were tested on different items.
    """
    groups: dict[Group, dict[str, dict[int, Result]]] = {}
    named: dict[str, Group] = {}
    for result in results:
        group = named.setdefault(result.setting, result.group) if result.setting else result.group
        runs = groups.setdefault(group, {}).setdefault(result.method, {})
        if result.seed in runs:
            raise ValueError(
                f'{runs[result.seed].folder} and {result.folder} are both {group}, '
                f'{result.method}, seed {result.seed}; a table takes one run of each seed'
            )
        runs[result.seed] = result
    return [make_table(g, methods, baseline, metric, resamples) for g, methods in groups.items()]


def make_table(
    group: Group,
    methods: Mapping[str, Mapping[int, Result]],
    baseline: str,
    metric: str | None,
    resamples: int,
) -> Table:
    """One table of methods, each with its runs by seed."""
    runs = [run for by_seed in methods.values() for run in by_seed.values()]
    metric = main_metric(group, runs, metric)
    lower = less_is_better(runs, metric)
    check_same_items(runs)
    others = tuple(dict.fromkeys(name for run in runs for name in run.test if name != metric))
    notes = about_runs(runs)
    base = methods.get(baseline)
    versus: dict[str, Versus] = {}
    if base is None:
        notes.insert(0, f'No finished run of the baseline {baseline}: no differences.')
    else:
        rivals = {name: by_seed for name, by_seed in methods.items() if name != baseline}
        versus = compare(rivals, base, metric, lower, resamples)
        pairs = {name: list(v.differences.values()) for name, v in versus.items()}
        seen = {name for name, v in versus.items() if v.interval}
        notes = [*about_pairs(rivals, base, pairs, seen, metric), *notes]
    return Table(
        group=group,
        metric=metric,
        lower=lower,
        items=len(runs[0].id),
        baseline=None if base is None else baseline,
        others=others,
        rows=[
            make_row(name, by_seed, metric, others, versus.get(name))
            for name, by_seed in methods.items()
        ],
        notes=notes,
        sample_data=any(run.sample_data for run in runs),
    )


def main_metric(group: Group, runs: Sequence[Result], asked: str | None) -> str:
    """The metric of a table: what was asked for, or what the runs selected by."""
    shared = [name for name in runs[0].test if all(name in run.test for run in runs)]
    by = dict.fromkeys(run.selection['metric'] for run in runs if run.selection)
    if asked is None and len(by) > 1:
        raise ValueError(f'runs of {group} selected by {list(by)}; name the metric: {shared}')
    metric = asked or next(iter(by), shared[0] if shared else None)
    if metric not in shared:
        raise ValueError(f'metric {metric!r} of {group}; all its runs have {shared}')
    return metric


def less_is_better(runs: Sequence[Result], metric: str) -> bool:
    """By the rule that selected, else by the metric's name."""
    rules = {
        run.selection['rule'] for run in runs if run.selection and run.selection['metric'] == metric
    }
    if len(rules) > 1:
        raise ValueError(f'runs of one table selected {metric} by the rules {sorted(rules)}')
    return rules == {'less'} if rules else metric in LOWER or metric.startswith('loss')


def make_row(
    method: str,
    by_seed: Mapping[int, Result],
    metric: str,
    others: Sequence[str],
    versus: Versus | None,
) -> Row:
    """A method and its runs."""
    by_seed = dict(sorted(by_seed.items()))
    runs = list(by_seed.values())
    values = scores_of(by_seed, metric)
    return Row(
        method=method,
        values=values,
        spread=spread(list(values.values())),
        others={
            name: spread([run.test[name] for run in runs if name in run.test])
            for name in others
            if any(name in run.test for run in runs)
        },
        versus=versus,
        parameters=runs[0].parameters,
        calibrator_parameters=runs[0].calibrator_parameters,
        epoch_s=middle([run.epoch_s for run in runs]),
        inference_ms=middle([run.inference_ms for run in runs]),
        provenance=provenance(runs),
    )


def middle(times: Sequence[float | None]) -> float | None:
    """The median of what was timed; a run that resumed within its last epoch has nothing."""
    taken = [time for time in times if time is not None]
    return median(taken) if taken else None
