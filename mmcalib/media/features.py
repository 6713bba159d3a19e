"""Precomputed features of a file, or of a cell of a table."""

import struct
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib.npyio import NpzFile

from mmcalib.media import MediaError

NOT_READABLE = (
    *(ValueError, OSError, EOFError, RuntimeError, UnpicklingError, zipfile.BadZipFile),
    # What torch's unpickler raises on random bytes.
    *(LookupError, TypeError, AttributeError, AssertionError, struct.error),
)


def read_features(path: str | Path, key: str | None = None) -> np.ndarray:
    """(L, ...) float32, one row per token; a single vector (D,) is one token.

    Files are read as data: none of them can run code.

    Args:
        path: an .npy or .npz file of NumPy, or a tensor that torch.save wrote.
        key: which array of an .npz file or of a saved dict; None where there is only one.

    Raises:
        MediaError: not such a file, no such key, not numbers, or no token.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in ('.pt', '.pth'):
            held = torch.load(path, map_location='cpu', weights_only=True)
        else:
            held = np.load(path, allow_pickle=False)
        if isinstance(held, NpzFile):
            with held:
                held = {name: held[name] for name in ([key] if key in held.files else held.files)}
    except NOT_READABLE as error:
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise MediaError(f'{path}: asked for features, but: {why[0]}') from None
    if isinstance(held, dict):
        if key is None and len(held) == 1:
            key = next(iter(held))
        if key not in held:
            raise MediaError(f'{path}: asked for key={key!r}, but it holds {sorted(held)}')
        held = held[key]
    if isinstance(held, torch.Tensor):
        held = held.detach().float().numpy()
    return as_tokens(held, str(path))


def as_tokens(values: Any, place: str) -> np.ndarray:
    """Numbers, a list of them, lists of lists, or text such as '0.1 0.2': (L, ...) float32.

    Raises:
        MediaError: not numbers, rows of different lengths, or nothing.
    """
    try:
        if isinstance(values, str):
            values = [float(part) for part in values.strip('[]() ').replace(',', ' ').split()]
        array = np.asarray(values)
        if array.dtype.kind not in 'biuf':
            raise ValueError
    except ValueError:
        raise MediaError(f'{place}: {str(values)[:40]!r} is not numbers') from None
    if not array.size:
        raise MediaError(f'{place}: no numbers, the shape is {array.shape}')
    tokens = array.astype(np.float32)
    return tokens.reshape(1, -1) if tokens.ndim < 2 else tokens


class Cleaned(NamedTuple):
    """What `clean` returns."""

    features: np.ndarray
    replaced: int  # how many values were not finite


def clean(features: np.ndarray) -> Cleaned:
    """Zero in the place of NaN and infinity, and how many there were; the input stays as it is.

    CMU-MOSI's acoustic features hold -inf, the logarithm of nothing; published results put 0.

    Args:
        features: of any shape.
    """
    real = np.isfinite(features)
    replaced = real.size - int(np.count_nonzero(real))
    return Cleaned(np.where(real, features, np.zeros((), features.dtype)), replaced)
