"""What a reader of a table has to know beside its numbers."""

from collections.abc import Mapping, Sequence

from mmcalib.comparison.provenance import listed, selection
from mmcalib.comparison.result import Result
from mmcalib.comparison.statistics import SAME

LIKELY = 0.05  # a test that cannot go below this is worth a remark


def about_runs(runs: Sequence[Result]) -> list[str]:
    """What keeps the runs of one table from being the same but for their method and seed."""
    said = []
    for what, values in {
        'data (sha256)': {run.data['sha256'] for run in runs},
        'settings, beside calibrator and balancing': {run.setting for run in runs},
        'commits': {run.commit or 'unknown' for run in runs},
        'selection rules': {selection(run) for run in runs},
        'numbers of epochs': {run.epochs for run in runs},
        'versions of torch': {run.torch for run in runs},
        'devices': {run.device for run in runs},
    }.items():
        if len(values) > 1:
            said.append(f'The runs differ in their {what}: {listed(sorted(values, key=str))}.')
    if any('with changes' in run.commit for run in runs):
        said.append('Some runs were made with uncommitted changes.')
    if any(run.selection and run.selection['split'] == 'test' for run in runs):
        said.append('Some runs selected on the test split: their numbers are too good.')
    return said


def about_pairs(
    rivals: Mapping[str, Mapping[int, Result]],
    base: Mapping[int, Result],
    pairs: Mapping[str, Sequence[float]],
    with_interval: set[str],
    metric: str,
) -> list[str]:
    """What could not be compared, and why.

    Args:
        rivals: by method and seed, without the baseline.
        base: runs of the baseline by seed.
        pairs: differences by method; no method without a pair.
        with_interval: methods that have an interval over test items.
        metric: of the differences.
    """
    said = []
    for name, by_seed in rivals.items():
        alone = sorted(by_seed.keys() ^ base.keys())
        if name not in pairs:
            said.append(f'{name} has no seed in common with the baseline: no difference.')
        elif alone:
            seeds = ', '.join(map(str, alone))
            said.append(f'Only one of {name} and the baseline has seed {seeds}: not paired.')
    single = [name for name, found in pairs.items() if len(found) == 1]
    if single:
        said.append(f'One pair only, so no test over seeds: {", ".join(single)}.')
    same = [n for n, d in pairs.items() if len(d) > 1 and max(d) - min(d) < SAME < abs(d[0])]
    if same:
        said.append(f'The same difference at every seed, so no t test: {", ".join(same)}.')
    counts = {len(found) for found in pairs.values()} - {1}
    for n in sorted(counts):
        if (floor := 2 / 2**n) > LIKELY:
            said.append(f'With {n} pairs, p of the Wilcoxon test is {floor:.4g} or more.')
    without = [name for name in pairs if name not in with_interval]
    if without and not with_interval:
        said.append(f'{metric} has no scores of single test items: no interval over items.')
    elif without:
        said.append(f'No interval over items: {", ".join(without)}.')
    return said
