"""A stand-in for AVE: drawn and synthesised clips in AVE's official layout, some of them damaged.

python -m mmcalib.samples.ave data/sample_ave
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmcalib.samples import folder, render
from mmcalib.samples.folder import is_sample as is_sample
from mmcalib.samples.plan import Clip, plan

VERSION = 1  # raise it when the same arguments give other files
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

    See `folder.generate` for what happens to a folder that is there already.

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
    clips = plan(seed, sizes, corrupted)
    return folder.generate(root, card, partial(_write, clips=clips, processes=processes))


def _write(root: Path, clips: Sequence[Clip], processes: int | None) -> None:
    (root / 'AVE').mkdir()
    lines = {
        clip: '&'.join([clip.category, clip.id, 'good', *map(str, clip.span)]) for clip in clips
    }
    (root / 'Annotations.txt').write_text('\n'.join([_HEADER, *lines.values()]) + '\n')
    for split, name in _LISTS.items():
        (root / name).write_text(
            ''.join(f'{line}\n' for clip, line in lines.items() if clip.split == split)
        )
    rows = ([c.id, c.split, c.category, *(c.damage or ('', '', ''))] for c in clips)
    folder.write_reliability(root, rows)
    folder.write_all(clips, partial(render.write, folder=root / 'AVE'), processes, 'AVE')


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
