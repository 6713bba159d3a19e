"""From the files of a data set to a cache of what they hold, decoded."""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import torch
from mmengine.config import DictAction
from mmengine.registry import DefaultScope, init_default_scope
from safetensors import SafetensorError
from tqdm import tqdm

from mmcalib import config
from mmcalib.media import MediaError
from mmcalib.media.cache import (
    INDEX,
    VERSION,
    CacheError,
    Lister,
    Recorder,
    read_index,
    read_shard,
    size,
    write_index,
    write_shard,
)
from mmcalib.media.disk import alone, free_bytes, gb
from mmcalib.registry import DATASETS

PLAN = 'plan.json'
SHARD_BYTES = 256 << 20
MOST_ITEMS = 512  # in a shard, however small they are
PROBED = 8  # items that tell how large a cache will be

Visitor = TypeVar('Visitor', Lister, Recorder)
Configs = dict[str, dict[str, Any]]  # of a data set, by split


class Task(NamedTuple):
    """The items of one shard."""

    file: str
    split: str
    start: int
    stop: int


class Estimate(NamedTuple):
    """What a whole cache is going to cost."""

    bytes_per_item: float
    seconds_per_item: float  # of one process


def prepare(
    configs: Configs,
    folder: Path,
    workers: int = 1,
    shard_bytes: int = SHARD_BYTES,
    dry_run: bool = False,
) -> None:
    """Make a cache, or finish one, or mend one.

    Each shard is a function of its items, and appears in one step. What is whole and still fits the
    files is kept, so that an interrupted run goes on where it was, to the same bytes.

    Args:
        configs: of the data set of each split.
        folder: of the cache.
        workers: processes; 0 works in this one.
        shard_bytes: about how large a shard is to be; a cache that was begun keeps its own.
        dry_run: only say how large it would be.

    Raises:
        CacheError: the folder holds a cache of other settings, something else, or another process
            works on it; or the disk is too small.
    """
    reader = Reader(configs)
    settings = reader.settings()
    counts = {split: len(data) for split, data in reader.data.items()}
    total = sum(counts.values())
    plan = _read_plan(folder, settings)
    if plan is None or dry_run:
        estimate = reader.estimate()
        _announce(folder, estimate, total, max(workers, 1))
        if dry_run:
            return
        items = int(shard_bytes / max(estimate.bytes_per_item, 1.0))
        plan = {'version': VERSION, 'settings': settings}
        plan['items_per_shard'] = min(max(items, 1), MOST_ITEMS)
    with alone(folder):
        fresh = folder / f'.{PLAN}'
        fresh.write_text(json.dumps(plan, sort_keys=True) + '\n')
        fresh.replace(folder / PLAN)  # in one step: half a plan would be no cache
        for leftover in folder.glob('*.tmp'):
            leftover.unlink()
        intact = _drop_damaged(folder)
        tasks = _tasks(counts, plan['items_per_shard'])
        kept = set()
        with tqdm(total=total, desc=folder.name, unit='item', disable=None) as progress:
            for task, was_there in _run(tasks, reader, folder, workers):
                kept |= {task.file} if was_there else set()
                progress.update(task.stop - task.start)
        _finish(folder, settings, tasks, {f: r for f, r in intact.items() if f in kept})
    made = sum(size(folder / task.file) or 0 for task in tasks)
    print(
        f'{folder}: {total} items in {len(tasks)} files, {gb(made)}; {len(kept)} files were there'
    )


class Reader:
    """The data sets of a config, of which each item can be listed, or read whole."""

    def __init__(self, configs: Configs) -> None:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        if DefaultScope.get_current_instance() is None:
            init_default_scope('mmcalib')
        self.configs = configs
        self.data = {split: DATASETS.build(given) for split, given in configs.items()}
        for split, data in self.data.items():
            if not hasattr(data, 'files'):
                text = f'{type(data).__name__} ({split}) reads no media: there is nothing to cache'
                raise CacheError(text)
            data.on_error = 'missing'

    def settings(self) -> dict[str, Any]:
        """What must be the same for all of a cache."""
        files = next(iter(self.data.values())).files
        return {'fps': files.fps, 'side': files.side}

    def estimate(self) -> Estimate:
        """From a few items, evenly spaced."""
        places = [(split, i) for split, data in self.data.items() for i in range(len(data))]
        places = places[:: max(len(places) // PROBED, 1)]
        began = time.perf_counter()
        found = [self._visit(Task('', split, i, i + 1), Recorder).entries for split, i in places]
        took = time.perf_counter() - began
        arrays = [a for some in found for entry in some.values() for a in entry.arrays.values()]
        return Estimate(sum(a.nbytes for a in arrays) / len(places), took / len(places))

    def make(self, task: Task, folder: Path) -> bool:
        """Write a shard, if it is not there as it would be written; whether it was."""
        path = folder / task.file
        record = _record_of(path, digest=False)
        if record is not None:
            has = {key: facts['bytes'] for key, facts in record['entries'].items()}
            if has == self._visit(task, Lister).asked:
                return True
        write_shard(path, self._visit(task, Recorder).entries)
        return False

    def _visit(self, task: Task, kind: type[Visitor]) -> Visitor:
        """Ask for every item of a task, and keep what its data set asks of files."""
        data = self.data[task.split]
        usual = data.files
        data.files = visitor = kind(usual)
        try:
            for index in range(task.start, task.stop):
                data[index]
        finally:
            data.files = usual
        return visitor


def _tasks(counts: Mapping[str, int], items: int) -> list[Task]:
    return [
        Task(f'{split}-{k:05d}.safetensors', split, start, min(start + items, count))
        for split, count in counts.items()
        for k, start in enumerate(range(0, count, items))
    ]


_reader: Reader  # of a worker process


def _start(configs: Configs) -> None:
    global _reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    _reader = Reader(configs)


def _work(given: tuple[Task, Path]) -> tuple[Task, bool]:
    return given[0], _reader.make(*given)


def _run(
    tasks: Sequence[Task], reader: Reader, folder: Path, workers: int
) -> Iterator[tuple[Task, bool]]:
    if workers == 0:
        yield from ((task, reader.make(task, folder)) for task in tasks)
        return
    # Spawned, since a fork of a process with threads (torch, OpenCV) may hang.
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, _start, (reader.configs,)) as pool:
        yield from pool.imap_unordered(_work, [(task, folder) for task in tasks])


def _finish(
    folder: Path, settings: Mapping[str, Any], tasks: Sequence[Task], known: Mapping[str, Any]
) -> None:
    needed = {task.file for task in tasks}
    for path in folder.glob('*.safetensors'):
        if path.name not in needed:
            path.unlink()  # of a longer list
    shards = [known.get(task.file) or read_shard(folder / task.file) for task in tasks]
    write_index(folder, settings, shards)


def _record_of(path: Path, digest: bool = True) -> dict[str, Any] | None:
    """What a shard says of itself; None where there is none that can be read."""
    try:
        return read_shard(path, digest)
    except (SafetensorError, OSError, ValueError, KeyError):
        return None


def _drop_damaged(folder: Path) -> dict[str, Any]:
    """Remove the index, which comes last, and the shards that are not what it says; the others."""
    if not (folder / INDEX).exists():
        return {}
    intact = {}
    for shard in read_index(folder)['shards']:
        path = folder / shard['file']
        record = _record_of(path)
        if record == shard:
            intact[path.name] = record
        elif record is not None:
            print(f'{path} is damaged and made again')
            path.unlink()
    (folder / INDEX).unlink()
    return intact


def _read_plan(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if not (folder / PLAN).exists():
        if folder.exists() and any(path.name[0] != '.' for path in folder.iterdir()):
            raise CacheError(f'{folder} is not empty and no cache; another folder is possible')
        return None
    plan: dict[str, Any] = json.loads((folder / PLAN).read_text())
    made = {'version': plan['version'], **plan['settings']}
    if made != {'version': VERSION, **settings}:
        asked = {'version': VERSION, **settings}
        text = f'{folder} was begun with {made}, asked is {asked}'
        raise CacheError(f'{text}; another folder is possible, or this one deleted')
    return plan


def _announce(folder: Path, estimate: Estimate, total: int, workers: int) -> None:
    needed = estimate.bytes_per_item * total
    free = free_bytes(folder)
    minutes = estimate.seconds_per_item * total / workers / 60
    print(
        f'{folder}: {total} items, about {gb(needed)} and {minutes:.1f} min with {workers} '
        f'processes (from {PROBED} items); {gb(free)} are free',
        flush=True,
    )
    if needed > free:
        raise CacheError(
            f'{folder} needs about {gb(needed)}, but {gb(free)} are free; fewer or smaller '
            'pictures are possible: --fps 1, --side 256'
        )


def main(config_file: Path | None = None) -> None:
    """The command line of `tools/prepare`; without a config, it is the first argument."""
    parser = argparse.ArgumentParser(
        description='Decode the sound and the pictures of a data set once, into a cache that '
        'trains fast. Interrupted, the same command goes on where it was.'
    )
    if config_file is None:
        parser.add_argument('config', type=Path, help='config file that reads the data set')
    parser.add_argument('--data-root', help='folder of the data set; without it, the config says')
    parser.add_argument('--out', type=Path, required=True, help='folder of the cache')
    parser.add_argument('--fps', type=float, help='only so many frames of a video per second')
    parser.add_argument('--side', type=int, help='scale pictures to this shorter side, in pixels')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    parser.add_argument('--shard-mb', type=int, default=SHARD_BYTES >> 20, help='size of a file')
    parser.add_argument('--dry-run', action='store_true', help='only say how large it would be')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='key=value, dotted keys'
    )
    args = parser.parse_args()
    path = config_file or args.config
    media = {'fps': args.fps, 'side': args.side}
    options = {**args.cfg_options, 'data.media': {k: v for k, v in media.items() if v is not None}}
    try:
        cfg = config.load(str(path), options, args.data_root)
        if cfg.sample_data:
            config.prepare_sample(cfg)
        shard_bytes = args.shard_mb << 20
        prepare(config.plain_of_splits(cfg), args.out, args.workers, shard_bytes, args.dry_run)
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command goes on from here')
    except (ValueError, OSError, MediaError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    if not args.dry_run:
        root = f' --data-root {args.data_root}' if args.data_root else ''
        print(f'python tools/train.py {os.path.relpath(path)}{root} --cache {args.out}')
