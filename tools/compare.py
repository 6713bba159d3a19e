"""Train every calibrator, balancing method, option and seed of a grid, and say what differs.

python tools/compare.py configs/base_conv_ave.py --calibrator Identity VGMR NormOnly --seeds 5

Each run is a folder below --out. What is done is not done again, what was interrupted goes on where
it stopped, what fails is listed at the end while the others go on: so start the same command again
after any accident, or on a second machine with the same disk. The table, in table.md, .csv, .tex
and .html below --out, covers all runs there are, also those of earlier commands. docs/comparison.md
explains it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmcalib.comparison import command
from mmcalib.comparison.grid import expand
from mmcalib.comparison.pool import do_all
from mmcalib.comparison.result import read_result
from mmcalib.comparison.table import write
from mmcalib.hooks.run_record import RECORD


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    grid = command.add_methods(parser)
    grid.add_argument(
        '--seeds', type=seeds, default='5', metavar='N', help='how many, or 10-14 (5)'
    )
    grid.add_argument(
        '--set',
        nargs='+',
        default=[],
        metavar='KEY=V,W',
        help='options that take each value in turn, such as model.fuser.type=Concat,Sum',
    )
    grid.add_argument(
        '--tuned', type=Path, metavar='FILE', help='best.json that tools/search.py wrote'
    )
    work = command.add_work(parser, 'work_dirs/compare')
    work.add_argument('--dry-run', action='store_true', help='print the commands of all runs')
    table = parser.add_argument_group('the table')
    table.add_argument('--baseline', default='Identity', metavar='NAME', help='compare with it')
    table.add_argument('--metric', help="compare this one, instead of the config's save_best")
    return parser.parse_args(arguments)


def seeds(text: str) -> list[int]:
    """'5' is 0 to 4, '10-14' is 10 to 14."""
    first, dash, last = text.partition('-')
    whole = first.isdecimal() and (last.isdecimal() or not dash)
    found = list(range(int(first), int(last) + 1) if dash else range(int(first))) if whole else []
    if not found:
        raise argparse.ArgumentTypeError(f'{text!r} is given; 5 (0 to 4) and 10-14 are possible')
    return found


def axes(given: Sequence[str]) -> dict[str, list[Any]]:
    """'model.fuser.type=Concat,Sum' -> the option and its values.

    Raises:
        ValueError: not of this form.
    """
    found = {}
    for text in given:
        key, _, listed = text.partition('=')
        if not key or not listed:
            raise ValueError(f'--set {text}; KEY=V,W is possible, model.fuser.type=Concat,Sum')
        found[key] = command.values(listed)
    return found


def compare(args: argparse.Namespace) -> int:
    """Do the runs, then the table; returns the exit status."""
    runs = expand(
        args.configs,
        args.out,
        args.calibrator,
        args.balancing,
        args.seeds,
        axes(args.set),
        args.cfg_options,
        json.loads(args.tuned.read_text()) if args.tuned else {},
        **command.same(args),
    )
    if args.dry_run:
        print('\n'.join(run.command for run in runs))
        return 0
    command.check(runs)
    ended = do_all(runs, *command.executor(args))
    failed = [(name, how.error) for name, how in ended.items() if how.name == 'failed']
    order = {run.folder: place for place, run in enumerate(runs)}
    folders = [path.parent for path in sorted(args.out.glob(f'*/{RECORD}'))]
    if folders:
        folders.sort(key=lambda folder: order.get(folder, len(order)))
        results = [read_result(folder) for folder in folders]
        print(write(results, args.out, failed, args.baseline, args.metric))
    for name, error in failed:
        print(f'FAILED: {args.out / name}: {error}', file=sys.stderr)
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    return command.run(compare, parse(arguments))


if __name__ == '__main__':
    command.heed_signals()
    sys.exit(main())
