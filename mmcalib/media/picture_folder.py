"""Pictures of a folder, one file per frame."""

import re
from pathlib import Path

from mmcalib.media import MediaError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


def list_pictures(folder: str | Path, prefix: str = '') -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names: 2.jpg before 10.jpg.

    Args:
        folder: of pictures; other files are passed over.
        prefix: of their names; others are passed over too.

    Raises:
        MediaError: no such folder, or no picture in it.
    """
    try:
        files = [f for f in Path(folder).iterdir() if f.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise MediaError(f'{folder}: asked for pictures, but: {error.strerror}') from None
    files = [file for file in files if file.name.startswith(prefix)]
    if not files:
        raise MediaError(
            f'{folder}: asked for pictures, but it holds no {prefix}*{"/".join(SUFFIXES)}'
        )
    return sorted(files, key=lambda file: (_numbers_by_value(file.stem), file.name))


def _numbers_by_value(stem: str) -> list[tuple[int, str]]:
    parts = re.split(r'(\d+)', stem)  # text and digits in turn
    return [(int(part), '') if k % 2 else (0, part) for k, part in enumerate(parts)]
