"""A stand-in for CMU-MOSI: features in the layout of MMSA, some of them damaged.

python -m mmcalib.samples.mosi data/sample_mosi
"""

import argparse
from pathlib import Path

from mmcalib.samples import utterances

VERSION = 1  # raise it when the same arguments give other files
WIDTHS = {'text': 768, 'audio': 74, 'vision': 47}  # those of the configs


def generate(
    root: str | Path,
    seed: int = 0,
    train: int = 160,
    valid: int = 40,
    test: int = 60,
    corrupted: float = 0.3,
) -> Path:
    """Make sure that `root` holds the sample of these arguments; see `utterances.generate`."""
    sizes = {'train': train, 'valid': valid, 'test': test}
    return utterances.generate(root, 'mosi', VERSION, WIDTHS, seed, sizes, corrupted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train', type=int, default=160)
    parser.add_argument('--valid', type=int, default=40)
    parser.add_argument('--test', type=int, default=60)
    parser.add_argument('--corrupted', type=float, default=0.3, help='share of damaged ones')
    print(generate(**vars(parser.parse_args())))


if __name__ == '__main__':
    main()
