"""Pictures of a folder, one file per frame."""

import re
from pathlib import Path

import numpy as np

from mmcalib.media import MediaError
from mmcalib.media.image import read_image
from mmcalib.media.video import segment_times

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


def list_pictures(folder: str | Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names: 2.jpg before 10.jpg.

    Raises:
        MediaError: no such folder, or no picture in it.
    """
    try:
        files = [file for file in Path(folder).iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise MediaError(f'{folder}: asked for pictures, but: {error.strerror}') from None
    if not files:
        raise MediaError(f'{folder}: asked for pictures, but it holds no {"/".join(SUFFIXES)}')
    return sorted(files, key=lambda file: (_numbers_by_value(file.stem), file.name))


def read_folder(
    folder: str | Path, count: int, generator: np.random.Generator | None = None
) -> np.ndarray:
    """One picture from each of `count` equal parts of a folder: (count, H, W, 3) uint8 RGB.

    Fewer pictures than `count` are repeated.

    Args:
        folder: of pictures; other files are passed over.
        count: how many.
        generator: draws the picture within each part; without one it is the middle.

    Raises:
        MediaError: no picture, one that cannot be decoded, or pictures that differ in size.
    """
    files = list_pictures(folder)
    places = segment_times(0.0, float(len(files)), count, generator).astype(int)
    pictures = [read_image(files[place]) for place in places.clip(max=len(files) - 1)]
    if len(sizes := {picture.shape for picture in pictures}) > 1:
        raise MediaError(f'{folder}: asked for {count} pictures, but sizes differ: {sorted(sizes)}')
    return np.stack(pictures)


def _numbers_by_value(stem: str) -> list[tuple[int, str]]:
    parts = re.split(r'(\d+)', stem)  # text and digits in turn
    return [(int(part), '') if k % 2 else (0, part) for k, part in enumerate(parts)]
