"""Log magnitude of a short-time Fourier transform, as the OGM-GE protocols compute it."""

import numpy as np
import torch

from mmcalib.registry import TRANSFORMS

PADS = ('reflect', 'constant')


@TRANSFORMS.register_module()
class LogSTFT:
    """log(|STFT| + eps) of a waveform: Hann windows, centred on multiples of the hop.

    The audio input of Peng et al., "Balanced Multimodal Learning via On-the-fly Gradient
    Modulation", CVPR 2022, arXiv:2203.15332. The defaults are those of CREMA-D: 3 s at 22 050 Hz
    become 257 x 188; with n_fft=256, hop=128, 5 s at 16 000 Hz become 129 x 626 (VGGSound). It is
    not standardised. `FixLength` comes first. Unlike `LogSpectrogram` it is no density: the window
    is not divided out, and the mean of a window stays.

    Args:
        n_fft: samples per window, the output has `n_fft // 2 + 1` rows.
        hop: samples from one window to the next; there are `samples // hop + 1` columns.
        eps: added to the magnitude before the logarithm.
        pad: what lies beyond the two ends. 'reflect' mirrors the waveform, as librosa did before
            0.9 (2022) and torch does; 'constant' is zero, as in librosa since.
    """

    def __init__(
        self, n_fft: int = 512, hop: int = 353, eps: float = 1e-7, pad: str = 'reflect'
    ) -> None:
        if n_fft < 2 or n_fft % 2 or hop < 1 or eps <= 0:
            raise ValueError(
                f'LogSTFT(n_fft={n_fft}, hop={hop}, eps={eps}); needs an even n_fft, '
                'hop >= 1 and eps > 0'
            )
        if pad not in PADS:
            raise ValueError(f'LogSTFT(pad={pad!r}); possible are {PADS}')
        self.n_fft, self.hop, self.eps, self.pad = n_fft, hop, eps, pad
        self.window = torch.hann_window(n_fft)

    def __call__(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(samples,) float32 -> (1, n_fft // 2 + 1, samples // hop + 1) float32."""
        x = np.asarray(waveform, np.float32)
        pad = self.pad if len(x) else 'constant'  # there is nothing to mirror
        padded = torch.from_numpy(np.pad(x, self.n_fft // 2, pad))  # type: ignore[call-overload]
        spectrum = torch.stft(
            padded, self.n_fft, self.hop, window=self.window, center=False, return_complex=True
        )
        return torch.log(spectrum.abs() + self.eps).unsqueeze(0).numpy()
