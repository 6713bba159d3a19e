"""Mel filter bank of Kaldi, as the published Kinetics-Sounds protocols compute it."""

import numpy as np
import torch

from mmcalib.engine.audio_backend import torchaudio
from mmcalib.registry import TRANSFORMS

WINDOW_S = 0.025


@TRANSFORMS.register_module()
class Fbank:
    """Log energies of Kaldi's mel filters, padded or cut to a number of windows, and scaled.

    x -> (fbank(x) - mean) / (2 std), with Kaldi's defaults: Hann windows of 25 ms (`hanning`), no
    dither, pre-emphasis 0.97, from 20 Hz up, each window's own mean removed, so that the waveform's
    need not be. Windows that are added are 0 before
    scaling. The recipe is that of Gong et al., "AST: Audio Spectrogram Transformer", Interspeech
    2021, arXiv:2104.01778, here with the mean and deviation that OGM-GE's code has for
    Kinetics-Sounds. AST's own, of AudioSet, are mean=-4.2677393, std=4.5689974. The files that MLA
    has for CREMA-D are not scaled: mean=0, std=0.5.

    Args:
        rate_hz: samples per second of the waveform; another than the data set's is not noticed.
        bins: mel filters, the columns of the output.
        windows: rows of the output; None for as many as there are, at least one.
        shift_ms: from one window to the next: 10 s are 998 windows of 10 ms.
        mean: subtracted.
        std: half of what is divided by.
    """

    def __init__(
        self,
        rate_hz: int = 16_000,
        bins: int = 128,
        windows: int | None = 1024,
        shift_ms: float = 10.0,
        mean: float = -4.503877,
        std: float = 5.141276,
    ) -> None:
        if bins < 4 or (windows is not None and windows < 1):
            raise ValueError(f'Fbank(bins={bins}, windows={windows}); at least 4 and 1')
        if min(rate_hz * WINDOW_S, rate_hz * shift_ms / 1000) < 2 or std <= 0:
            raise ValueError(
                f'Fbank(rate_hz={rate_hz}, shift_ms={shift_ms}, std={std}); a window and a shift '
                'need two samples or more, and std must be positive'
            )
        torchaudio()  # an installation without it fails here
        self.rate_hz, self.bins, self.windows, self.shift_ms = rate_hz, bins, windows, shift_ms
        self.mean, self.std = mean, std

    def __call__(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(samples,) float32 -> (1, windows, bins) float32."""
        x = torch.from_numpy(np.asarray(waveform, np.float32))
        energies = torch.zeros(0, self.bins)
        if len(x) >= int(self.rate_hz * WINDOW_S):
            energies = torchaudio().compliance.kaldi.fbank(
                x.unsqueeze(0),
                num_mel_bins=self.bins,
                sample_frequency=self.rate_hz,
                frame_length=1000 * WINDOW_S,
                frame_shift=self.shift_ms,
                window_type='hanning',
                dither=0.0,
                htk_compat=True,
                use_energy=False,
            )
        windows = max(len(energies), 1) if self.windows is None else self.windows
        fixed = torch.zeros(windows, self.bins)
        fixed[: len(energies)] = energies[:windows]
        return ((fixed - self.mean) / (2 * self.std)).unsqueeze(0).numpy()
