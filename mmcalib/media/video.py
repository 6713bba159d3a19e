"""Pictures of a file, by time stamps."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache, partial
from itertools import product
from math import ceil, inf
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from mmcalib.media import MediaError, opened

os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # quiet: a MediaError says what is wrong
import cv2  # reads the variable

SEEK_S = 5.0  # decoding fewer pictures than this costs less than a seek to a distant keyframe
HOLD_S = 0.5  # how long the last picture stays: streams of one file rarely end together
TIE_S = 1e-6  # a time this close before a frame means that frame
STEP_S = 0.04  # between frames that do not say when they are shown, in a file without a rate
NO_HEADER = ('mpeg', 'mpegts')  # FFmpeg guesses their duration, at times half of it

SILENT = 0  # OpenCV's LOG_LEVEL_SILENT; OpenCV 5 has moved the function
set_log_level = cv2.setLogLevel if hasattr(cv2, 'setLogLevel') else cv2.utils.logging.setLogLevel

# When a frame appears, in seconds, and how to get it: (H, W, 3) uint8 RGB. Getting costs.
Picture = tuple[float, Callable[[], np.ndarray]]


def segment_times(
    start_s: float, end_s: float, count: int, generator: np.random.Generator | None = None
) -> np.ndarray:
    """(count,) seconds: one in each of `count` equal segments of the span.

    Args:
        start_s: start of the span in seconds.
        end_s: end of the span in seconds.
        count: how many.
        generator: draws the place within each segment; without one it is the middle.
    """
    within = 0.5 if generator is None else generator.random(count)
    return start_s + (end_s - start_s) * (np.arange(count) + within) / count


def steady_times(start_s: float, end_s: float, rate_hz: float = 1.0) -> np.ndarray:
    """(n,) seconds: `start_s`, and every `1 / rate_hz` s from there until before `end_s`.

    Of 4.2 s at 1 Hz these are 5, as of a clip that was extracted at one frame per second.

    Args:
        start_s: start of the span in seconds; there is always this one time.
        end_s: end of the span in seconds.
        rate_hz: how many per second.
    """
    if rate_hz <= 0:
        raise ValueError(f'steady_times(rate_hz={rate_hz}); it must be positive')
    count = max(1, ceil((end_s - start_s - TIE_S) * rate_hz))
    return start_s + np.arange(count) / rate_hz


def duration(path: str | Path) -> float:
    """Seconds until the pictures end, as the file declares, or else as its packets say.

    Raises:
        MediaError: not a media file, or no video stream.
    """
    return _declared(path).end_s


def frame_step(path: str | Path) -> float:
    """Seconds from one frame to the next, as the file declares.

    Raises:
        MediaError: not a media file, or no video stream.
    """
    return _declared(path).step_s


def read_frames(path: str | Path, times_s: Sequence[float] | np.ndarray) -> np.ndarray:
    """The frame shown at each time, in the given order: (T, H, W, 3) uint8 RGB, upright.

    A frame is shown from its time stamp to the next frame's; the first one also before, the last
    one also after, so that a span that ends after the pictures is cut to what exists.

    Args:
        path: any container and codec that OpenCV's or PyAV's FFmpeg knows.
        times_s: one or more times in seconds.

    Raises:
        MediaError: not a media file, no video stream, or every time is half a second or more
            after the last frame that can be decoded.
    """
    times = np.asarray(times_s, dtype=np.float64)
    order = np.argsort(times)
    asked = _span(times)
    declared = _declared(path)
    seek_s = times.min() if times.min() > SEEK_S else None
    # The second try is for a seek that lands too late and for pauses between frames; PyAV is for
    # codecs that OpenCV lacks (AV1).
    tries = ((seek_s, 1.5 * declared.step_s), (None, inf))
    for decode, (from_s, ahead_s) in product((_opencv, _pyav), tries):
        with closing(decode(path, declared, from_s)) as pictures:
            try:
                shown = _shown(pictures, times[order], ahead_s)
            except (_Over, cv2.error, av.error.FFmpegError) as error:
                raise MediaError(f'{path}: asked for {asked}, but {error}') from None
        if shown:
            break
    else:
        raise MediaError(f'{path}: asked for {asked}, but no picture can be decoded')
    if len(sizes := {picture.shape for picture in shown}) > 1:
        raise MediaError(f'{path}: asked for {asked}, but they differ in size: {sorted(sizes)}')
    return np.stack([shown[place] for place in np.argsort(order)])


def picture_times(path: str | Path) -> np.ndarray:
    """(N,) seconds: when each picture that can be decoded appears; decodes the whole file.

    Raises:
        MediaError: not a media file, or no video stream.
    """
    declared = _declared(path)
    for decode in (_opencv, _pyav):
        if times := [time for time, _ in decode(path, declared, None)]:
            return np.array(times)
    return np.empty(0)


def refuse_late(path: str | Path, times: np.ndarray, last_s: float) -> None:
    """Refuse times that are all half a second or more after the last picture.

    Raises:
        MediaError: they are.
    """
    if times.min() >= last_s + HOLD_S:
        raise MediaError(f'{path}: asked for {_span(times)}, but {_Over(last_s)}')


class _Over(Exception):
    def __str__(self) -> str:
        return f'the last picture appears at {self.args[0]:.3f} s'


def _span(times: np.ndarray) -> str:
    return f'{len(times)} frames from {times.min():.3f} s to {times.max():.3f} s'


def _shown(
    pictures: Iterator[Picture], times: np.ndarray, ahead_s: float
) -> list[np.ndarray] | None:
    """One picture per sorted time, or None where one that is needed was let pass.

    Which frame is shown at a time is known only from the next one, when it is too late to get it:
    it gets those that appear less than `ahead_s` before a time.
    """
    shown: list[np.ndarray] = []
    kept = np.empty(0)
    kept_at = last = -inf
    for now, get in pictures:
        while last > -inf and now > times[len(shown)] + TIE_S:
            if kept_at < last:
                return None
            shown.append(kept)
            if len(shown) == len(times):
                return shown
        if last == -inf or now + ahead_s > times[len(shown)]:
            kept, kept_at = get(), now
        last = now
    if kept_at < last or last == -inf:
        return None
    if not shown and times[0] >= last + HOLD_S:
        raise _Over(last)
    return shown + [kept] * (len(times) - len(shown))


class _Declared(NamedTuple):
    begin_s: float
    end_s: float
    step_s: float


def _declared(path: str | Path) -> _Declared:
    try:
        changed_ns = Path(path).stat().st_mtime_ns
    except OSError:
        changed_ns = 0
    return _declared_once(str(path), changed_ns)


@lru_cache(maxsize=100_000)  # opening a file takes as long as decoding several pictures
def _declared_once(path: str, changed_ns: int) -> _Declared:
    with opened(path, 'video', 'its pictures') as (container, stream, tick_s, zero_s):
        begin_s = zero_s if stream.start_time is None else stream.start_time * tick_s
        step_s = 1 / float(stream.average_rate) if stream.average_rate else STEP_S
        declares = container.format.name not in NO_HEADER
        if declares and stream.duration:
            end_s = begin_s + stream.duration * tick_s
        elif declares and container.duration:
            end_s = zero_s + container.duration / av.time_base
        else:
            end_s = begin_s
            for packet in container.demux(stream):
                # MPEG stamps only some packets; the last one is the end of the stream.
                end_s = end_s + step_s if packet.pts is None else max(end_s, packet.pts * tick_s)
        return _Declared(begin_s - zero_s, end_s - zero_s, step_s)


def _opencv(path: str | Path, declared: _Declared, from_s: float | None) -> Iterator[Picture]:
    """The pictures from the keyframe before `from_s` on, or all."""
    loud = set_log_level(SILENT)
    # One thread: loader workers run side by side, and more threads slow short clips down.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    set_log_level(loud)

    def get() -> np.ndarray:
        return cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)

    try:
        if from_s is not None:
            # OpenCV counts from the first picture, and rounds to the nearest.
            capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * (from_s - declared.begin_s - declared.step_s))
        last = -inf
        while capture.grab():
            now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + declared.begin_s
            if from_s is not None and last == -inf and now > from_s:
                return
            # The last pictures of MPEG and AVI files come without a time stamp, as 0.
            last = now if now > last else last + declared.step_s
            yield last, get
    finally:
        capture.release()


def _pyav(path: str | Path, declared: _Declared, from_s: float | None) -> Iterator[Picture]:
    """The same, decoded by PyAV."""
    with opened(path, 'video', 'its pictures') as media:
        if from_s is not None:
            media.seek(from_s)
        last = -inf
        for frame in media.frames():
            now = last + declared.step_s
            if frame.pts is not None:
                now = frame.pts * media.tick_s - media.zero_s
            if from_s is not None and last == -inf and now > from_s:
                return
            last = now
            yield now, partial(_upright, frame)


def _upright(frame: av.VideoFrame) -> np.ndarray:
    turns = round(frame.rotation / 90) if hasattr(frame, 'rotation') else 0
    return np.rot90(frame.to_ndarray(format='rgb24'), turns)
