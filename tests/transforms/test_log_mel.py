"""Log-mel spectrograms against torchaudio's."""

import numpy as np
import pytest
import torch

from mmcalib.engine.audio_backend import torchaudio
from mmcalib.transforms.log_mel import LogMel

RNG = np.random.default_rng(0)


def theirs(wave, rate_hz, n_fft, window, hop, mels, f_min_hz, f_max_hz, power):
    """torchaudio's MelSpectrogram."""
    transform = torchaudio().transforms.MelSpectrogram(
        rate_hz, n_fft, window, hop, f_min_hz, f_max_hz, n_mels=mels, power=power
    )
    return transform(torch.from_numpy(wave)).numpy()


@pytest.mark.parametrize(
    'arguments',
    [
        (16_000, 512, 400, 160, 64, 0.0, None, 2.0),
        (22_050, 1024, 1024, 512, 80, 20.0, 8000.0, 1.0),
        (8000, 256, 199, 77, 20, 300.0, 4000.0, 1.5),
    ],
)
@pytest.mark.parametrize('samples', [600, 16_000])
def test_it_is_the_logarithm_of_torchaudios_mel_spectrogram(arguments, samples):
    wave = RNG.uniform(-1, 1, samples).astype(np.float32)
    expected = theirs(wave, *arguments)
    given = LogMel(*arguments, eps=1e-3)(wave, RNG)
    assert given.shape == (1, *expected.shape) and given.dtype == np.float32
    np.testing.assert_allclose(given[0], np.log(expected + 1e-3), atol=1e-4)


def test_the_default_has_64_rows_and_a_column_every_10_ms():
    assert LogMel()(np.zeros(160_000, np.float32), RNG).shape == (1, 64, 1001)


@pytest.mark.parametrize('samples', [0, 1, 2, 159, 160])
def test_silence_is_the_logarithm_of_eps_however_short(samples):
    given = LogMel()(np.zeros(samples, np.float32), RNG)
    assert given.shape == (1, 64, samples // 160 + 1)
    np.testing.assert_allclose(given, np.log(1e-6), rtol=1e-6)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'window': 600}, r'window=600.*1 < window <= n_fft'),
        ({'n_fft': 511}, r'an even n_fft'),
        ({'eps': 0}, r'eps=0'),
        ({'mels': 0}, r'mels=0'),
        ({'f_max_hz': 9000}, r'f_max_hz=9000\) at 16000 Hz; .* <= 8000\.0'),
        ({'mels': 128, 'n_fft': 400}, r'\d+ filters lie between two frequencies'),
    ],
)
def test_what_is_impossible_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        LogMel(**wrong)
