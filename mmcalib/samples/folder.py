"""Folders of generated data: they appear in one step, and are never mixed with other files."""

import csv
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from mmcalib.media.disk import lock

CARD = 'sample.json'
RELIABILITY = 'reliability.csv'
_FILES = '.files'  # the names of all that was generated, where these do not tell it:
_AVE = {CARD, RELIABILITY, 'Annotations.txt', 'trainSet.txt', 'valSet.txt', 'testSet.txt'}

Item = TypeVar('Item')


def generate(root: str | Path, card: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
    """Make sure that `root` holds the sample of this card; returns the resolved folder.

    A complete sample of the same card is kept as it is, one of another card is replaced. The folder
    appears in one step: a killed run leaves none. Of several processes that ask at once, one
    generates and the others wait for it.

    Args:
        root: the folder.
        card: all that the files depend on; becomes `sample.json`.
        write: fills a new folder.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
    """
    root = Path(root).resolve()
    root.parent.mkdir(parents=True, exist_ok=True)
    with lock(root.with_name(f'.{root.name}.lock'), wait=True):
        if _complete(root, card):
            return root
        _refuse_foreign(root)
        fresh, stale = root.with_name(f'.{root.name}.new'), root.with_name(f'.{root.name}.old')
        for leftover in (fresh, stale):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh.mkdir()
        write(fresh)
        (fresh / CARD).write_text(json.dumps(card, indent=2) + '\n')
        if (names := _visible(fresh)) != _names(fresh):
            (fresh / _FILES).write_text('\n'.join(sorted(names)) + '\n')
        if root.exists():
            root.rename(stale)
        fresh.rename(root)
        shutil.rmtree(stale, ignore_errors=True)
    return root


def is_sample(root: str | Path) -> bool:
    """Was this folder generated, and does it hold nothing but what was generated?"""
    root = Path(root)
    return (root / CARD).is_file() and _visible(root) <= _names(root)


def write_all(
    items: Sequence[Item], write: Callable[[Item], None], processes: int | None, name: str
) -> None:
    """Write every item, with a progress bar.

    Args:
        items: whatever `write` takes; both must be picklable.
        write: makes the files of one item, which depend on nothing else.
        processes: how many; None is one per core, four at most.
        name: of the sample, for the bar.
    """
    processes = processes or min(os.cpu_count() or 1, 4)
    with tqdm(total=len(items), desc=f'Sample {name}', disable=None, unit='item') as bar:
        for _ in _written(items, write, processes):
            bar.update()


def write_reliability(root: Path, rows: Iterable[Sequence[str]]) -> None:
    """Which modality of which item is damaged: id, split, class, modality, kind, source."""
    with (root / RELIABILITY).open('w', newline='') as table:
        writer = csv.writer(table, lineterminator='\n')
        writer.writerow(['id', 'split', 'category', 'modality', 'kind', 'source'])
        writer.writerows(rows)


def _written(
    items: Sequence[Item], write: Callable[[Item], None], processes: int
) -> Iterator[None]:
    if processes == 1:
        yield from map(write, items)
        return
    # Spawned, since a fork of a process with threads (torch, OpenCV) may hang.
    with multiprocessing.get_context('spawn').Pool(processes) as pool:
        yield from pool.imap_unordered(write, items, chunksize=4)


def _complete(root: Path, card: Mapping[str, Any]) -> bool:
    return (
        is_sample(root)
        and json.loads((root / CARD).read_text()) == card
        and all((root / name).is_file() for name in _names(root))
    )


def _names(root: Path) -> set[str]:
    """The files that were generated, relative to the folder; none of a folder that was not.

    Without a list, it is AVE's stand-in, which has been around since before there were lists.
    """
    listed, table = root / _FILES, root / RELIABILITY
    if listed.is_file():
        return set(listed.read_text().splitlines())
    if not (root / CARD).is_file() or not table.is_file():
        return set()
    with table.open(newline='') as rows:
        return _AVE | {f'AVE/{row["id"]}.mp4' for row in csv.DictReader(rows)}


def _visible(root: Path) -> set[str]:
    files = (path for path in root.rglob('*') if path.is_file() or path.is_symlink())
    return {path.relative_to(root).as_posix() for path in files if path.name[0] != '.'}


def _refuse_foreign(root: Path) -> None:
    if not os.path.lexists(root):
        return
    known = _names(root)
    foreign = sorted(_visible(root) - known)
    if foreign or not known:
        example = f', for example {foreign[0]!r}' if foreign else ''
        raise FileExistsError(
            f'{root} exists and is not (only) a generated sample{example}; '
            'it is left as it is. Another folder, or this one moved away, is possible'
        )
