"""One run of a comparison, from its start to its record, in whatever process does it."""

import fcntl
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config

from mmcalib.apis.checkpoints import LAST
from mmcalib.apis.train import train
from mmcalib.comparison.grid import Run
from mmcalib.engine.atomic_backend import AtomicBackend
from mmcalib.hooks.run_record import RECORD
from mmcalib.media.disk import LOCK, lock
from mmcalib.media.splits import digest

ERROR, OUTPUT, PLAN = 'error.txt', 'output.txt', 'run.json'


class State(NamedTuple):
    """How far a run is: 'done', 'failed', 'running' somewhere, or 'waiting'."""

    name: str
    error: str = ''  # its last line


def state(run: Run) -> State:
    """Read from the run's folder."""
    if (run.folder / RECORD).exists():
        return State('done')
    if held(run.folder / LOCK):
        return State('running')
    if (run.folder / ERROR).exists():
        return State('failed', (run.folder / ERROR).read_text().strip().splitlines()[-1])
    return State('waiting')


def execute(run: Run) -> None:
    """Do a run, unless it is done or another process is at it; what goes wrong is written down.

    The folder gets `run.json` (what was asked), `output.txt` (all that was printed), what
    `tools/train.py` leaves but for the checkpoint of the last epoch, and `error.txt` in place of
    `test.json` where it failed.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    with lock(run.folder / LOCK) as mine:
        if not mine or (run.folder / RECORD).exists():
            return
        (run.folder / ERROR).unlink(missing_ok=True)
        with printing_to(run.folder / OUTPUT):
            try:
                torch.set_num_threads(run.threads)
                cfg = run.load()
                claim(run, cfg)
                record = train(cfg)
                if record['checkpoint'] != 'last':
                    drop_the_rest(run.folder)
            except Exception:
                text = traceback.format_exc()
                print(text, flush=True)
                AtomicBackend().put_text(text, run.folder / ERROR)


def claim(run: Run, cfg: Config) -> None:
    """Write down what a folder holds.

    Raises:
        ValueError: it holds a run of other settings.
    """
    refuse_others(run, cfg)
    mine = {'settings': fingerprint(cfg), 'command': run.command}
    AtomicBackend().put_text(json.dumps(mine, indent=2) + '\n', run.folder / PLAN)


def refuse_others(run: Run, cfg: Config | None = None) -> None:
    """See that a folder, if it was begun or is done, is of the run that is asked for.

    Args:
        run: what is asked for.
        cfg: its config; without it, it is read where there is something to compare.

    Raises:
        ValueError: it holds a run of other settings.
    """
    plan = run.folder / PLAN
    if not plan.exists():
        return
    found = json.loads(plan.read_text())
    if found['settings'] != fingerprint(cfg or run.load()):
        raise ValueError(
            f'{run.folder} holds a run of other settings, {found["command"]}; asked for is '
            f'{run.command}. Its config or its options have changed: delete the folder, or '
            'choose another --out'
        )


def drop_the_rest(folder: Path) -> None:
    """A finished run keeps its best checkpoint; hundreds of runs are many gigabytes otherwise."""
    for path in [*folder.glob('epoch_*.pth'), folder / LAST]:
        path.unlink(missing_ok=True)


def fingerprint(cfg: Config) -> str:
    """Letters that differ where two configs do, wherever their runs are kept."""
    plain = {k: v for k, v in cfg.to_dict().items() if k not in ('asked', 'work_dir', 'resume')}
    return digest([json.dumps(plain, sort_keys=True, default=str)])


def held(file: Path) -> bool:
    """Does a process hold the lock?"""
    if not file.exists():
        return False
    with file.open('r') as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def printing_to(path: Path) -> Iterator[None]:
    """Everything that is printed, by workers and C code too, is appended to a file."""
    kept = {number: os.dup(number) for number in (1, 2)}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with path.open('a', buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        for number in kept:
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)
