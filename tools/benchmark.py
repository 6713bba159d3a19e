"""Time calibrators, fusers and balancing methods against the plain model, side by side.

python tools/benchmark.py VGMR CrossAttention OGM
"""

import argparse
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import Registry

from mmcalib import config, registry
from mmcalib.apis.train import parameters
from mmcalib.engine.balancing import Balancing
from mmcalib.engine.runner import Runner

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs' / 'base_conv_ave.py'
KINDS: dict[str, tuple[Registry, type]] = {  # a registry, and what of it
    'Calibrators': (registry.CALIBRATORS, object),
    'Fusers': (registry.FUSERS, object),
    'Balancing methods': (registry.HOOKS, Balancing),
}
# What a component cannot do without on one token per modality and 28 classes.
NEEDED: dict[str, dict[str, Any]] = {
    'Chain': {'model.calibrator.steps': ['VGMR', 'NormOnly']},
    'InterCAD': {'model.fuser.levels': 1, 'model.fuser.streams': 1},
    'IntraCED': {'model.calibrator.levels': 1},
    'KnowledgeGuidance': {
        'model.calibrator.calibrator.type': 'UPN',
        'model.calibrator.head.type': 'Classify',
        'model.calibrator.head.num_classes': 28,
    },
}

Costs = dict[str, dict[str, dict[str, Any]]]  # kind -> name -> column -> figure
Run = Callable[[Runner, dict[str, Any]], None]


def held(components: Registry, base: type = object) -> dict[str, type]:
    """Our components of a registry, by name."""
    components.import_from_location()
    every = components.module_dict.items()
    ours = ((n, c) for n, c in every if c.__module__.startswith('mmcalib.') and issubclass(c, base))
    return dict(sorted(ours))


def names(kind: str) -> list[str]:
    """What can be measured of a kind."""
    return list(held(*KINDS[kind]))


def measure(chosen: Sequence[str], pairs: int, batch: int, root: str | None) -> Costs:
    """Parameters, and time as ratios to Identity and Concat, of the named components."""
    costs: Costs = {kind: {} for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:

        def prepared(calibrator: str = 'Identity', **other: str) -> Runner:
            return prepare(calibrator, Path(folder), batch, root, **other)

        def against(other: Runner, run: Run) -> list[float]:
            return ratios(run, plain, other, given, pairs)

        plain = prepared()
        given = next(iter(plain.train_dataloader))
        for name in chosen:
            for kind in KINDS:
                if name not in names(kind):
                    continue
                print(f'{kind}: {name}', flush=True)
                row: dict[str, Any] = {}
                if kind == 'Balancing methods':
                    for calibrator in ('Identity', 'VGMR'):
                        runner = prepared(calibrator, balancing=name)
                        row[f'training step with {calibrator}'] = against(runner, train)
                        row[f'inference with {calibrator}'] = against(runner, infer)
                else:
                    other = {'calibrator': name} if kind == 'Calibrators' else {'fuser': name}
                    runner = prepared(**other)
                    row['parameters'] = parameters(runner.model)
                    row['extra'] = row['parameters'] - parameters(plain.model)
                    row['training step'] = against(runner, train)
                    row['inference'] = against(runner, infer)
                costs[kind][name] = row
    return costs


def prepare(
    calibrator: str,
    folder: Path,
    batch: int,
    root: str | None,
    fuser: str = 'Concat',
    balancing: str | None = None,
) -> Runner:
    """A runner of `tools/train.py`, about to train its first batch."""
    options: dict[str, Any] = {'model.fuser.type': fuser}
    options |= NEEDED.get(calibrator, {}) | NEEDED.get(fuser, {})
    for loader in config.LOADERS:  # one batch is read
        options |= {f'{loader}.batch_size': batch, f'{loader}.num_workers': 0}
        options |= {f'{loader}.persistent_workers': False}
    cfg = config.load(str(CONFIG), options, root, calibrator, 0, balancing)
    cfg.work_dir = str(folder / f'{cfg.experiment_name}-{fuser}')
    cfg.log_level = 'ERROR'
    if cfg.sample_data and not Path(cfg.sample.root).exists():
        config.prepare_sample(cfg)
    runner = Runner.from_cfg(cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    for point in ('before_run', 'before_train', 'before_train_epoch'):
        runner.call_hook(point)
    return runner


def train(runner: Runner, given: dict[str, Any]) -> None:
    """One step of training, with what balancing methods add."""
    runner.model.train()
    runner.call_hook('before_train_iter', batch_idx=0, data_batch=given)
    runner.model.train_step(given, runner.optim_wrapper)


@torch.no_grad()
def infer(runner: Runner, given: dict[str, Any]) -> None:
    """One batch of validation."""
    runner.model.eval()
    runner.model.val_step(given)


def ratios(
    run: Run, plain: Runner, other: Runner, given: dict[str, Any], pairs: int
) -> list[float]:
    """Median, minimum and maximum of a call's time over the plain model's, in turns."""
    found = []
    for index in range(-1, pairs):  # the first pair warms up
        order = (plain, other) if index % 2 else (other, plain)
        times = {runner: seconds(run, runner, given) for runner in order}
        if index >= 0:
            found.append(times[other] / times[plain])
    return [round(f(found), 3) for f in (statistics.median, min, max)]


def seconds(run: Run, runner: Runner, given: dict[str, Any]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    run(runner, given)
    return time.perf_counter() - start


def about(pairs: int, batch: int) -> dict[str, Any]:
    """Where the figures come from."""
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'], cwd=ROOT, capture_output=True, text=True
    )
    return {
        'commit': commit.stdout.strip() or 'unknown',
        'machine': f'{torch.get_num_threads()} CPU thread(s), {platform.machine()}',
        'torch': torch.__version__,
        'pairs': pairs,
        'batch': batch,
    }


def cell(value: int | list[float]) -> str:
    """A count, or median and range of a ratio."""
    if isinstance(value, int):
        return f'{value:,}'
    median, low, high = value
    return f'{median:.2f} ({low:.2f} to {high:.2f})'


def add_options(parser: argparse.ArgumentParser) -> None:
    """How to measure."""
    parser.add_argument('--pairs', type=int, default=7, help='of steps per figure')
    parser.add_argument('--batch', type=int, default=8, help='samples per step')
    parser.add_argument('--data-root', help="of AVE, instead of the config's or its sample data")


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='+', help='of calibrators, fusers or balancing methods')
    add_options(parser)
    args = parser.parse_args()
    known = sorted({name for kind in KINDS for name in names(kind)})
    if unknown := [name for name in args.names if name not in known]:
        parser.error(f'there is no {unknown}; there is: {", ".join(known)}')
    costs = measure(args.names, args.pairs, args.batch, args.data_root)
    for kind, rows in costs.items():
        for name, row in rows.items():
            figures = ', '.join(f'{column} {cell(value)}' for column, value in row.items())
            print(f'{kind}: {name}: {figures}')


if __name__ == '__main__':
    main()
