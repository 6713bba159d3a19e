"""Log-mel spectrogram of a waveform."""

import numpy as np
import torch

from mmcalib.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LogMel:
    """log(mel(|STFT|^power) + eps): torchaudio's `MelSpectrogram`, and its logarithm.

    Windows are Hann's and centred on multiples of the hop; the waveform is mirrored at its ends.
    Mel filters are triangles of height 1, equally far apart on HTK's scale.

    Args:
        rate_hz: samples per second of the waveform; another than the data set's is not noticed.
        n_fft: samples per Fourier transform; more give narrow filters their frequencies.
        window: samples that are not zeroed by the window, at most `n_fft`; 400 are 25 ms.
        hop: from one window to the next; there are `samples // hop + 1` columns.
        mels: filters, the rows of the output.
        f_min_hz: where the first filter begins.
        f_max_hz: where the last one ends; None for half the rate.
        power: 2 filters the power, 1 the magnitude.
        eps: added before the logarithm.
    """

    def __init__(
        self,
        rate_hz: int = 16_000,
        n_fft: int = 512,
        window: int = 400,
        hop: int = 160,
        mels: int = 64,
        f_min_hz: float = 0.0,
        f_max_hz: float | None = None,
        power: float = 2.0,
        eps: float = 1e-6,
    ) -> None:
        top_hz = rate_hz / 2 if f_max_hz is None else f_max_hz
        if not (1 < window <= n_fft and n_fft % 2 == 0 and hop > 0 and power > 0 and eps > 0):
            raise ValueError(
                f'LogMel(n_fft={n_fft}, window={window}, hop={hop}, power={power}, eps={eps}); '
                'needs an even n_fft, 1 < window <= n_fft, and the others positive'
            )
        if not (mels > 0 and 0 <= f_min_hz < top_hz <= rate_hz / 2):
            raise ValueError(
                f'LogMel(mels={mels}, f_min_hz={f_min_hz}, f_max_hz={f_max_hz}) at {rate_hz} Hz; '
                f'needs mels > 0 and 0 <= f_min_hz < f_max_hz <= {rate_hz / 2}'
            )
        self.n_fft, self.window, self.hop = n_fft, window, hop
        self.power, self.eps = power, eps
        self.hann = torch.hann_window(window)
        self.filters = _filters(n_fft // 2 + 1, f_min_hz, top_hz, mels, rate_hz)
        if empty := int((self.filters.amax(dim=1) == 0).sum()):
            raise ValueError(
                f'LogMel(n_fft={n_fft}, mels={mels}): {empty} filters lie between two frequencies '
                'and would be silent; needs a larger n_fft or fewer mels'
            )

    def __call__(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(samples,) float32 -> (1, mels, samples // hop + 1) float32."""
        x = np.asarray(waveform, np.float32)
        pad = 'reflect' if len(x) else 'constant'  # there is nothing to mirror
        padded = torch.from_numpy(np.pad(x, self.n_fft // 2, pad))  # type: ignore[call-overload]
        spectrum = torch.stft(
            padded,
            self.n_fft,
            self.hop,
            self.window,
            self.hann,
            center=False,
            return_complex=True,
        )
        mel = self.filters @ spectrum.abs() ** self.power
        return torch.log(mel + self.eps).unsqueeze(0).numpy()


def _filters(
    frequencies: int, f_min_hz: float, f_max_hz: float, mels: int, rate_hz: int
) -> torch.Tensor:
    """(mels, frequencies): triangles between equidistant points of HTK's mel scale."""
    low, high = 2595 * np.log10(1 + np.array([f_min_hz, f_max_hz]) / 700)
    corners = 700 * (10 ** (np.linspace(low, high, mels + 2) / 2595) - 1)[:, np.newaxis]
    at = np.linspace(0, rate_hz / 2, frequencies)
    rise = (at - corners[:-2]) / np.diff(corners, axis=0)[:-1]
    fall = (corners[2:] - at) / np.diff(corners, axis=0)[1:]
    return torch.from_numpy(np.minimum(rise, fall).clip(min=0).astype(np.float32))
