"""Masks in time and frequency."""

import numpy as np

from mmcalib.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SpecAugment:
    """Blank random bands of frequencies and of time steps of a spectrogram.

    Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition",
    Interspeech 2019, arXiv:1904.08779. The width of a mask is uniform from 0 up to a limit, its
    place uniform over all places. Defaults are the paper's policy LB; LD has twice as many masks
    of both kinds; SM frequency=15, time=70, time_share=0.2, two masks of both kinds; SS the same
    with frequency=27.
    Differs from the paper: no time warping; the limit itself and the last place are possible; a
    mask holds the mean of the spectrogram, which is the paper's 0 where that is standardised.

    Args:
        frequency: widest frequency mask, in rows (F).
        time: widest time mask, in steps (T).
        frequency_masks: how many (m_F).
        time_masks: how many (m_T).
        time_share: no time mask is wider than this share of all steps (p).
        time_axis: -1 for (..., F, T), as `LogMel` gives; -2 for (..., T, F), as `Fbank` does.
        fill: the value under a mask; None for the mean.
    """

    def __init__(
        self,
        frequency: int = 27,
        time: int = 100,
        frequency_masks: int = 1,
        time_masks: int = 1,
        time_share: float = 1.0,
        time_axis: int = -1,
        fill: float | None = None,
    ) -> None:
        sizes = (frequency, time, frequency_masks, time_masks)
        if min(sizes) < 0 or not 0 <= time_share <= 1:
            raise ValueError(
                f'SpecAugment(frequency={frequency}, time={time}, frequency_masks='
                f'{frequency_masks}, time_masks={time_masks}, time_share={time_share}); none may '
                'be negative, and the share at most 1'
            )
        if time_axis not in (-1, -2):
            raise ValueError(f'SpecAugment(time_axis={time_axis}); possible are -1 and -2')
        self.masks = [(-3 - time_axis, frequency, 1.0)] * frequency_masks  # axis, widest, share
        self.masks += [(time_axis, time, time_share)] * time_masks
        self.fill = fill

    def __call__(self, spectrogram: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(..., F, T) or (..., T, F) -> float32 of the same shape."""
        x = np.array(spectrogram, np.float32)  # a copy
        fill = self.fill
        if fill is None:
            fill = float(x.mean(dtype=np.float64)) if x.size else 0.0
        for axis, widest, share in self.masks:
            across = np.moveaxis(x, axis, 0)
            size = len(across)
            width = generator.integers(min(widest, int(share * size)), endpoint=True)
            start = generator.integers(size - width, endpoint=True)
            across[start : start + width] = fill
        return x
