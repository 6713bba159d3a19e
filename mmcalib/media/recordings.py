"""What data sets of filmed and recorded clips share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmcalib.contract import Draw
from mmcalib.media.cache import Files
from mmcalib.media.film import Film
from mmcalib.media.items import gather, transformed
from mmcalib.media.spectrograms import read_spectrogram
from mmcalib.registry import TRANSFORMS

MODALITIES = ('audio', 'visual')


class Recordings(Dataset):
    """Clips of sound and pictures; a subclass finds their files and reads one in `read`.

    An item's audio is one token, x (1, ...), its visual one per frame, x (frames, ...). A modality
    that cannot be read is zeros with a mask that is all False; `unreadable` says why.

    Args:
        ids: of the clips.
        targets: of the clips, numbers of classes.
        files: what reads them.
        transforms: configs for each modality.
        frames: pictures per clip.
        random_times: a random frame of each part of a clip instead of the middle one.
        rate_hz: samples per second of a waveform.
        bank: shape of stored spectrograms; None where sound is stored.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
    """

    def __init__(
        self,
        ids: Sequence[str],
        targets: Sequence[int],
        files: Files,
        transforms: Mapping[str, Sequence[Mapping[str, Any]]],
        frames: int,
        random_times: bool,
        rate_hz: int,
        bank: tuple[int, ...] | None,
        on_error: str,
    ) -> None:
        self.ids, self.targets, self.files = ids, targets, files
        self.frames, self.random_times = frames, random_times
        self.rate_hz, self.bank, self.on_error = rate_hz, bank, on_error
        self.transforms = {
            m: [TRANSFORMS.build(config) for config in given] for m, given in transforms.items()
        }
        self.shapes = {m: self._shape(m) for m in transforms}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key])

        def load(modality: str) -> Tensor:
            generator = draw.generator(stream=MODALITIES.index(modality))
            return self._transform(modality, self.read(modality, draw.sample, generator), generator)

        given = gather(self.shapes, load, self.on_error, self.ids[draw.sample])
        target = torch.tensor(self.targets[draw.sample])
        return {**given._asdict(), 'target': target, 'id': self.ids[draw.sample]}

    def read(self, modality: str, sample: int, generator: np.random.Generator) -> np.ndarray:
        """What the transforms of a modality are for: a waveform, a spectrogram, or frames.

        Raises:
            MediaError: it cannot be read.
        """
        raise NotImplementedError

    def _sound(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> np.ndarray:
        if self.bank is not None:
            return read_spectrogram(path, self.bank)
        return self.files.sound(path, self.rate_hz, start_s, end_s)

    def _pictures(self, film: Film, generator: np.random.Generator) -> np.ndarray:
        return self.files.pictures(film, self.frames, generator if self.random_times else None)

    def _transform(self, modality: str, array: np.ndarray, draws: np.random.Generator) -> Tensor:
        return transformed(array, self.transforms[modality], draws, whole=modality == 'audio')

    def _shape(self, modality: str) -> tuple[int, ...]:
        """The shape that the transforms make of silence or of a black clip."""
        silence = np.zeros(self.bank or (self.rate_hz,), 'f4')
        array = silence if modality == 'audio' else np.zeros((self.frames, 256, 256, 3), 'u1')
        return tuple(self._transform(modality, array, np.random.default_rng(0)).shape)
