"""Kaldi's filter bank, written out in numpy, and as torchaudio has it."""

import numpy as np
import pytest
import torch

from mmcalib.engine.audio_backend import torchaudio
from mmcalib.transforms.fbank import Fbank

RNG = np.random.default_rng(0)
MEAN, STD = -4.503877, 5.141276


def kaldi(wave: np.ndarray, rate_hz: int, bins: int, shift_ms: float = 10) -> np.ndarray:
    """(windows, bins): 25 ms, mean removed, pre-emphasis, Hann, FFT of 2^n, triangles in mel."""
    wave = wave.astype(np.float64) - wave.mean(dtype=np.float64)
    size, shift = int(rate_hz * 0.025), int(rate_hz * shift_ms / 1000)
    n_fft = 2 ** int(np.ceil(np.log2(size)))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))

    def mel(hz):
        return 1127 * np.log(1 + np.asarray(hz) / 700)

    edges = np.linspace(mel(20), mel(rate_hz / 2), bins + 2)
    at = mel(np.arange(n_fft // 2) * rate_hz / n_fft)[:, None]
    rise = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall))  # (frequencies, bins)
    rows = []
    for start in range(0, len(wave) - size + 1, shift):
        part = wave[start : start + size]
        part = part - part.mean()
        part = part - 0.97 * np.concatenate([part[:1], part[:-1]])
        power = np.abs(np.fft.rfft(part * hann, n_fft)[:-1]) ** 2
        rows.append(np.log(np.maximum(power @ filters, np.finfo(np.float32).eps)))
    return np.stack(rows)


def test_the_default_is_the_published_input_of_kinetics_sounds():
    wave = RNG.uniform(-0.5, 0.7, 160_000).astype(np.float32)
    given = Fbank()(wave, RNG)
    assert given.shape == (1, 1024, 128) and given.dtype == np.float32
    expected = np.zeros((1024, 128))
    expected[:998] = kaldi(wave, 16_000, 128)
    np.testing.assert_allclose(given[0], (expected - MEAN) / (2 * STD), atol=2e-3)


def test_it_is_torchaudio_with_the_settings_of_the_protocol():
    wave = RNG.uniform(-1, 1, 8000).astype(np.float32)
    centred = torch.from_numpy(wave - wave.mean())[None]
    theirs = torchaudio().compliance.kaldi.fbank(
        centred,
        htk_compat=True,
        sample_frequency=16_000,
        use_energy=False,
        window_type='hanning',
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    given = Fbank(windows=None, mean=0, std=0.5)(wave, RNG)[0]
    np.testing.assert_allclose(given, theirs.numpy(), atol=1e-3)


def test_other_rates_bins_and_shifts_are_numpys_too():
    wave = RNG.uniform(-1, 1, 22_050).astype(np.float32)
    given = Fbank(22_050, bins=40, windows=None, shift_ms=20.0, mean=0, std=0.5)(wave, RNG)
    np.testing.assert_allclose(given[0], kaldi(wave, 22_050, 40, 20), atol=2e-3)


def test_a_long_waveform_is_cut():
    wave = RNG.uniform(-1, 1, 16_000).astype(np.float32)
    whole = Fbank(windows=None)(wave, RNG)
    np.testing.assert_array_equal(Fbank(windows=50)(wave, RNG), whole[:, :50])


def test_windows_that_are_added_are_zero_before_scaling():
    given = Fbank()(RNG.uniform(-1, 1, 16_000).astype(np.float32), RNG)
    np.testing.assert_allclose(given[0, 98:], -MEAN / (2 * STD), rtol=1e-6)


@pytest.mark.parametrize('samples', [0, 1, 399])
def test_less_than_a_window_is_padding_only(samples):
    given = Fbank()(np.ones(samples, np.float32), RNG)
    assert given.shape == (1, 1024, 128)
    np.testing.assert_allclose(given, -MEAN / (2 * STD), rtol=1e-6)
    assert Fbank(windows=None)(np.ones(samples, np.float32), RNG).shape == (1, 1, 128)


def test_silence_is_the_smallest_energy():
    given = Fbank(windows=10)(np.full(16_000, 0.25, np.float32), RNG)
    expected = (np.log(np.finfo(np.float32).eps) - MEAN) / (2 * STD)
    np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_what_is_impossible_is_refused():
    with pytest.raises(ValueError, match=r'bins=2, windows=1024\); at least 4 and 1'):
        Fbank(bins=2)
    with pytest.raises(ValueError, match=r'windows=0'):
        Fbank(windows=0)
    with pytest.raises(ValueError, match=r'std=0.*must be positive'):
        Fbank(std=0)
    with pytest.raises(ValueError, match=r'rate_hz=16'):
        Fbank(rate_hz=16)
