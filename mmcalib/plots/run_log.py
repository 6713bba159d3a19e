"""What runs have logged: the JSON log of mmengine's LocalVisBackend, and which runs are one."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

Series = dict[int, float]  # step -> value


class RunLog(NamedTuple):
    """One work dir."""

    name: str
    series: dict[str, Series]
    sample_data: bool


class Band(NamedTuple):
    """A series over the runs of one group, at the steps that all of them have."""

    steps: np.ndarray  # (S,)
    values: np.ndarray  # (R, S)

    @property
    def mean(self) -> np.ndarray:
        """(S,)."""
        return self.values.mean(axis=0)

    @property
    def spread(self) -> np.ndarray:
        """(S,): standard deviation over runs; 0 of a single one."""
        many = len(self.values) > 1
        return self.values.std(axis=0, ddof=1) if many else np.zeros(len(self.steps))


def read_run(work_dir: Path) -> RunLog:
    """The log of a work dir; of a resumed run, what was logged last at a step counts.

    Raises:
        FileNotFoundError: no run has logged there.
        ValueError: a line is no JSON.
    """
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(
            f'{work_dir} has no */vis_data/scalars.json; a work dir of tools/train.py has'
        )
    series: dict[str, Series] = {}
    for path in logs:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError:
                raise ValueError(f'{path}, line {number} is no JSON: {line[:60]!r}') from None
            for name, value in row.items():
                if name not in ('step', 'epoch', 'iter'):
                    series.setdefault(name, {})[int(row['step'])] = float(value)
    # A metric of validation has no slash; of training's own log, only these have none either.
    for name in ('lr', 'data_time', 'time', 'memory', 'grad_norm'):
        series.pop(name, None)
    series = {n: s for n, s in series.items() if not n.startswith('loss') or '/' in n}
    text = logs[-1].with_name('config.py')
    marked = text.is_file() and re.search(r'^sample_data\s*=\s*True', text.read_text(), re.M)
    return RunLog(work_dir.resolve().name, series, bool(marked))


def group(runs: Sequence[RunLog], separate: bool = False) -> dict[str, list[RunLog]]:
    """Runs that differ in their seed only, by name without it; `separate` keeps all apart."""
    found: dict[str, list[RunLog]] = {}
    for run in runs:
        name = run.name if separate else re.sub(r'-seed\d+', '', run.name)
        found.setdefault(name, []).append(run)
    return found


def band(runs: Sequence[RunLog], name: str) -> Band | None:
    """A series of a group; None if no run has it."""
    given = [run.series[name] for run in runs if name in run.series]
    steps = sorted(set.intersection(*map(set, given))) if given else []
    if not steps:
        return None
    return Band(np.array(steps), np.array([[series[step] for step in steps] for series in given]))
