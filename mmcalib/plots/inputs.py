"""What a sample looks like, small enough to be kept: pictures, a spectrogram, a wave, features."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from mmcalib.transforms.normalize import Normalize

FRAMES = 4  # pictures that are kept of a sample
SIDE = 96  # their longer side, in pixels
LONGEST = 256  # of both sides of anything else
WAVE = 1000  # samples from which on one token is drawn as a wave
THUMBNAIL = 32  # pixels: TensorBoard joins all into one sheet of at most 8192


class Shown(NamedTuple):
    """One modality of one sample."""

    kind: str  # 'pictures', 'spectrogram', 'wave' or 'features'
    array: np.ndarray  # (T, H, W, 3) uint8; (frequencies, steps), (1, steps), (width, tokens) f4


def shown(x: np.ndarray, transforms: Sequence[Any] = ()) -> Shown:
    """Real tokens (L, ...) of one raw signal -> something to look at.

    Pictures are (L, 3, H, W); other arrays of three or more axes are maps, drawn by their last two.

    Args:
        x: what the encoder sees.
        transforms: the data set's, of this modality; `Normalize` among them is undone.
    """
    if is_pictures(x):
        frames = pixels(x[some(len(x), FRAMES)], transforms)
        ratio = min(1.0, SIDE / max(frames.shape[1:3]))
        return Shown('pictures', np.stack([_shrink(frame, ratio) for frame in frames]))
    x = x.astype(np.float32)
    if x.ndim > 2:
        return Shown('spectrogram', _thin(spectrogram(x, transforms)))
    if len(x) == 1 and x.size >= WAVE:
        return Shown('wave', _thin(x.reshape(1, -1)))
    return Shown('features', _thin(x.reshape(len(x), -1).T))


def thumbnail(x: np.ndarray, transforms: Sequence[Any] = ()) -> np.ndarray:
    """The middle picture of (L, 3, H, W), as (32, 32, 3) uint8; grey without one."""
    if not len(x):
        return np.full((THUMBNAIL, THUMBNAIL, 3), 128, np.uint8)
    frame = pixels(x[len(x) // 2][np.newaxis], transforms)[0]
    return cv2.resize(frame, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def is_pictures(x: np.ndarray) -> bool:
    """Colour pictures, one per token?"""
    return x.ndim == 4 and x.shape[1] == 3


def pixels(x: np.ndarray, transforms: Sequence[Any]) -> np.ndarray:
    """(L, H, W, C) uint8 of pictures (L, C, H, W), normalised or not."""
    x = x.astype(np.float32)
    for transform in reversed(transforms):
        if isinstance(transform, Normalize):
            x = (x + transform.shift) / transform.scale
            break
    else:
        if x.min() < 0 or x.max() <= 1.5:  # of a scale that nobody tells
            x = 255 * (x - x.min()) / max(float(np.ptp(x)), 1e-9)
    return x.round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def spectrogram(x: np.ndarray, transforms: Sequence[Any]) -> np.ndarray:
    """(frequencies, steps) of the first token of x (L, ..., H, W), averaged over "..."."""
    image: np.ndarray = x[0].reshape(-1, *x.shape[-2:]).mean(axis=0)
    if transforms and type(transforms[-1]).__name__ == 'Fbank':  # (windows, bins)
        image = image.T
    return image


def some(length: int, most: int) -> np.ndarray:
    """At most so many places, evenly spread."""
    count = min(most, length)
    return ((np.arange(count) + 0.5) * length / count).astype(int)


def _thin(image: np.ndarray) -> np.ndarray:
    rows, columns = (some(length, LONGEST) for length in image.shape)
    return image[rows][:, columns]


def _shrink(frame: np.ndarray, ratio: float) -> np.ndarray:
    height, width = (max(1, round(ratio * side)) for side in frame.shape[:2])
    frame = np.ascontiguousarray(frame)
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
