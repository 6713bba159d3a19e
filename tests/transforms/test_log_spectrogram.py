"""The AVE audio input against windows and FFTs written out in numpy."""

import numpy as np
import pytest
from scipy.signal import spectrogram

from mmcalib.registry import TRANSFORMS
from mmcalib.transforms.log_spectrogram import LogSpectrogram

RNG = np.random.default_rng(0)


def power(samples: np.ndarray, rate_hz: int, window: int, hop: int) -> np.ndarray:
    """One-sided power density per window: tapered cosine window, mean removed."""
    n = np.arange(window)
    edge = 0.25 * window / 2  # a quarter of the window tapers, half of that on each side
    distance = np.minimum(n, window - n)  # periodic
    taper = np.where(distance < edge, 0.5 * (1 - np.cos(np.pi * distance / edge)), 1.0)
    columns = []
    for start in range(0, len(samples) - window + 1, hop):
        part = samples[start : start + window].astype(np.float64)
        spectrum = np.abs(np.fft.rfft((part - part.mean()) * taper)) ** 2
        spectrum /= rate_hz * (taper**2).sum()
        spectrum[1:-1] *= 2
        columns.append(spectrum)
    return np.stack(columns, axis=1)


def test_the_default_is_the_published_input_of_ave():
    wave = RNG.uniform(-1, 1, 160_000).astype(np.float32)
    given = LogSpectrogram()(wave, RNG)
    assert given.shape == (1, 257, 1004) and given.dtype == np.float32
    log = np.log(power(wave, 16_000, 512, 159) + 1e-7)
    np.testing.assert_allclose(given[0], (log - log.mean()) / log.std(), atol=2e-3)


def test_a_short_waveform_is_repeated_and_a_long_one_cut():
    transform = LogSpectrogram(rate_hz=1000, length_s=2.0, nperseg=100, noverlap=50)
    short = RNG.uniform(-1, 1, 300).astype(np.float32)
    repeated = np.concatenate([short] * 7)[:2000]
    np.testing.assert_array_equal(transform(short, RNG), transform(repeated, RNG))
    long = np.concatenate([repeated, repeated])
    np.testing.assert_array_equal(transform(long, RNG), transform(repeated, RNG))


@pytest.mark.parametrize('samples', [4800, 2, 511, 159_999, 160_000, 170_000])
def test_it_is_scipys_spectrogram_of_the_repeated_sound(samples):
    wave = RNG.uniform(-1, 1, samples).astype(np.float32)
    kept = wave.copy()
    given = LogSpectrogram()(wave, RNG)[0]
    repeated = np.resize(wave, max(samples, 160_000))[:160_000]
    density = spectrogram(repeated, 16_000, nperseg=512, noverlap=353)[2].astype(np.float64)
    log = np.log(density + 1e-7)
    np.testing.assert_allclose(given, (log - log.mean()) / log.std(), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(wave, kept, 'the sound is not to be overwritten')


@pytest.mark.parametrize(('nperseg', 'noverlap'), [(63, 20), (64, 0), (2, 1)])
def test_every_length_of_a_window_doubles_what_a_real_signal_mirrors(nperseg, noverlap):
    wave = RNG.uniform(-1, 1, 1000).astype(np.float32)
    transform = LogSpectrogram(1000, 1.0, nperseg, noverlap, eps=1e-3, standardise=False)
    power_of = spectrogram(wave.astype(np.float64), 1000, nperseg=nperseg, noverlap=noverlap)[2]
    np.testing.assert_allclose(transform(wave, RNG)[0], np.log(power_of + 1e-3), atol=1e-5)


def test_without_standardising_it_is_the_log_power():
    transform = LogSpectrogram(1000, 1.0, nperseg=64, noverlap=32, eps=1e-3, standardise=False)
    wave = RNG.uniform(-1, 1, 1000).astype(np.float32)
    expected = np.log(power(wave, 1000, 64, 32) + 1e-3)
    np.testing.assert_allclose(transform(wave, RNG)[0], expected, atol=1e-3)


@pytest.mark.parametrize('samples', [0, 1, 1000])
def test_silence_becomes_zeros_not_nan(samples):
    given = LogSpectrogram()(np.zeros(samples, np.float32), RNG)
    assert given.shape == (1, 257, 1004)
    assert np.isfinite(given).all() and np.abs(given).max() < 1e-3


@pytest.mark.parametrize('noverlap', [512, 600, -1])
def test_an_impossible_overlap_is_refused(noverlap):
    with pytest.raises(ValueError, match=rf'noverlap={noverlap}.*needs 0 <= noverlap < nperseg'):
        LogSpectrogram(noverlap=noverlap)


def test_a_config_builds_it_and_a_typo_is_answered():
    assert isinstance(TRANSFORMS.build({'type': 'LogSpectrogram'}), LogSpectrogram)
    with pytest.raises(TypeError, match=r"no argument 'rate'; did you mean 'rate_hz'"):
        TRANSFORMS.build({'type': 'LogSpectrogram', 'rate': 8000})
