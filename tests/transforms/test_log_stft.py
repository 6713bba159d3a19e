"""The input of OGM-GE against windows and FFTs written out in numpy, and against torchaudio."""

import numpy as np
import pytest
import torch

from mmcalib.engine.audio_backend import torchaudio
from mmcalib.registry import TRANSFORMS
from mmcalib.transforms.log_stft import LogSTFT

RNG = np.random.default_rng(0)


def magnitude(samples: np.ndarray, n_fft: int, hop: int, pad: str) -> np.ndarray:
    """|STFT|, window by window in 64 bits."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)  # Hann, periodic
    padded = np.pad(samples.astype(np.float64), n_fft // 2, pad)
    starts = range(0, len(samples) + 1, hop)
    return np.stack([np.abs(np.fft.rfft(padded[s : s + n_fft] * window)) for s in starts], axis=1)


@pytest.mark.parametrize(
    ('arguments', 'samples', 'shape'),
    [
        ({}, 66_150, (1, 257, 188)),
        ({'pad': 'constant'}, 66_150, (1, 257, 188)),
        ({'n_fft': 256, 'hop': 128}, 80_000, (1, 129, 626)),
    ],
)
def test_the_published_inputs_have_their_shape_and_the_values_of_numpy(arguments, samples, shape):
    wave = RNG.uniform(-1, 1, samples).astype(np.float32)
    given = LogSTFT(**arguments)(wave, RNG)
    assert given.shape == shape and given.dtype == np.float32
    taken = {'n_fft': 512, 'hop': 353, 'pad': 'reflect'} | arguments
    expected = magnitude(wave, **taken)
    np.testing.assert_allclose(np.exp(given[0]), expected + 1e-7, rtol=1e-4, atol=1e-4)


def test_it_is_the_magnitude_of_torchaudio():
    wave = RNG.uniform(-1, 1, 5000).astype(np.float32)
    theirs = torchaudio().transforms.Spectrogram(512, hop_length=353, power=1.0)
    expected = torch.log(theirs(torch.from_numpy(wave)) + 1e-7)
    np.testing.assert_allclose(LogSTFT()(wave, RNG)[0], expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_sine_stands_in_its_row_with_half_the_sum_of_the_window():
    wave = np.sin(2 * np.pi * 10 / 512 * np.arange(8192)).astype(np.float32)
    given = LogSTFT(512, 256)(wave, RNG)[0, :, 4:-4]
    assert (given.argmax(axis=0) == 10).all()
    np.testing.assert_allclose(given[10], np.log(0.5 * 256), atol=1e-4)


@pytest.mark.parametrize('samples', [0, 1, 2, 100, 400])
def test_silence_is_the_logarithm_of_eps_however_short(samples):
    given = LogSTFT()(np.zeros(samples, np.float32), RNG)
    assert given.shape == (1, 257, samples // 353 + 1)
    np.testing.assert_allclose(given, np.log(1e-7), rtol=1e-6)


def test_what_is_impossible_is_refused():
    with pytest.raises(ValueError, match=r'n_fft=511.*needs an even n_fft'):
        LogSTFT(511)
    with pytest.raises(ValueError, match=r'hop=0'):
        LogSTFT(hop=0)
    with pytest.raises(ValueError, match=r"pad='edge'.*'reflect', 'constant'"):
        LogSTFT(pad='edge')
    with pytest.raises(TypeError, match=r"no argument 'hop_length'"):
        TRANSFORMS.build({'type': 'LogSTFT', 'hop_length': 353})
