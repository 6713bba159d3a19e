"""A stand-in for Kinetics-Sounds: clips as AVE's stand-in has them, with the lists of OGM-GE.

python -m mmcalib.samples.kinetics_sounds data/sample_kinetics_sounds
"""

import argparse
from functools import partial
from pathlib import Path

from mmcalib.samples import folder, render
from mmcalib.samples.plan import CATEGORIES, Clip, plan
from mmcalib.samples.scene import LENGTH_S

VERSION = 1  # raise it when the same arguments give other files


def generate(
    root: str | Path,
    seed: int = 0,
    train: int = 160,
    test: int = 48,
    corrupted: float = 0.3,
    processes: int | None = None,
) -> Path:
    """Make sure that `root` holds the sample of these arguments; returns the resolved folder.

    Its eight classes are what `mmcalib.samples.ave` draws, under the numbers 0 to 7: they are not
    classes of Kinetics. See `folder.generate` for what happens to a folder that is there already.

    Args:
        seed: of everything; clip i is a function of (seed, i) alone, its damage apart.
        train: clips of the training list, from which the reader takes a validation split.
        test: clips of the test list. Multiples of 8 balance the classes.
        corrupted: share of clips, in [0, 1], of which one modality is noise, blank or of another
            class; `reliability.csv` lists them.
        processes: how many to render with; the default is one per core, four at most.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
        ValueError: a number is out of its range.
    """
    if seed < 0 or min(train, test) < 1 or not 0 <= corrupted <= 1:
        raise ValueError(
            f'generate(seed={seed}, train={train}, test={test}, corrupted={corrupted}): '
            'the seed is at least 0, each split has at least 1 clip, the share is within [0, 1]'
        )
    card = {'generator': 'mmcalib.samples.kinetics_sounds', 'version': VERSION, 'seed': seed}
    card |= {'train': train, 'test': test, 'corrupted': corrupted}
    # Another seed than that of AVE's stand-in with the same one, so that no clip is in both.
    clips = plan(seed + 1_000_000, {'train': train, 'test': test}, corrupted)
    return folder.generate(root, card, partial(_write, clips=clips, processes=processes))


def name(clip: Clip) -> str:
    """As in the lists: a video, and from when to when it was cut."""
    return f'{clip.id}_{0:06d}_{LENGTH_S:06d}'


def _write(root: Path, clips: list[Clip], processes: int | None) -> None:
    for split in ('train', 'test'):
        (root / f'{split}_video').mkdir()
        some = [clip for clip in clips if clip.split == split]
        rows = [f'{name(clip)},{LENGTH_S},{CATEGORIES.index(clip.category)}' for clip in some]
        (root / f'my_{split}.txt').write_text('\n'.join(rows) + '\n')
    rows_of = ([name(c), c.split, c.category, *(c.damage or ('', '', ''))] for c in clips)
    folder.write_reliability(root, rows_of)
    folder.write_all(clips, partial(_render, root=root), processes, 'Kinetics-Sounds')


def _render(clip: Clip, root: Path) -> None:
    videos = root / f'{clip.split}_video'
    render.write(clip, videos)
    (videos / f'{clip.id}.mp4').rename(videos / f'{name(clip)}.mp4')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train', type=int, default=160)
    parser.add_argument('--test', type=int, default=48)
    parser.add_argument('--corrupted', type=float, default=0.3, help='share of damaged clips')
    parser.add_argument('--processes', type=int)
    print(generate(**vars(parser.parse_args())))


if __name__ == '__main__':
    main()
