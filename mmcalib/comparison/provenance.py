"""Where a row of a table comes from."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mmcalib.comparison.result import Result


class Provenance(NamedTuple):
    """Of the runs of one method; what differs between them is listed with semicolons."""

    command: str  # SEED stands for every seed
    commit: str
    data: str
    sha256: str
    split: str
    selection: str
    epochs: str
    torch: str
    device: str


def provenance(runs: Sequence[Result]) -> Provenance:
    """Read it off the runs."""
    return Provenance(
        command=one_command(runs),
        commit=listed(run.commit or 'unknown' for run in runs),
        data=listed(f'{run.data["name"]} {run.data["root"]}' for run in runs),
        sha256=listed(run.data['sha256'] or 'unknown' for run in runs),
        split=listed(sizes(run) for run in runs),
        selection=listed(selection(run) for run in runs),
        epochs=listed(run.epochs for run in runs),
        torch=listed(run.torch for run in runs),
        device=listed(run.device for run in runs),
    )


def listed(values: Iterable[object]) -> str:
    """Each once, in order."""
    return '; '.join(dict.fromkeys(map(str, values)))


def one_command(runs: Sequence[Result]) -> str:
    """The command with SEED for the seed, if nothing else differs; else all commands."""
    general = {re.sub(rf'(seed[ =]?){run.seed}\b', r'\1SEED', run.command) for run in runs}
    if len(general) > 1:
        return listed(run.command for run in runs)
    command = general.pop()
    seeds = ' '.join(str(run.seed) for run in runs)
    return f'{command}  # SEED in {seeds}' if 'SEED' in command else command


def sizes(run: Result) -> str:
    """Items of each split."""
    return ', '.join(f'{run.data[s]} {s}' for s in ('train', 'val', 'test') if s in run.data)


def selection(run: Result) -> str:
    """Which checkpoint was tested."""
    if run.selection is None:
        return 'last epoch'
    best = 'lowest' if run.selection['rule'] == 'less' else 'highest'
    return f'{best} {run.selection["metric"]} on {run.selection["split"]}'
