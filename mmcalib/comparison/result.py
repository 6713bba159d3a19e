"""A finished run, read from its folder."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from mmcalib.comparison.grid import method_name
from mmcalib.hooks.run_record import PREDICTIONS, RECORD


class Group(NamedTuple):
    """What all runs of one table have in common."""

    config: str  # stem of the file
    options: str  # 'key=value key=value', by key

    def __str__(self) -> str:
        return f'{self.config}, {self.options}' if self.options else self.config


class Result(NamedTuple):
    """What a run has left: its record, and what it said about every test sample."""

    folder: Path
    config: str
    calibrator: str
    balancing: str  # '' without
    options: dict[str, Any]
    seed: int
    test: dict[str, float]
    selection: dict[str, Any] | None  # split, metric, rule, value, epoch; None: nothing selected
    checkpoint: str
    parameters: int
    calibrator_parameters: int
    epochs: int
    epoch_s: float | None  # None: no whole epoch was timed
    inference_ms: float | None
    data: dict[str, Any]  # name, root, train, val, test, sha256
    sample_data: bool
    command: str
    commit: str
    torch: str
    device: str
    id: np.ndarray  # (N,) str
    target: np.ndarray  # (N, ...)
    prediction: np.ndarray  # (N, ...)
    setting: str = ''  # the same for runs that differ in calibrator, balancing and seed only

    @property
    def method(self) -> str:
        """The calibrator, and the balancing method if there is one."""
        return method_name(self.calibrator, self.balancing)

    @property
    def group(self) -> Group:
        """Config and options: runs that agree in both are of one table."""
        options = ' '.join(f'{key}={value}' for key, value in sorted(self.options.items()))
        return Group(Path(self.config).stem, options)


ARRAYS = ('id', 'target', 'prediction')
KEYS = tuple(name for name in Result._fields if name not in ('folder', 'setting', *ARRAYS))


def read_result(folder: Path) -> Result:
    """The record and the predictions of a finished run.

    Raises:
        FileNotFoundError: the folder has not both files.
        ValueError: one of them is damaged or lacks something.
    """
    for name in (RECORD, PREDICTIONS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f'{folder} has no {name}; a finished run has {RECORD} and {PREDICTIONS}'
            )
    record = read_record(folder / RECORD)
    fields = {key: record[key] for key in KEYS} | read_arrays(folder / PREDICTIONS)
    return Result(folder=folder, setting=record.get('setting', ''), **fields)


def read_record(path: Path) -> dict[str, Any]:
    """The JSON, with every key that a result needs."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no JSON: {error}') from None
    have = sorted(record) if isinstance(record, dict) else type(record).__name__
    lacks = [key for key in KEYS if key not in have]
    if lacks:
        raise ValueError(f'{path} lacks {lacks}; it has {have}, and a result needs {list(KEYS)}')
    return record


def read_arrays(path: Path) -> dict[str, Any]:
    """Ids, targets and predictions, one each per test sample."""
    try:
        with path.open('rb') as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(f'{path} cannot be read: {error}') from None
    lacks = [name for name in ARRAYS if name not in arrays]
    if lacks:
        raise ValueError(f'{path} lacks {lacks}; it has {sorted(arrays)}, and needs {ARRAYS}')
    lengths = {name: len(arrays[name]) for name in ARRAYS}
    if len(set(lengths.values())) > 1 or not lengths['id']:
        raise ValueError(f'{path} has {lengths}; it needs one of each per test sample, at least 1')
    return {name: arrays[name] for name in ARRAYS}
