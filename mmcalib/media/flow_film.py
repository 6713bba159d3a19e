"""Films of optical flow: two grey pictures per place, or computed from a video."""

from dataclasses import dataclass
from functools import cached_property
from math import floor, inf
from pathlib import Path

import cv2
import numpy as np

from mmcalib.media import MediaError
from mmcalib.media.film import Film, Pictures, Whole, within_span
from mmcalib.media.flow import flow_to_bytes, optical_flow
from mmcalib.media.image import read_image
from mmcalib.media.picture_folder import list_pictures
from mmcalib.media.video import (
    TIE_S,
    duration,
    frame_step,
    picture_times,
    read_frames,
    refuse_late,
    steady_times,
)

AT_ONCE = 64  # frames in memory


@dataclass(frozen=True)
class FlowFolders(Film):
    """Stored flow: a picture of u and one of v per place, grey, 128 is still: (H, W, 2).

    Args:
        path: folder of u.
        other: folder of v, relative to that of u.
        prefix: of the names of u.
        other_prefix: of the names of v.
    """

    other: str = '.'
    prefix: str = ''
    other_prefix: str = ''

    @cached_property
    def files(self) -> list[tuple[Path, Path]]:
        """Pairs of u and v, listed once; a film is made for one reading."""
        first = list_pictures(self.path, self.prefix)
        second = list_pictures(self.path / self.other, self.other_prefix)
        if len(first) != len(second):
            counts = f'{len(first)} of u and {len(second)} of v'
            raise MediaError(f'{self.path}: asked for flow, but there are {counts}')
        return list(zip(first, second, strict=True))

    def span(self) -> tuple[float, float]:
        return 0.0, float(len(self.files))

    def at(self, times: np.ndarray) -> Pictures:
        return [_join(*self.files[min(floor(time), len(self.files) - 1)]) for time in times]

    def whole(self) -> Whole:
        begins = np.arange(len(self.files), dtype=float)
        return Whole(begins, [_join(*pair) for pair in self.files], *self.span(), inf)


def _join(first: Path, second: Path) -> np.ndarray | MediaError:
    try:
        u, v = (cv2.cvtColor(read_image(f), cv2.COLOR_RGB2GRAY) for f in (first, second))
    except MediaError as error:
        return error
    if u.shape != v.shape:
        return MediaError(f'{second}: v is {v.shape}, but u is {u.shape}')
    return np.stack([u, v], axis=-1)


@dataclass(frozen=True)
class VideoFlow(Film):
    """Flow of a video file, computed from each frame to the next, as bytes: (H, W, 2).

    The last frame has the flow that leads to it.

    Args:
        path: of the file.
        start_s: start of the span in seconds.
        end_s: end of the span in seconds; it is cut to what exists.
        fps: as `Video` has it.
        method: of `optical_flow`.
        preset: of `optical_flow`.
    """

    start_s: float = 0.0
    end_s: float = inf
    fps: float | None = None
    method: str = 'dis'
    preset: str = 'medium'

    def span(self) -> tuple[float, float]:
        return within_span(self.path, self.start_s, self.end_s)

    def at(self, times: np.ndarray) -> Pictures:
        if self.fps is not None:
            times = self.start_s + np.floor((times - self.start_s + TIE_S) * self.fps) / self.fps
        return self._between(self._middles(times))

    def _between(self, pairs: np.ndarray) -> Pictures:
        frames = read_frames(self.path, pairs.ravel())
        return list(
            flow_to_bytes(optical_flow(frames[::2], frames[1::2], self.method, self.preset))
        )

    def _middles(self, times: np.ndarray) -> np.ndarray:
        """(T, 2): within the frame of each time and the next one, where rounding does no harm."""
        step = frame_step(self.path)
        last = max(round(duration(self.path) / step) - 2, 0)  # of which there is a next one
        places = np.minimum(np.floor((times + TIE_S) / step), last)
        return (np.stack([places, places + 1], axis=1) + 0.5) * step

    def whole(self) -> Whole:
        start, end = self.span()
        step = frame_step(self.path)
        begins = steady_times(start, end, self.fps) if self.fps else _frames(start, end, step)
        stamps = picture_times(self.path)
        last = float(stamps[-1]) if len(stamps) else -inf
        pairs = self._middles(begins)
        refuse_late(self.path, pairs[:1, 0], last)
        shown = np.minimum(pairs, last)
        parts = [shown[k : k + AT_ONCE] for k in range(0, len(shown), AT_ONCE)]
        pictures = [picture for part in parts for picture in self._between(part)]
        return Whole(begins, pictures, start, end, last, pairs[:, 0])


def _frames(start: float, end: float, step: float) -> np.ndarray:
    """When the frames from `start` to `end` appear."""
    return np.arange(floor((start + TIE_S) / step), floor((end + TIE_S) / step) + 1) * step
