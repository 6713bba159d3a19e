"""Films: pictures that appear one after the other, of a video file or of a folder."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import floor, inf
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmcalib.media import MediaError
from mmcalib.media.boxes import check_boxes
from mmcalib.media.image import read_image
from mmcalib.media.picture_folder import list_pictures
from mmcalib.media.video import (
    TIE_S,
    duration,
    picture_times,
    read_frames,
    refuse_late,
    steady_times,
)

Pictures = list[np.ndarray | MediaError]  # (H, W, C) uint8 each, or why it cannot be had


class Whole(NamedTuple):
    """All that a film may show."""

    begins: np.ndarray  # (N,) when each picture appears, in the film's unit
    pictures: Pictures
    start: float  # of the span that times are drawn from
    end: float
    last: float  # when the last picture appears that can be decoded
    asked: np.ndarray | None = None  # (N,) the times that `at` asks for there; None: any


@dataclass(frozen=True)
class Film(ABC):
    """What a data set asks pictures of; its fields say all that its pictures depend on."""

    path: Path

    @abstractmethod
    def span(self) -> tuple[float, float]:
        """Start and end, in seconds or in pictures; opens the file."""

    @abstractmethod
    def at(self, times: np.ndarray) -> Pictures:
        """The pictures shown at these times, in their order."""

    @abstractmethod
    def whole(self) -> Whole:
        """All pictures that `at` can give for times within the span."""


@dataclass(frozen=True)
class Video(Film):
    """The pictures of a video file within a span.

    Args:
        path: of the file.
        start_s: start of the span in seconds.
        end_s: end of the span in seconds; it is cut to what exists.
        fps: only frames of this grid, so many per second from the start of the span on, as in
            published extractions; None: every frame.
    """

    start_s: float = 0.0
    end_s: float = inf
    fps: float | None = None

    def span(self) -> tuple[float, float]:
        return within_span(self.path, self.start_s, self.end_s)

    def at(self, times: np.ndarray) -> Pictures:
        if self.fps is not None:
            times = self.start_s + np.floor((times - self.start_s + TIE_S) * self.fps) / self.fps
        return list(read_frames(self.path, times))

    def whole(self) -> Whole:
        start, end = self.span()
        stamps = picture_times(self.path)
        if not len(stamps):
            raise MediaError(f'{self.path}: asked for its pictures, but none can be decoded')
        refuse_late(self.path, np.array([start]), stamps[-1])
        begins = steady_times(start, end, self.fps) if self.fps else _within(stamps, start, end)
        pictures = list(read_frames(self.path, begins))
        asked = begins if self.fps else None
        return Whole(begins, pictures, start, end, float(stamps[-1]), asked)


def within_span(path: Path, start_s: float, end_s: float) -> tuple[float, float]:
    """A span, cut to what a video file declares to have.

    Raises:
        MediaError: it cannot be read, or an MP4 file is truncated.
    """
    check_boxes(path)
    return start_s, min(end_s, max(duration(path), start_s))


def _within(stamps: np.ndarray, start: float, end: float) -> np.ndarray:
    """The pictures shown from `start` to `end`: the first of them may have appeared before."""
    first, stop = np.searchsorted(stamps, [start + TIE_S, end + TIE_S], 'right').tolist()
    first = max(first - 1, 0)
    return stamps[first : max(stop, first + 1)]


@dataclass(frozen=True)
class Folder(Film):
    """The pictures of a folder, one unit of time each, in the order of the numbers in their names.

    Args:
        path: of the folder.
        prefix: of the names of its pictures.
    """

    prefix: str = ''

    @cached_property
    def files(self) -> list[Path]:
        """Listed once; a film is made for one reading."""
        return list_pictures(self.path, self.prefix)

    def span(self) -> tuple[float, float]:
        return 0.0, float(len(self.files))

    def at(self, times: np.ndarray) -> Pictures:
        return [_picture(self.files[min(floor(time), len(self.files) - 1)]) for time in times]

    def whole(self) -> Whole:
        begins = np.arange(len(self.files), dtype=float)
        return Whole(begins, [_picture(f) for f in self.files], *self.span(), inf)


def _picture(file: Path) -> np.ndarray | MediaError:
    try:
        return read_image(file)
    except MediaError as error:
        return error


def stack(film: Film, pictures: Sequence[np.ndarray | MediaError]) -> np.ndarray:
    """(T, H, W, C), if all could be had and are of one size.

    Raises:
        MediaError: not so.
    """
    whole: list[np.ndarray] = []
    for picture in pictures:
        if isinstance(picture, MediaError):
            raise picture
        whole.append(picture)
    if len(sizes := {picture.shape for picture in whole}) > 1:
        text = f'{film.path}: asked for {len(whole)} pictures, but sizes differ: {sorted(sizes)}'
        raise MediaError(text)
    return np.stack(whole)


def name(film: Film, root: Path) -> str:
    """What identifies a film's pictures: its kind, its path from a root, and its other fields."""
    given = {f.name: getattr(film, f.name) for f in fields(film)}
    return describe(type(film).__name__, given, root)


def describe(kind: str, given: dict[str, object], root: Path) -> str:
    """The same, of anything that files are read for."""
    place = Path(str(given['path'])).absolute()
    base = root.absolute()
    path = place.relative_to(base).as_posix() if place.is_relative_to(base) else place.as_posix()
    rest = ''.join(f' {key}={value!r}' for key, value in given.items() if key != 'path')
    return f'{kind} {path}{rest}'
