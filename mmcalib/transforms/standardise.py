"""Zero mean and unit deviation of each feature, over a training split."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmcalib.registry import TRANSFORMS


class Statistics(NamedTuple):
    """Of each feature."""

    mean: np.ndarray  # (D,) float64
    std: np.ndarray  # (D,) float64, of the population
    finite: np.ndarray  # (D,) int, how many values they are of

    def save(self, path: str | Path) -> None:
        """Write what `Standardise(path=...)` reads: an .npz file."""
        np.savez(path, **self._asdict())


def statistics(sequences: Iterable[np.ndarray]) -> Statistics:
    """Mean and deviation over all tokens of all sequences; NaN and infinity are left out.

    They come from a training split alone. One pass, in 64 bits: the sequences need not fit into
    memory together. A feature without a finite value has mean 0 and deviation 0.

    Args:
        sequences: (L, D) each, L may be 0.

    Raises:
        ValueError: no sequence, or widths that differ.
    """
    mean = m2 = count = np.zeros(0)
    for number, sequence in enumerate(sequences):
        x = np.asarray(sequence, np.float64)
        if number == 0:
            mean, m2, count = (np.zeros(x.shape[1]) for _ in range(3))
        if x.shape[1:] != mean.shape:
            raise ValueError(
                f'statistics: sequence {number} has {x.shape[1:]} features, the first {mean.shape}'
            )
        real = np.isfinite(x)
        added = real.sum(axis=0)
        own = np.where(real, x, 0.0).sum(axis=0) / added.clip(min=1)
        spread = (np.where(real, x - own, 0.0) ** 2).sum(axis=0)
        # Chan, Golub and LeVeque: two sets' sums of squares join without cancellation.
        total = (count + added).clip(min=1)
        m2 = m2 + spread + (own - mean) ** 2 * count * added / total
        mean = mean + (own - mean) * added / total
        count = count + added
    if not len(count):
        raise ValueError('statistics: there is no sequence')
    return Statistics(mean, np.sqrt(m2 / count.clip(min=1)), count.astype(int))


@TRANSFORMS.register_module()
class Standardise:
    """Subtract each feature's mean and divide by its deviation, both given beforehand.

    A constant feature is only centred. NaN and infinity stay: `clean` comes first.

    Args:
        mean: one per feature; `statistics` computes both from a training split.
        std: the same for the deviation.
        path: instead of both, an .npz file with the arrays `mean` and `std`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        path: str | Path | None = None,
    ) -> None:
        if (mean is None) != (std is None) or (mean is None) == (path is None):
            raise ValueError('Standardise needs mean and std, or else path')
        if path is not None:
            with np.load(path, allow_pickle=False) as held:
                if lacks := {'mean', 'std'} - set(held.files):
                    raise ValueError(
                        f'Standardise(path={str(path)!r}) lacks {sorted(lacks)}; '
                        f'it has {sorted(held.files)}'
                    )
                mean, std = held['mean'], held['std']
        self.mean, deviation = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        if self.mean.shape != deviation.shape or self.mean.ndim != 1:
            raise ValueError(
                f'Standardise: mean has the shape {self.mean.shape}, std {deviation.shape}; both '
                'need one value per feature'
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(deviation).all()):
            raise ValueError('Standardise: mean and std must be finite')
        if (deviation < 0).any():
            raise ValueError(f'Standardise: std is at least 0, but its least is {deviation.min()}')
        # A constant's deviation is its rounding.
        constant = deviation <= np.finfo(np.float32).eps * np.abs(self.mean)
        self.std = np.where(constant, np.float32(1), deviation)

    def __call__(self, features: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(L, D) -> (L, D) float32."""
        if features.shape[-1] != len(self.mean):
            raise ValueError(
                f'Standardise has the statistics of {len(self.mean)} features, but was given the '
                f'shape {features.shape}'
            )
        return (np.asarray(features, np.float32) - self.mean) / self.std
