"""Write small media files whose every frame and sample is known: what decoding is checked against.

Frame i of a video is grey of brightness 4 * i + 8, up to the 60th; sound is a sine of 440 Hz and
amplitude 0.5, silent in its first quarter second.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS = 25
VIDEO = {'.mpg': 'mpeg1video', '.avi': 'mpeg4', '.flv': 'flv'}
AUDIO = {'.mpg': 'mp2', '.avi': 'mp2', '.wav': 'pcm_s16le', '.mp3': 'libmp3lame', '.ogg': 'libopus'}
AUDIO_ONLY = ('.wav', '.mp3', '.ogg')
CONTAINERS = ('.mp4', '.mpg', '.avi', '.flv', '.mkv', *AUDIO_ONLY)
QUIET_S = 0.25


def tone(start_s: float, count: int, rate_hz: int) -> np.ndarray:
    """(count,) samples of the sound of every file, from a time on."""
    times = start_s + np.arange(count) / rate_hz
    return np.where(times < QUIET_S, 0.0, 0.5 * np.sin(2 * np.pi * 440 * times))


def numbers(frames: np.ndarray) -> list[int]:
    """Which frames these are, of (T, H, W, 3)."""
    return [round((float(frame.mean()) - 8) / 4) for frame in frames]


def write(
    path: Path,
    seconds: float = 2.0,
    *,
    audio: bool = True,
    video: bool = True,
    audio_from_s: float = 0.0,
    rate_hz: int = 48_000,
    size: tuple[int, int] = (64, 48),
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A file of the container that its suffix names.

    Args:
        path: where.
        seconds: of pictures at 25 per second, and of sound.
        audio: with a sound stream; `video`: with a picture stream.
        audio_from_s: time stamp of the first sample.
        rate_hz: of the sound.
        size: width and height of the pictures.
        pts: time stamps of the pictures in 1/25 s, ascending; 0, 1, 2, ... without.
        options: of the container.
    """
    video = video and path.suffix not in AUDIO_ONLY
    packets = []
    with av.open(str(path), 'w', options=options or {}) as container:
        if video:
            pictures = container.add_stream(VIDEO.get(path.suffix, 'libx264'), rate=FPS)
            pictures.width, pictures.height = size
            pictures.pix_fmt, pictures.bit_rate = 'yuv420p', 2_000_000
            pictures.codec_context.time_base = Fraction(1, FPS)
        if audio:
            sound = container.add_stream(AUDIO.get(path.suffix, 'aac'), rate=rate_hz)
            sound.layout = 'mono'
        if video:
            for number, at in enumerate(pts or range(round(seconds * FPS))):
                grey = np.full((size[1], size[0], 3), min(4 * number + 8, 248), np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format='rgb24')
                picture.pts, picture.time_base = at, Fraction(1, FPS)
                packets += pictures.encode(picture)
            packets += pictures.encode(None)
        if audio:
            samples = tone(0.0, round(seconds * rate_hz), rate_hz)
            whole = np.round(32767 * samples).astype(np.int16)[np.newaxis]
            frame = av.AudioFrame.from_ndarray(whole, format='s16', layout='mono')
            frame.sample_rate, frame.pts = rate_hz, round(audio_from_s * rate_hz)
            frame.time_base = Fraction(1, rate_hz)
            sound.codec_context.open(strict=False)
            cut = av.AudioResampler(
                sound.format, 'mono', rate_hz, frame_size=sound.codec_context.frame_size or 1024
            )
            for block in [*cut.resample(frame), *cut.resample(None)]:
                packets += sound.encode(block)
            packets += sound.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path
