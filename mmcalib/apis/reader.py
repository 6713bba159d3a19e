"""From a file or an array of one modality to what its encoder sees."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmcalib.contract import Signal
from mmcalib.datasets.manifest import BY_SUFFIX
from mmcalib.media import MediaError
from mmcalib.media.features import as_tokens, read_features
from mmcalib.media.files import Files
from mmcalib.media.film import Film, Folder, Video
from mmcalib.media.flow_film import FlowFolders, VideoFlow
from mmcalib.media.hdf5_pictures import Hdf5Pictures
from mmcalib.media.image import read_image
from mmcalib.media.items import transformed
from mmcalib.media.spectrograms import read_spectrogram

ARRAYS = {  # what an array of a modality may be
    'audio': '(samples,) of floats in [-1, 1], mono, {rate_hz} per second',
    'spectrogram': '(frequencies, steps) or (windows, bins), as it was stored for training',
    'pictures': '(frames, H, W, 3) or (H, W, 3) of bytes, RGB',
    'flow': '(frames, H, W, 2) of bytes, u and v, 128 is no motion',
    'features': '(L, D) or (D,) of numbers',
    'ids': '(L,) of whole numbers',
    'tokens': '(L, ...) as its data set gives it',
}
FILES = {  # and a file
    'audio': 'a file of sound, or a video with sound',
    'spectrogram': 'the stored spectrogram: .npy, .npz, .pt or .pkl',
    'pictures': 'a video, a picture, or a folder of pictures',
    'flow': 'a video, or a folder of flow',
    'features': '.npy, .npz or .pt',
    'ids': '.npy, .npz or .pt',
    'tokens': '',  # of a data set that is not ours, nobody knows how files are read
}
WHOLE = ('audio', 'spectrogram')  # one token each


class Raw(NamedTuple):
    """One modality as it was given, before its transforms."""

    array: np.ndarray
    cut: bool = False  # by a span


@dataclass(frozen=True)
class Reader:
    """How one modality comes from a file or an array."""

    modality: str
    kind: str  # of ARRAYS
    files: Files
    transforms: tuple[Callable[..., np.ndarray], ...] = ()
    frames: int = 1
    rate_hz: int = 16_000
    key: str | None = None  # of an array within a feature file
    shape: tuple[int, ...] | None = None  # of a stored spectrogram
    width: tuple[int, ...] | None = None  # of a token of features
    layout: str = ''
    flow: tuple[str, str] = ('dis', 'medium')

    def read(self, value: Any, start_s: float = 0.0, end_s: float = inf) -> Raw:
        """A path, or an array, as it is before the transforms.

        Raises:
            MediaError: the file cannot be read, or a number is not finite.
            ValueError: an array of another kind, or a file of no known kind.
        """
        if isinstance(value, str | PathLike):
            return self._open(value, start_s, end_s)
        array = value.detach().cpu() if isinstance(value, Tensor) else value
        if isinstance(array, Tensor):
            array = (array.float() if array.dtype is torch.bfloat16 else array).numpy()
        if not isinstance(array, np.ndarray):
            if self.kind != 'features' or not isinstance(array, list | tuple):
                text = f'{self.modality} is a {type(value).__name__}'
                raise ValueError(f'{text}; possible are {self.possible()}, or None')
            array = as_tokens(list(array), self.modality)
        return Raw(self._check(array))

    def signal(self, array: np.ndarray) -> Signal:
        """Through the transforms: x (L, ...), every token real.

        Raises:
            MediaError: another width than in training, or a number that is not finite.
        """
        draws = np.random.default_rng(0)  # what the test split does is not random
        x = transformed(array, self.transforms, draws, self.kind in WHOLE)
        if self.kind == 'tokens' and x.is_floating_point():
            x = x.float()
        if self.width is not None and tuple(x.shape[1:]) != self.width:
            has = f'its tokens have the shape {tuple(x.shape[1:])}'
            raise MediaError(f'{self.modality}: {has}, but in training {self.width}')
        if not x.isfinite().all():
            count = int((~x.isfinite()).sum())
            text = f'{self.modality}: {count} of its {x.numel()} values are NaN or infinite'
            raise MediaError(text)
        return Signal(x, torch.ones(len(x), dtype=torch.bool))

    def possible(self) -> str:
        """Words on what may be given."""
        array = 'an array ' + ARRAYS[self.kind].format(rate_hz=self.rate_hz)
        return f'a path of {FILES[self.kind]}, or {array}' if FILES[self.kind] else array

    def _open(self, value: str | PathLike, start_s: float, end_s: float) -> Raw:
        path, kind, suffix = Path(value), self.kind, Path(value).suffix.lower()
        if kind == 'features' and suffix not in BY_SUFFIX:
            try:
                return Raw(as_tokens(str(value), self.modality))  # numbers in the cell of a table
            except MediaError:
                kind = 'tokens'
        if kind == 'tokens':
            text = f'{self.modality} is {str(value)!r}; possible is {self.possible()}'
            raise ValueError(text)
        if not path.exists():
            raise MediaError(f'{path}: no such file for {self.modality}')
        if kind == 'audio':
            return Raw(self.files.sound(path, self.rate_hz, start_s, end_s), True)
        if kind == 'spectrogram':
            return Raw(read_spectrogram(path, self.shape))
        if kind in ('features', 'ids'):
            return Raw(self._check(read_features(path, self.key)))
        if kind == 'pictures' and BY_SUFFIX.get(suffix) == 'image':
            return Raw(self.files.scaled(read_image(path)[np.newaxis]))
        film = self._film(path, start_s, end_s)
        return Raw(self.files.pictures(film, self.frames), isinstance(film, Video | VideoFlow))

    def _film(self, path: Path, start_s: float, end_s: float) -> Film:
        fps, stored = self.files.fps, self.layout == 'mmaction2'
        if path.suffix == '.hdf5':
            return Hdf5Pictures(path)
        if self.kind == 'pictures':
            if path.is_dir():
                return Folder(path, 'img_' if stored else '')
            return Video(path, start_s, end_s, fps)
        if not path.is_dir():
            return VideoFlow(path, start_s, end_s, fps, *self.flow)
        if stored:
            return FlowFolders(path, '.', 'flow_x_', 'flow_y_')
        return FlowFolders(path, f'../../v/{path.name}')

    def _check(self, array: np.ndarray) -> np.ndarray:
        """An array of this kind, in the shape that reading a file would give."""
        kind, ndim, form = self.kind, array.ndim, array.dtype.kind
        if not array.size:
            fits = False
        elif kind == 'audio':
            fits = ndim == 1 and form == 'f' and not np.abs(array).max() > 1
            array = array.astype(np.float32) if fits else array
        elif kind == 'spectrogram':
            array = array.reshape(array.shape[-2:]) if ndim == 3 and len(array) == 1 else array
            fits = array.ndim == 2 and form in 'fiu'
            array = array[np.newaxis].astype(np.float32) if fits else array
            fits = fits and self.shape in (None, array.shape)
        elif kind in ('pictures', 'flow'):
            channels = 3 if kind == 'pictures' else 2
            fits = ndim in (3, 4) and array.dtype == np.uint8 and array.shape[-1] == channels
            if fits:
                array = self.files.scaled(array[np.newaxis] if ndim == 3 else array)
        elif kind == 'ids':
            array = array.reshape(-1) if ndim == 2 and len(array) == 1 else array
            fits = array.ndim == 1 and bool((array == np.round(array)).all())
            array = array.astype(np.int64) if fits else array
        elif kind == 'tokens':
            fits = ndim > 0 and form in 'biuf'
        else:
            fits = form in 'biuf'
            array = as_tokens(array, self.modality) if fits else array
        if fits:
            return array
        has = f'{self.modality} is an array {array.shape} of {array.dtype}'
        if kind == 'audio' and ndim == 1 and form == 'f' and array.size:
            has += f' that reaches {np.abs(array).max():.4g}'
        raise ValueError(f'{has}; possible is {self.possible()}')
