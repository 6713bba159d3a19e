"""Log spectrogram of a waveform, as the published AVE and CREMA-D protocols compute it."""

from math import ceil

import numpy as np
from scipy.signal import spectrogram

from mmcalib.registry import TRANSFORMS

STD_EPS = 1e-9  # a silent clip has no deviation; it becomes zero


@TRANSFORMS.register_module()
class LogSpectrogram:
    """Repeat a waveform to a fixed length and take the logarithm of its power spectrum over time.

    The audio input of PMR (Fan et al., "PMR: Prototypical Modal Rebalance for Multimodal
    Learning", CVPR 2023) for AVE: 257 frequencies, 1004 steps.

    Args:
        rate_hz: samples per second of the waveform.
        length_s: the waveform is repeated, or cut, to this length.
        nperseg: samples per window; the output has `nperseg // 2 + 1` rows.
        noverlap: samples that two windows share.
        eps: added to the power before the logarithm.
        standardise: zero mean and unit deviation per clip.
    """

    def __init__(
        self,
        rate_hz: int = 16_000,
        length_s: float = 10.0,
        nperseg: int = 512,
        noverlap: int = 353,
        eps: float = 1e-7,
        standardise: bool = True,
    ) -> None:
        if not 0 <= noverlap < nperseg <= rate_hz * length_s:
            raise ValueError(
                f'LogSpectrogram(nperseg={nperseg}, noverlap={noverlap}) on {length_s} s at '
                f'{rate_hz} Hz; needs 0 <= noverlap < nperseg <= {round(rate_hz * length_s)}'
            )
        self.rate_hz = rate_hz
        self.length_s = length_s
        self.nperseg = nperseg
        self.noverlap = noverlap
        self.eps = eps
        self.standardise = standardise

    def __call__(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(samples,) float32 -> (1, frequencies, steps) float32."""
        length = round(self.rate_hz * self.length_s)
        if len(waveform) == 0:
            waveform = np.zeros(1, np.float32)
        tiled = np.tile(waveform, ceil(length / len(waveform)))[:length]
        power = spectrogram(tiled, self.rate_hz, nperseg=self.nperseg, noverlap=self.noverlap)[2]
        log = np.log(power + np.float32(self.eps), dtype=np.float32)
        if self.standardise:
            # In 64 bits: rounding would give a silent clip a deviation.
            mean, std = log.mean(dtype=np.float64), log.std(dtype=np.float64)
            log = (log - np.float32(mean)) / np.float32(std + STD_EPS)
        return log[np.newaxis]
