"""What the command lines of grids have in common."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from mmcalib.comparison.grid import Run
from mmcalib.comparison.local import Local
from mmcalib.comparison.pool import Executor
from mmcalib.comparison.slurm import Slurm
from mmcalib.config import parse_component
from mmcalib.registry import CALIBRATORS, HOOKS


def run(work: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Do the work of a tool; returns the exit status, also of what goes wrong and of Ctrl-C."""
    try:
        return work(args)
    except KeyboardInterrupt:
        print('Stopped; the same command goes on from here.', file=sys.stderr)
        return 130
    except (ValueError, KeyError, OSError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2


def heed_signals() -> None:
    """Let SIGTERM end a grid as Ctrl-C does, and both also where a shell has them ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def add_methods(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Configs, and what is put into them."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG')
    group = parser.add_argument_group('the grid')
    group.add_argument(
        '--calibrator',
        nargs='+',
        default=[None],
        metavar='NAME',
        help="such as Identity VGMR 'VGMR(order=norm_then_gate)'; without, the config's",
    )
    group.add_argument(
        '--balancing', nargs='+', default=[None], metavar='NAME', help='such as none OGMGE AGM'
    )
    group.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='options of all runs'
    )
    group.add_argument('--data-root', help='folder of the data set; without it, the config says')
    group.add_argument('--cache', help='folder that tools/prepare made: read media from there')
    group.add_argument('--amp', action='store_true', help='mixed precision')
    return group


def add_work(parser: argparse.ArgumentParser, out: str) -> argparse._ArgumentGroup:
    """Where and with what the runs are done."""
    group = parser.add_argument_group('the work')
    group.add_argument('--out', type=Path, default=Path(out), help=f'folder of all runs ({out})')
    group.add_argument('--jobs', type=positive, help='runs at a time (as many as fit)')
    group.add_argument('--threads', type=positive, default=1, help='CPU threads of a run (1)')
    group.add_argument('--gpus', nargs='+', default=[], metavar='N', help='run on these GPUs')
    group.add_argument(
        '--slurm',
        nargs='*',
        action=DictAction,
        metavar='KEY=V',
        help='submit to Slurm; parameters of submitit, such as slurm_partition=gpu timeout_min=60',
    )
    return group


def same(args: argparse.Namespace) -> dict[str, Any]:
    """What every run of a grid has alike, as fields of `Run`."""
    given = {'root': args.data_root, 'cache': args.cache}
    return {**given, 'amp': args.amp, 'threads': args.threads}


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is given; a whole number from 1 on is possible')
    return int(text)


def values(text: str) -> list[Any]:
    """'Concat,Sum' as a list; each as `--cfg-options` reads it."""
    parsed = DictAction._parse_iterable(text)
    return list(parsed) if isinstance(parsed, list | tuple) else [parsed]


def executor(args: argparse.Namespace) -> tuple[Executor, int]:
    """What does the runs, and how many at a time."""
    if args.slurm is not None:
        folder = args.out / 'submitit'
        return Slurm(folder, threads=args.threads, **args.slurm), args.jobs or sys.maxsize
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    at_once = args.jobs or len(args.gpus) or max(1, (cores or 1) // args.threads)
    return Local(args.gpus, args.threads), at_once


def check(runs: Sequence[Run]) -> None:
    """Read each config and find its components now: a typing error need not wait its turn."""
    for run in runs:
        if run.seed != runs[0].seed:  # the same but for the seed
            continue
        run.load()
        for registry, given in ((CALIBRATORS, run.calibrator), (HOOKS, run.balancing)):
            if given is not None:
                registry.get(parse_component(given)['type'])
