"""Which runs a comparison is made of."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmcalib import config
from mmcalib.apis.train import setting


class Run(NamedTuple):
    """One training, and the folder that is its own."""

    path: str  # of the config
    folder: Path
    calibrator: str | None = None  # None: the config's
    balancing: str | None = None
    seed: int = 0
    options: Mapping[str, Any] = {}
    tuned: Mapping[str, Any] = {}  # more options, which belong to the method
    root: str | None = None
    cache: str | None = None
    amp: bool = False
    threads: int = 1

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    def load(self) -> Config:
        """The config of the run, which resumes where an earlier start of it ended."""
        cfg = config.load(
            self.path,
            {**self.options, **self.tuned},
            self.root,
            self.calibrator,
            self.seed,
            self.balancing,
            self.cache,
        )
        cfg.asked = dict(config=self.path, options=self.options, command=self.command)
        if self.tuned:  # it is compared with runs that are not tuned, or otherwise
            untuned = self._replace(tuned={}).load()
            cfg.asked = dict(cfg.asked, tuned=self.tuned, setting=setting(untuned))
        cfg.work_dir, cfg.resume = str(self.folder), True
        if self.amp:
            cfg.optim_wrapper.type = 'Amp'
        return cfg

    @property
    def command(self) -> str:
        """The same training alone."""
        words = ['python', 'tools/train.py', self.path]
        flags = {
            '--data-root': self.root,
            '--cache': self.cache,
            '--calibrator': self.calibrator,
            '--balancing': self.balancing,
            '--seed': self.seed,
        }
        for flag, value in flags.items():
            words += [] if value is None else [flag, str(value)]
        words += ['--amp'] if self.amp else []
        if options := {**self.options, **self.tuned}:
            words += ['--cfg-options', *(f'{k}={_typed(v)}' for k, v in options.items())]
        return shlex.join(words)


def expand(
    paths: Sequence[str],
    out: Path,
    calibrators: Sequence[str | None] = (None,),
    balancings: Sequence[str | None] = (None,),
    seeds: Sequence[int] = (0,),
    axes: Mapping[str, Sequence[Any]] = {},
    options: Mapping[str, Any] = {},
    tuned: Mapping[str, Mapping[str, Any]] = {},
    **same: Any,
) -> list[Run]:
    """Every combination, the seeds outermost: what is done first are whole tables of few seeds.

    Args:
        paths: of configs.
        out: the folder of all runs' folders.
        calibrators: as `mmcalib.config.parse_component` reads them.
        balancings: likewise; None or 'none' is none.
        seeds: of weights, order and augmentation.
        axes: option to the values it takes in turn.
        options: the same for all.
        tuned: options of one method each, by `method_name`.
        same: other fields of `Run`.

    Raises:
        ValueError: an axis is also an option, two runs would have one folder, or some methods are
            tuned and others are not.
    """
    if twice := sorted(axes.keys() & options.keys()):
        raise ValueError(f'{twice} are both options of all runs and axes of the grid')
    runs: dict[str, Run] = {}
    chosen = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    for seed, path, axis, balancing, calibrator in product(
        seeds, paths, chosen, balancings, calibrators
    ):
        balancing = None if balancing == 'none' else balancing
        name = folder_name(path, axis, calibrator, balancing, seed)
        own = tuned.get(method_name(calibrator, balancing), {})
        run = Run(path, out / name, calibrator, balancing, seed, {**options, **axis}, own, **same)
        if name in runs and runs[name] != run:
            raise ValueError(
                f'Two runs would be called {name}: {runs[name].command}; {run.command}'
            )
        runs[name] = run
    methods = {method_name(run.calibrator, run.balancing) for run in runs.values()}
    if tuned and (untuned := sorted(methods - tuned.keys())):
        raise ValueError(
            f'There are tuned settings for {sorted(tuned)}, and none for {untuned}, which would be '
            'at a disadvantage: search for all methods of a grid, or leave those out'
        )
    return list(runs.values())


def method_name(calibrator: str | None, balancing: str | None) -> str:
    """As 'VGMR(width=8) + OGMGE'."""
    return ' + '.join(part for part in (calibrator, balancing) if part)


def folder_name(
    path: str,
    axis: Mapping[str, Any],
    calibrator: str | None,
    balancing: str | None,
    seed: int,
) -> str:
    """As base_conv_ave-fuser.type=Sum-VGMR-OGMGE-seed3."""
    parts = [Path(path).stem, *(f'{k.removeprefix("model.")}={v}' for k, v in axis.items())]
    parts += [part for part in (calibrator, balancing) if part]
    return '-'.join([*map(config.plain_name, parts), f'seed{seed}'])


def _typed(value: Any) -> str:
    """A value as `--cfg-options` reads it."""
    if isinstance(value, list | tuple):
        return f'[{",".join(map(_typed, value))}]'
    return str(value)
