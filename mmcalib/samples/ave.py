"""A stand-in for AVE: drawn and synthesised clips in AVE's official layout, some of them damaged.

python -m mmcalib.samples.ave data/sample_ave
"""

import argparse
import csv
import fcntl
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mmcalib.samples import render
from mmcalib.samples.plan import Clip, plan

VERSION = 1  # raise it when the same arguments give other files
_CARD = 'sample.json'
_RELIABILITY = 'reliability.csv'
_LISTS = {'train': 'trainSet.txt', 'val': 'valSet.txt', 'test': 'testSet.txt'}
_HEADER = 'Category&VideoID&Quality&StartTime&EndTime'


def generate(
    root: str | Path,
    seed: int = 0,
    train: int = 200,
    val: int = 80,
    test: int = 80,
    corrupted: float = 0.3,
    processes: int | None = None,
) -> Path:
    """Make sure that `root` holds the sample of these arguments; returns the resolved folder.

    A complete sample of the same arguments is kept as it is, one of other arguments or of another
    version is replaced. The folder appears in one step: a killed run leaves none. Of several
    processes that ask at once, one generates and the others wait for it.

    Args:
        seed: of everything; clip i is a function of (seed, i) alone, its damage apart.
        train: clips of the split; also `val` and `test`. Multiples of 8 balance the classes.
        corrupted: share of clips, in [0, 1], of which one modality is noise, blank or of another
            class; `reliability.csv` lists them. The same clip with 0 is its clean twin.
        processes: how many to render with; the default is one per core, four at most. The files
            do not depend on it.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
        ValueError: a number is out of its range.
    """
    sizes = {'train': train, 'val': val, 'test': test}
    if seed < 0 or min(sizes.values()) < 1 or not 0 <= corrupted <= 1:
        raise ValueError(
            f'generate(seed={seed}, train={train}, val={val}, test={test}, corrupted={corrupted}): '
            'the seed is at least 0, each split has at least 1 clip, the share is within [0, 1]'
        )
    card = {
        'generator': __name__ if __name__ != '__main__' else 'mmcalib.samples.ave',
        'version': VERSION,
        'seed': seed,
        **sizes,
        'corrupted': corrupted,
    }
    root = Path(root).resolve()
    root.parent.mkdir(parents=True, exist_ok=True)
    with _alone(root.with_name(f'.{root.name}.lock')):
        if _complete(root, card):
            return root
        _refuse_foreign(root)
        fresh, stale = root.with_name(f'.{root.name}.new'), root.with_name(f'.{root.name}.old')
        for leftover in (fresh, stale):
            shutil.rmtree(leftover, ignore_errors=True)
        _write(fresh, plan(seed, sizes, corrupted), card, processes)
        if root.exists():
            root.rename(stale)
        fresh.rename(root)
        shutil.rmtree(stale, ignore_errors=True)
    return root


def is_sample(root: str | Path) -> bool:
    """Was this folder generated, and does it hold no clip but the generated ones?"""
    root = Path(root)
    clips = {path.name for path in (root / 'AVE').glob('*.mp4')}
    return (root / _CARD).is_file() and clips <= {Path(name).name for name in _names(root)}


def _complete(root: Path, card: dict[str, object]) -> bool:
    return (
        is_sample(root)
        and json.loads((root / _CARD).read_text()) == card
        and all((root / name).is_file() for name in _names(root))
    )


def _names(root: Path) -> set[str]:
    """The files that a generated folder has, relative to it."""
    fixed = {_CARD, _RELIABILITY, 'Annotations.txt', *_LISTS.values()}
    table = root / _RELIABILITY
    if not table.is_file():
        return fixed
    with table.open(newline='') as rows:
        return fixed | {f'AVE/{row["id"]}.mp4' for row in csv.DictReader(rows)}


def _refuse_foreign(root: Path) -> None:
    if not os.path.lexists(root):
        return
    known = _names(root) if (root / _CARD).is_file() else set()
    found = [path for path in root.rglob('*') if path.is_file() or path.is_symlink()]
    names = sorted(path.relative_to(root).as_posix() for path in found if path.name[0] != '.')
    foreign = [name for name in names if name not in known]
    if foreign or not known:
        example = f', for example {foreign[0]!r}' if foreign else ''
        raise FileExistsError(
            f'{root} exists and is not (only) a generated sample{example}; '
            'it is left as it is. Another folder, or this one moved away, is possible'
        )


def _write(
    root: Path, clips: Sequence[Clip], card: dict[str, object], processes: int | None
) -> None:
    (root / 'AVE').mkdir(parents=True)
    lines = {
        clip: '&'.join([clip.category, clip.id, 'good', *map(str, clip.span)]) for clip in clips
    }
    (root / 'Annotations.txt').write_text('\n'.join([_HEADER, *lines.values()]) + '\n')
    for split, name in _LISTS.items():
        (root / name).write_text(
            ''.join(f'{line}\n' for clip, line in lines.items() if clip.split == split)
        )
    with (root / _RELIABILITY).open('w', newline='') as table:
        writer = csv.writer(table, lineterminator='\n')
        writer.writerow(['id', 'split', 'category', 'modality', 'kind', 'source'])
        for clip in clips:
            writer.writerow([clip.id, clip.split, clip.category, *(clip.damage or ('', '', ''))])
    done = _render(clips, root / 'AVE', processes or min(os.cpu_count() or 1, 4))
    for _ in tqdm(done, f'Sample {root.parent.name}', len(clips), disable=None, unit='clip'):
        pass
    (root / _CARD).write_text(json.dumps(card, indent=2) + '\n')


def _render(clips: Sequence[Clip], folder: Path, processes: int) -> Iterator[None]:
    write = partial(render.write, folder=folder)
    if processes == 1:
        yield from map(write, clips)
        return
    # Spawned, since a fork of a process with threads (torch, OpenCV) may hang.
    with multiprocessing.get_context('spawn').Pool(processes) as pool:
        yield from pool.imap_unordered(write, clips, chunksize=4)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process of this machine holds the lock; a killed one lets go."""
    with lock.open('w') as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train', type=int, default=200)
    parser.add_argument('--val', type=int, default=80)
    parser.add_argument('--test', type=int, default=80)
    parser.add_argument('--corrupted', type=float, default=0.3, help='share of damaged clips')
    parser.add_argument('--processes', type=int)
    parser.add_argument('--contact-sheet', type=Path, metavar='PNG', help='draw the sample')
    arguments = vars(parser.parse_args())
    sheet = arguments.pop('contact_sheet')
    root = generate(**arguments)
    print(root)
    if sheet:
        from mmcalib.samples.contact_sheet import draw  # matplotlib only where it is asked for

        draw(root, sheet)


if __name__ == '__main__':
    main()
