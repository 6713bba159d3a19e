"""Decoded sound and pictures in a few large files, instead of decoding them again and again.

A cache is a folder of `shard-00000.safetensors` and so on, and an `index.json` that is written
last. Reading from it gives what `Files` gives, to the last bit.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mmcalib.media import MediaError
from mmcalib.media.files import Files
from mmcalib.media.film import Film, Pictures, Whole, describe, name, stack
from mmcalib.media.video import TIE_S, refuse_late, segment_times

VERSION = 2  # raise it when the same files give another cache
INDEX = 'index.json'
GUIDE = 'docs/cache.md says how to make one'


class CacheError(ValueError):
    """A cache is not there, not whole, or not of these settings; never a missing modality."""


class Entry(NamedTuple):
    """What was read of one file, as it lies in a shard."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]  # JSON


class Recorder(Files):
    """Decodes as `Files` does, and keeps in `entries` all that the files can give."""

    def __init__(self, files: Files) -> None:
        super().__init__(files.root, files.fps, files.side)
        self.entries: dict[str, Entry] = {}

    def sound(
        self, path: Path, rate_hz: int, start_s: float = 0.0, end_s: float | None = None
    ) -> np.ndarray:
        def read() -> Entry:
            samples = super(Recorder, self).sound(path, rate_hz, start_s, end_s)
            return Entry({'samples': samples, 'crc32': _crcs([samples])}, {})

        key = _sound_name(path, rate_hz, start_s, end_s, self.root)
        return self._kept(key, path, read).arrays['samples']

    def pictures(
        self, film: Film, count: int, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        key = name(film, self.root)
        entry = self._kept(key, film.path, lambda: self._film_entry(film.whole()))
        arrays = entry.arrays
        places = _places(film, entry.facts, arrays.__getitem__, count, generator)
        return stack(film, _cut(arrays['pixels'], arrays['shapes'], entry.facts['errors'], places))

    def _kept(self, key: str, path: Path, read: Callable[[], Entry]) -> Entry:
        if key not in self.entries:
            try:
                entry = read()
            except MediaError as error:
                entry = Entry({}, {'error': str(error)})
            entry.facts['bytes'] = size(path)
            self.entries[key] = entry
        if 'error' in self.entries[key].facts:
            raise MediaError(self.entries[key].facts['error'])
        return self.entries[key]

    def _film_entry(self, whole: Whole) -> Entry:
        kept, errors = [], {}
        for k, picture in enumerate(whole.pictures):
            if isinstance(picture, MediaError):
                errors[str(k)] = str(picture)
                kept.append(np.zeros((0, 0, 0), np.uint8))
            else:
                kept.append(self.scaled(picture[np.newaxis])[0])
        arrays = {
            'pixels': np.concatenate([picture.ravel() for picture in kept]),
            'shapes': np.array([picture.shape for picture in kept], np.int32),  # (N, 3)
            'begins': whole.begins,
            'crc32': _crcs(kept),
        }
        span = [whole.start, whole.end]
        if whole.asked is not None:
            arrays['asked'] = whole.asked
        facts = {'span': span, 'last': whole.last, 'asked': 'asked' in arrays, 'errors': errors}
        return Entry(arrays, facts)


class Lister(Files):
    """Reads nothing, and notes what it was asked for, and how large those files are."""

    def __init__(self, files: Files) -> None:
        super().__init__(files.root, files.fps, files.side)
        self.asked: dict[str, int | None] = {}

    def sound(
        self, path: Path, rate_hz: int, start_s: float = 0.0, end_s: float | None = None
    ) -> np.ndarray:
        raise self._noted(_sound_name(path, rate_hz, start_s, end_s, self.root), path)

    def pictures(
        self, film: Film, count: int, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        raise self._noted(name(film, self.root), film.path)

    def _noted(self, key: str, path: Path) -> MediaError:
        self.asked[key] = size(path)
        return MediaError(f'{path}: only listed')


class Cache(Files):
    """Reads from a folder that `tools/prepare` has made.

    Args:
        root: of the data set, whose files name what is asked for; they are not opened.
        folder: of the cache.
        fps: as the cache was made with.
        side: as the cache was made with.

    Raises:
        CacheError: no finished cache there, a shard is missing, or other settings.
    """

    def __init__(
        self, root: str | Path, folder: str | Path, fps: float | None, side: int | None
    ) -> None:
        super().__init__(root, fps, side)
        self.folder = Path(folder)
        index = read_index(self.folder)
        made, asked = index['settings'], {'fps': fps, 'side': side}
        if made != asked:
            text = f'media={asked}, but {self.folder} was made with {made}: they must be the same'
            raise CacheError(text)
        self.shards: list[dict[str, Any]] = index['shards']
        self.entries: dict[str, tuple[int, dict[str, Any]]] = {
            key: (k, facts)
            for k, shard in enumerate(self.shards)
            for key, facts in shard['entries'].items()
        }
        for shard in self.shards:
            if size(self.folder / shard['file']) != shard['bytes']:
                text = (
                    f'{self.folder / shard["file"]} is not the {shard["bytes"]} bytes that it was'
                )
                raise CacheError(f'{text}; run the tool that made the cache again')
        self._open: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_open': {}}

    def sound(
        self, path: Path, rate_hz: int, start_s: float = 0.0, end_s: float | None = None
    ) -> np.ndarray:
        key = _sound_name(path, rate_hz, start_s, end_s, self.root)
        shard, _ = self._facts(key, path)
        samples, crcs = (self._array(shard, key, part) for part in ('samples', 'crc32'))
        self._check(samples, crcs[0], shard, key)
        return samples

    def pictures(
        self, film: Film, count: int, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        key = name(film, self.root)
        shard, facts = self._facts(key, film.path)
        read = partial(self._array, shard, key)
        places = _places(film, facts, read, count, generator)
        pixels = self._shard(shard).get_slice(f'{key}/pixels')
        pictures = _cut(pixels, read('shapes'), facts['errors'], places)
        crcs = read('crc32')
        for place, picture in zip(places.tolist(), pictures, strict=True):
            if not isinstance(picture, MediaError):
                self._check(picture, crcs[place], shard, key)
        return stack(film, pictures)

    def _array(self, shard: int, key: str, part: str) -> np.ndarray:
        array: np.ndarray = self._shard(shard).get_tensor(f'{key}/{part}')
        return array

    def _facts(self, key: str, path: Path) -> tuple[int, dict[str, Any]]:
        if key not in self.entries:
            like = [other for other in self.entries if f'{path.name} ' in f'{other} '][:3]
            raise CacheError(
                f'{self.folder}: asked for {key!r}, but of that file it has {like}; {GUIDE}'
            )
        shard, facts = self.entries[key]
        now = size(path)
        if now is not None and now != facts['bytes']:
            text = f'{path} has {now} bytes, but had {facts["bytes"]} when {self.folder} was made'
            raise CacheError(f'{text}; run the tool that made the cache again')
        if 'error' in facts:
            raise MediaError(facts['error'])
        return shard, facts

    def _check(self, array: np.ndarray, crc: int, shard: int, key: str) -> None:
        if crc32(array.data) != crc:
            text = f'{self.folder / self.shards[shard]["file"]}: {key!r} is damaged'
            raise CacheError(f'{text}; delete this file and run the tool that made it again')

    def _shard(self, number: int) -> Any:
        if number not in self._open:
            path = self.folder / self.shards[number]['file']
            try:
                self._open[number] = safe_open(path, 'np')
            except (SafetensorError, OSError) as error:
                raise CacheError(f'{path}: {error}; delete it and run its tool again') from None
        return self._open[number]


def _places(
    film: Film,
    facts: Mapping[str, Any],
    read: Callable[[str], np.ndarray],
    count: int,
    generator: np.random.Generator | None,
) -> np.ndarray:
    """(count,) which of a film's stored pictures are shown."""
    start, end = facts['span']
    times = segment_times(start, end, count, generator)
    places = (np.searchsorted(read('begins'), times + TIE_S, 'right') - 1).clip(min=0)
    refuse_late(film.path, read('asked')[places] if facts['asked'] else times, facts['last'])
    return places


def _cut(
    pixels: Any, shapes: np.ndarray, errors: Mapping[str, str], places: np.ndarray
) -> Pictures:
    """Pictures out of the pixels (bytes,) of all, or why they cannot be had."""
    starts = np.concatenate([[0], shapes.prod(axis=1, dtype=np.int64).cumsum()])
    return [
        MediaError(errors[str(place)])
        if str(place) in errors
        else pixels[int(starts[place]) : int(starts[place + 1])].reshape(shapes[place])
        for place in places.tolist()
    ]


def open_files(
    root: str | Path, fps: float | None = None, side: int | None = None, cache: str | None = None
) -> Files:
    """What a data set's argument `media` asks for.

    Args:
        root: of the data set.
        fps: of videos, only frames of this grid per second; see `Files`.
        side: of pictures, the shorter one in pixels; see `Files`.
        cache: folder to read from instead of the files.
    """
    return Files(root, fps, side) if cache is None else Cache(root, cache, fps, side)


def write_shard(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write entries in one step: a file of this name is whole, whatever happens."""
    arrays = {f'{key}/{k}': a for key, entry in entries.items() for k, a in entry.arrays.items()}
    facts = {key: entry.facts for key, entry in entries.items()}
    fresh = path.with_suffix('.tmp')
    save_file(arrays, fresh, {'facts': json.dumps(facts, sort_keys=True)})
    fresh.chmod(0o644)
    with fresh.open('rb') as written:
        os.fsync(written.fileno())
    fresh.replace(path)


def read_shard(path: Path, digest: bool = True) -> dict[str, Any]:
    """Its record in the index, from the file itself."""
    with safe_open(path, 'np') as shard:
        facts = json.loads(shard.metadata()['facts'])
    record = {'file': path.name, 'bytes': size(path), 'entries': facts}
    if digest:
        with path.open('rb') as data:
            record['sha256'] = file_digest(data, 'sha256').hexdigest()
    return record


def write_index(folder: Path, settings: Mapping[str, Any], shards: list[dict[str, Any]]) -> None:
    """Finish a cache."""
    write_json({'version': VERSION, 'settings': dict(settings), 'shards': shards}, folder / INDEX)


def write_json(data: Mapping[str, Any], path: Path) -> None:
    """In one step: a file of this name is whole."""
    fresh = path.with_name(f'{path.name}.tmp')
    with fresh.open('w') as file:
        json.dump(data, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a finished cache.

    Raises:
        CacheError: there is none, or it is of another version.
    """
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError):
        raise CacheError(f'cache={str(folder)!r} is no finished cache; {GUIDE}') from None
    if index.get('version') != VERSION:
        text = f'cache={str(folder)!r} is of version {index.get("version")}, needed is {VERSION}'
        raise CacheError(f'{text}; {GUIDE}')
    return index


def size(path: Path) -> int | None:
    """Bytes of a file; None of a folder, or of what is not there."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _sound_name(path: Path, rate_hz: int, start_s: float, end_s: float | None, root: Path) -> str:
    given = {'path': path, 'rate_hz': rate_hz, 'start_s': start_s, 'end_s': end_s}
    return describe('Sound', given, root)


def _crcs(arrays: list[np.ndarray]) -> np.ndarray:
    return np.array([crc32(np.ascontiguousarray(array).data) for array in arrays], np.uint32)
