"""Search settings for several methods: as many trials for each, on the validation split only.

python tools/search.py configs/base_conv_ave.py --calibrator Identity VGMR NormOnly --trials 20 \\
    --space optim_wrapper.optimizer.lr=1e-4..1e-2:log optim_wrapper.optimizer.weight_decay=0,0.01

No trial has a test split. best.json, below --out, holds the best settings of each method: give it
to tools/compare.py --tuned, which trains and tests them with other seeds. trials.csv holds all
trials. Start the same command again after any accident. docs/comparison.md explains it.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence

from mmcalib.comparison import command
from mmcalib.comparison.grid import expand
from mmcalib.comparison.search import best, direction, parse_space, search


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    grid = command.add_methods(parser)
    grid.add_argument('--space', nargs='+', required=True, metavar='KEY=RANGE', help='see above')
    grid.add_argument('--trials', type=command.positive, default=20, help='of each method (20)')
    grid.add_argument('--seed', type=int, default=0, help='of the search (0)')
    grid.add_argument(
        '--train-seed', type=int, default=1000, help='of all trials; not one to test with (1000)'
    )
    command.add_work(parser, 'work_dirs/search')
    args = parser.parse_args(arguments)
    if len(args.configs) > 1:
        parser.error(f'one config at a time is searched, not {args.configs}')
    return args


def run(args: argparse.Namespace) -> int:
    """Search, and write both files; returns the exit status."""
    methods = expand(
        args.configs,
        args.out,
        args.calibrator,
        args.balancing,
        [args.train_seed],
        options=args.cfg_options,
        **command.same(args),
    )
    command.check(methods)
    lower = direction(methods[0]) == 'minimize'
    trials = search(
        methods, parse_space(args.space), args.trials, *command.executor(args), args.seed
    )
    found = best(trials, lower)
    chosen = {method: trial.options for method, trial in found.items()}
    args.out.joinpath('best.json').write_text(json.dumps(chosen, indent=2) + '\n')
    with args.out.joinpath('trials.csv').open('w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['method', 'trial', 'validation', *trials[0].options, 'command'])
        for trial in trials:
            row = [trial.method, trial.number, trial.value, *trial.options.values(), trial.command]
            table.writerow(row)
    for method, trial in found.items():
        words = ' '.join(f'{key}={value}' for key, value in trial.options.items())
        print(f'{method or "the config"}: {trial.value:.4f} on validation with {words}')
    return 0 if len(found) == len(methods) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    return command.run(run, parse(arguments))


if __name__ == '__main__':
    command.heed_signals()
    sys.exit(main())
