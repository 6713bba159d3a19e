"""Log spectrogram of a waveform, as the published AVE and CREMA-D protocols compute it."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft
from scipy.signal import get_window

from mmcalib.registry import TRANSFORMS

STD_EPS = 1e-9  # a silent clip has no deviation; it becomes zero
BLOCK = 64  # windows at a time: their arrays are small enough to be used again


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
        self.length = round(rate_hz * length_s)
        self.nperseg = nperseg
        self.hop = nperseg - noverlap
        self.eps = np.float32(eps)
        self.standardise = standardise
        taper = get_window(('tukey', 0.25), nperseg)  # scipy.signal.spectrogram's, for PMR uses it
        # With it, a squared spectrum is a density.
        self.taper = (taper / np.sqrt(rate_hz * np.square(taper).sum())).astype(np.float32)

    def __call__(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(samples,) float32 -> (1, frequencies, steps) float32."""
        wave = np.asarray(waveform if len(waveform) else [0.0], np.float32)[: self.length]
        starts = np.arange(0, self.length - self.nperseg + 1, self.hop)
        if len(wave) < self.length:  # no window begins elsewhere than in the first repetition
            starts %= len(wave)
            wave = np.resize(wave, len(wave) + self.nperseg - 1)
        windows = sliding_window_view(wave, self.nperseg)
        log = np.empty((len(starts), self.nperseg // 2 + 1), np.float32)
        for k in range(0, len(starts), BLOCK):
            log[k : k + BLOCK] = self._log_power(windows[starts[k : k + BLOCK]])
        if self.standardise:
            # In 64 bits: rounding would give a silent clip a deviation.
            log -= np.float32(log.mean(dtype=np.float64))
            squares = np.einsum('tf,tf->t', log, log).sum(dtype=np.float64)
            log /= np.float32(np.sqrt(squares / log.size) + STD_EPS)
        return log.T[np.newaxis]

    def _log_power(self, windows: np.ndarray) -> np.ndarray:
        """(steps, nperseg) -> (steps, frequencies); overwrites the windows."""
        windows -= windows.mean(axis=1, keepdims=True)
        windows *= self.taper
        spectrum = rfft(windows, axis=1, overwrite_x=True)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        # A real signal's other half; zero and, of an even window, the highest have none.
        power[:, 1 : (self.nperseg + 1) // 2] *= 2
        power += self.eps
        return np.log(power, out=power)
