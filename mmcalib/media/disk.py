"""Room on a disk, and one process at a time in a folder."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmcalib.media.cache import CacheError

LOCK = '.lock'  # of a folder


def free_bytes(folder: Path) -> int:
    """Of the disk that holds a folder, which need not exist yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def gb(count: float) -> str:
    """Bytes for people, as 1.5 GB or 20 MB."""
    return f'{count / 1e9:.3g} GB' if count >= 1e8 else f'{count / 1e6:.3g} MB'


@contextmanager
def lock(file: Path, wait: bool = False) -> Iterator[bool]:
    """Whether no other process of this machine holds a lock; a killed one lets go.

    Args:
        file: made where it is not there.
        wait: until no other holds it.
    """
    with file.open('w') as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            mine = True
        except BlockingIOError:
            mine = False
        yield mine


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process of this machine works on the folder; a killed one lets go.

    Raises:
        CacheError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder / LOCK) as mine:
        if not mine:
            raise CacheError(f'{folder}: another process is making this cache')
        yield
