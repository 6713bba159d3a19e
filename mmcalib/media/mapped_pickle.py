"""A pickle of plain data as a folder, whose arrays are mapped into memory instead of read.

`arrays.bin` holds the numbers, `tree.pkl` everything else as `mmcalib.media.pickles` reads it, and
`index.json`, written last, where they come from. What is loaded is what the pickle holds.
"""

import json
import os
import pickle
from collections.abc import Callable
from hashlib import file_digest
from math import prod
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from mmcalib.media.cache import GUIDE, INDEX, CacheError, size, write_json
from mmcalib.media.pickles import load

VERSION = 1  # raise it when the same pickle gives another folder
ARRAYS, TREE = 'arrays.bin', 'tree.pkl'
ALIGNED = 64  # bytes: where each array begins is a multiple
CHUNK = 16 << 20
NUMBERS = 'biufc'  # kinds of dtypes


def is_mapped(folder: Path) -> bool:
    """Is it, or will it be, such a folder?"""
    return (folder / ARRAYS).is_file() or (folder / TREE).is_file()


def check_mapped(folder: Path) -> dict[str, Any]:
    """Compare every byte; of which `file` it was made, of how many `bytes` and which `sha256`.

    Raises:
        CacheError: it is not finished, of another version, or damaged.
    """
    index = _read_index(folder)
    for file, told in index['files'].items():
        if describe(folder / file) != told:
            text = f'{folder / file} is damaged, or not there'
            raise CacheError(f'{text}; run the tool that made it again')
    source: dict[str, Any] = index['source']
    return source


def source_name(path: Path) -> str:
    """The name of a pickle, or of that of which a folder was made."""
    return str(_read_index(path)['source']['file']) if path.is_dir() else path.name


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError):
        raise CacheError(f'{folder} is no finished cache; {GUIDE}') from None
    if index.get('version') != VERSION or 'source' not in index:
        text = f'{folder} is of version {index.get("version")}, needed is {VERSION}'
        raise CacheError(f'{text}; {GUIDE}')
    return index


def load_mapped(folder: Path) -> Any:
    """What the pickle held; its arrays are read from the disk when they are looked at.

    Raises:
        CacheError: the folder is not finished or not what it was; all bytes are compared.
    """
    check_mapped(folder)
    blob = np.memmap(folder / ARRAYS, np.uint8, 'r') if size(folder / ARRAYS) else np.zeros(0, 'u1')

    def array(given: tuple[int, str, tuple[int, ...]]) -> np.ndarray:
        start, text, shape = given
        dtype = np.dtype(text)
        if dtype.kind not in NUMBERS:  # bytes that count as pointers would crash
            raise CacheError(f'{folder / TREE} asks for an array of {dtype}')
        end = start + prod(shape) * dtype.itemsize
        return np.asarray(blob[start:end]).view(dtype).reshape(shape)

    return load(folder / TREE, array)


def of_sample(path: Path) -> bool:
    """Is it such a folder, made of generated data?"""
    return is_mapped(path) and bool(_read_index(path)['sample'])


def write_mapped(
    path: Path,
    folder: Path,
    sample: bool = False,
    tell: Callable[[int], Any] = lambda count: None,
) -> None:
    """Make the folder of a pickle.

    Args:
        path: of the pickle, which is loaded whole.
        folder: exists.
        sample: whether the data are generated.
        tell: called with bytes as they are written.

    Raises:
        MediaError: the pickle holds something else than plain data.
    """
    data = load(path)
    (folder / INDEX).unlink(missing_ok=True)
    with (folder / f'{ARRAYS}.tmp').open('wb') as blob, (folder / f'{TREE}.tmp').open('wb') as tree:
        _Pickler(tree, blob, tell).dump(data)
        for file in (blob, tree):
            file.flush()
            os.fsync(file.fileno())
    files = {}
    for part in (ARRAYS, TREE):
        (folder / f'{part}.tmp').replace(folder / part)
        files[part] = describe(folder / part)
    index = {'version': VERSION, 'source': origin(path), 'sample': sample, 'files': files}
    write_json(index, folder / INDEX)


def origin(path: Path) -> dict[str, Any]:
    """What tells a pickle from any other."""
    with path.open('rb') as file:
        digest = file_digest(file, 'sha256').hexdigest()
    return {'file': path.name, 'bytes': size(path), 'sha256': digest}


def describe(path: Path) -> dict[str, int] | None:
    """Size and CRC of a file; None where there is none."""
    if not path.is_file():
        return None
    crc = 0
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            crc = crc32(chunk, crc)
    return {'bytes': path.stat().st_size, 'crc32': crc}


class _Pickler(pickle.Pickler):
    """Puts arrays of numbers elsewhere, and leaves only where they are."""

    def __init__(self, tree: Any, blob: Any, tell: Callable[[int], Any]) -> None:
        super().__init__(tree, protocol=4)
        self.blob, self.tell = blob, tell

    def persistent_id(self, obj: Any) -> tuple[int, str, tuple[int, ...]] | None:
        """Where an array lies, for `load_mapped`."""
        if not isinstance(obj, np.ndarray) or obj.dtype.kind not in NUMBERS:
            return None
        self.blob.write(bytes(-self.blob.tell() % ALIGNED))
        start = self.blob.tell()
        self.blob.write(np.ascontiguousarray(obj).tobytes())
        self.tell(obj.nbytes)
        return start, obj.dtype.str, obj.shape

    def reducer_override(self, obj: Any) -> Any:
        """Text and objects as numpy writes them, not as the class that `load` gives them."""
        return obj.view(np.ndarray).__reduce__() if isinstance(obj, np.ndarray) else NotImplemented
