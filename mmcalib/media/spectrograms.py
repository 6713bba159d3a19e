"""Spectrograms and filter banks that others have computed, one per file."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmcalib.media import MediaError, pickles
from mmcalib.media.features import read_features

PICKLES = ('.pkl', '.pickle')
PROBED = 5  # files whose shapes vote, so that a single bad one does not decide


def read_spectrogram(path: Path, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """(1, frequencies, steps) float32; the file is read as data and can run no code.

    Args:
        path: of an array (frequencies, steps) or (windows, bins), or with leading axes of 1; a
            pickle, or what `read_features` reads.
        shape: what it has to be.

    Raises:
        MediaError: not such a file, another shape, or a value that is not finite.
    """
    held = pickles.load(path) if path.suffix in PICKLES else read_features(path)
    if not isinstance(held, np.ndarray) or held.dtype.kind not in 'fiu':
        what = getattr(held, 'dtype', type(held).__name__)
        raise MediaError(f'{path}: asked for a spectrogram, but it holds {what}')
    array = np.array(held, np.float32)  # a plain one, of our own
    if array.ndim > 2 and array.size == np.prod(array.shape[-2:]):
        array = array.reshape(array.shape[-2:])
    if array.ndim < 2 or len(array) == 1:
        text = f'{path}: asked for a spectrogram, but it is {array.shape}, a waveform or the like'
        raise MediaError(f'{text}; possible is (frequencies, steps) or (windows, bins)')
    array = array[np.newaxis]
    if array.ndim != 3 or not array.size or (shape is not None and array.shape != shape):
        wanted = '(frequencies, steps)' if shape is None else str(shape[1:])
        raise MediaError(f'{path}: asked for a spectrogram {wanted}, but it is {array.shape[1:]}')
    if not np.isfinite(array).all():
        raise MediaError(f'{path}: asked for a spectrogram, but it holds NaN or infinity')
    return array


def usual_shape(paths: Iterable[Path]) -> tuple[int, ...]:
    """(1, frequencies, steps) of most of the first few files that can be read.

    Raises:
        MediaError: none can.
    """
    shapes: list[tuple[int, ...]] = []
    why = 'there is none'
    for path in sorted(paths):
        try:
            shapes.append(read_spectrogram(path).shape)
        except MediaError as error:
            why = str(error)
        if len(shapes) == PROBED:
            break
    if not shapes:
        raise MediaError(f'no stored spectrogram can be read; the last: {why}')
    return Counter(shapes).most_common(1)[0][0]
