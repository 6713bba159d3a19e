"""Write one MP4 file as benchmarks have them (H.264 and AAC), the same bytes at every run."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

_AAC_BLOCK = 1024  # samples that the encoder takes at a time
_AAC = {'aac_coder': 'fast'}  # the default takes longer than all the pictures
# One thread, and no mbtree: it rounds by what lies in memory, so that the same frames would give
# other bytes in another run.
_X264 = {
    'preset': 'veryfast',
    'crf': '27',
    'maxrate': '200k',  # pixel noise would take ten times the space of a picture
    'bufsize': '400k',
    'threads': '1',
    'x264-params': 'mbtree=0',
}


def write(path: Path, frames: np.ndarray, fps: int, sound: np.ndarray, rate_hz: int) -> None:
    """Encode frames (T, H, W, 3) uint8 RGB and sound (n,) in [-1, 1].

    Neither a version nor a date is in the container: the bytes depend on the content and on the
    encoders' versions only.
    """
    with av.open(str(path), 'w', format='mp4', options={'fflags': '+bitexact'}) as container:
        video = container.add_stream('libx264', rate=fps, options=_X264)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt, video.gop_size = 'yuv420p', 2 * fps
        audio = container.add_stream('aac', rate=rate_hz, layout='mono', options=_AAC)
        audio.bit_rate = 40_000
        packets: list[Any] = []
        for k, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = k, Fraction(1, fps)
            packets += video.encode(picture)
        for start in range(0, len(sound), _AAC_BLOCK):
            block = sound[None, start : start + _AAC_BLOCK].astype(np.float32)
            piece = av.AudioFrame.from_ndarray(block, format='fltp', layout='mono')
            piece.sample_rate, piece.pts, piece.time_base = rate_hz, start, Fraction(1, rate_hz)
            packets += audio.encode(piece)
        packets += [*video.encode(None), *audio.encode(None)]
        # Sorted, so that sound and picture of one moment lie together in the file.
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
