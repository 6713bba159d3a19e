"""Sound of a file, by time span."""

from math import ceil, floor, inf
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from mmcalib.media import MediaError, opened

SEEK_S = 10.0  # decoding less sound than this costs about as much as a seek
PREROLL_S = 0.5  # what AAC, MP3 and Opus need before their first right sample after a seek
MARGIN_S = 0.05  # more than the resampler's filter is long
NOTHING = np.zeros(0, np.float32)


class _Block(NamedTuple):
    rate: int
    begin: int  # position of its first sample
    samples: np.ndarray

    @property
    def end(self) -> int:
        return self.begin + len(self.samples)


def read_audio(
    path: str | Path, rate_hz: int, start_s: float = 0.0, end_s: float | None = None
) -> np.ndarray:
    """The sound from `start_s` up to `end_s`, mean over channels: (samples,) float32 in [-1, 1].

    Sample i is the sound at `start_s + i / rate_hz`. Where the sound begins later or has a gap, it
    is silent, as in a player; packets that cannot be decoded are gaps. A span that ends after the
    sound is cut to what exists.

    Args:
        path: any container and codec that FFmpeg knows.
        rate_hz: samples per second of the result; other rates are resampled.
        start_s: start of the span in seconds, not negative.
        end_s: end of the span in seconds; None for the end of the sound.

    Raises:
        MediaError: not a media file, no audio stream, or no sound within the span.
        ValueError: `start_s` is negative.
    """
    if start_s < 0:
        raise ValueError(f'read_audio(start_s={start_s}); a file begins at 0')
    stop_s = inf if end_s is None else end_s
    asked = f'audio from {start_s:.3f} s to ' + ('its end' if end_s is None else f'{end_s:.3f} s')
    margin = min(ceil(MARGIN_S * rate_hz), floor(start_s * rate_hz))  # in samples of the result
    first_s = start_s - margin / rate_hz
    blocks = _decode(path, asked, first_s, stop_s + MARGIN_S, seek=first_s > SEEK_S)
    if not blocks or blocks[0].begin >= stop_s * blocks[0].rate:
        raise MediaError(f'{path}: asked for {asked}, but no sound can be decoded there')
    rate, finish_s = blocks[0].rate, blocks[-1].end / blocks[0].rate
    wanted = round((min(stop_s, finish_s) - start_s) * rate_hz)
    if wanted < 1:
        why = f'its sound ends at {finish_s:.3f} s' if finish_s <= stop_s else 'that is no sample'
        raise MediaError(f'{path}: asked for {asked}, but {why}')
    sound = _join(blocks, round(first_s * rate), round(min(stop_s + MARGIN_S, finish_s) * rate))
    return _resample(sound, rate, rate_hz)[margin : margin + wanted].clip(-1.0, 1.0)


def _decode(
    path: str | Path, asked: str, first_s: float, stop_s: float, seek: bool
) -> list[_Block]:
    """The blocks of a span; one without samples stands for all that comes before it."""
    blocks: list[_Block] = []
    with opened(path, 'audio', asked) as media:
        if seek:
            media.seek(first_s - PREROLL_S)
        for frame in media.frames():
            rate, end = frame.sample_rate, blocks[-1].end if blocks else 0
            begin = end
            if frame.pts is not None:
                begin = round((frame.pts * media.tick_s - media.zero_s) * rate)
            # Time stamps are rounded (to 1 ms in Matroska); only from half a block on it is a gap.
            if blocks and abs(begin - end) <= frame.samples // 2:
                begin = end
            if begin >= stop_s * rate:
                break
            if seek and not blocks and (frame.pts is None or begin > first_s * rate):
                break  # a container without an index seeks past the span, or nowhere
            if begin + frame.samples <= first_s * rate:
                blocks = [_Block(rate, begin + frame.samples, NOTHING)]
            else:
                blocks.append(_Block(rate, begin, _mono(frame)))
    if seek and not blocks:
        return _decode(path, asked, first_s, stop_s, seek=False)
    return blocks


def _mono(frame: av.AudioFrame) -> np.ndarray:
    samples = frame.to_ndarray()  # planar (channels, samples), packed (1, samples * channels)
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    # FFmpeg's own downmix to one channel has another gain for integers than for floats.
    mono = samples.mean(axis=0, dtype=np.float32)
    if samples.dtype.kind == 'f':
        return mono
    full_scale = np.float32(2.0 ** (8 * samples.itemsize - 1))
    return (mono / full_scale) - np.float32(samples.dtype.kind == 'u')


def _join(blocks: list[_Block], first: int, stop: int) -> np.ndarray:
    """Samples `first` up to `stop`, zero where no block is."""
    sound = np.zeros(stop - first, np.float32)
    for block in blocks:
        skip = max(first - block.begin, 0)
        at = max(block.begin - first, 0)
        part = block.samples[skip : skip + max(len(sound) - at, 0)]
        sound[at : at + len(part)] = part
    return sound


def _resample(sound: np.ndarray, rate_hz: int, to_hz: int) -> np.ndarray:
    if rate_hz == to_hz:
        return sound
    frame = av.AudioFrame.from_ndarray(sound[np.newaxis], format='flt', layout='mono')
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(format='flt', layout='mono', rate=to_hz)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in parts])
