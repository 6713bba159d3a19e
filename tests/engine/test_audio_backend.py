"""torchaudio, with or without a native library that fits, computes what scipy computes."""

import os
import sys

import numpy as np
import pytest
import scipy.signal
import torch

from mmcalib.engine import audio_backend

RATE_HZ = 16000


@pytest.fixture(scope='module')
def audio():
    pytest.importorskip('scipy')
    if audio_backend.find_spec('torchaudio') is None:
        pytest.skip('torchaudio is not installed')
    return audio_backend.torchaudio()


@pytest.fixture
def sound():
    time = np.arange(RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 440 * time) + 0.5 * np.sin(2 * np.pi * 1800 * time)
    return torch.from_numpy(tone).float()[None]


def test_a_spectrogram_is_that_of_scipy(audio, sound):
    ours = audio.transforms.Spectrogram(n_fft=512, hop_length=256, center=False)(sound)[0]
    window = scipy.signal.get_window('hann', 512)
    _, _, theirs = scipy.signal.stft(
        sound[0].numpy(), window=window, nperseg=512, noverlap=256, boundary=None, padded=False
    )
    theirs = np.abs(theirs * window.sum()) ** 2
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-3, atol=1e-2)


def test_resampling_halves_the_rate_as_scipy_does(audio, sound):
    ours = audio.transforms.Resample(RATE_HZ, RATE_HZ // 2, lowpass_filter_width=64)(sound)[0]
    theirs = scipy.signal.resample(sound[0].numpy(), RATE_HZ // 2)
    middle = slice(400, -400)  # the two treat the ends differently
    np.testing.assert_allclose(ours[middle].numpy(), theirs[middle], atol=2e-3)


def htk_mel(hz):
    return 2595 * np.log10(1 + hz / 700)


@pytest.mark.parametrize('hz', [440, 1800])
def test_mel_and_kaldi_put_a_tone_where_it_is(audio, hz):
    tone = torch.from_numpy(np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ)).float()[None]
    mel = audio.transforms.MelSpectrogram(RATE_HZ, n_fft=1024, n_mels=40)(tone)[0].mean(1)
    fbank = audio.compliance.kaldi.fbank(tone, num_mel_bins=40).mean(0)
    # 40 triangles over 42 edges, evenly spaced in mel; the peak of number n lies on edge n + 1.
    for energy, lowest_hz in ((mel, 0), (fbank, 20)):
        low, high = htk_mel(lowest_hz), htk_mel(RATE_HZ / 2)
        place = (htk_mel(hz) - low) / (high - low) * 41 - 1
        assert abs(int(energy.argmax()) - place) < 1


def test_a_filter_runs_without_the_library(audio, sound):
    ours = audio.functional.lfilter(
        sound, torch.tensor([1.0, -0.9]), torch.tensor([0.1, 0.2]), clamp=False
    )
    theirs = scipy.signal.lfilter([0.1, 0.2], [1.0, -0.9], sound[0].numpy())
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=1e-3, atol=1e-4)


def test_nothing_is_left_behind(audio):
    assert [name for name, module in sys.modules.items() if module is None] == []
    assert sys.modules['torchaudio'] is audio
    assert sys.modules['torchaudio._extension.utils']._LIB_DIR.name == 'lib'
    environment = dict(os.environ)
    assert audio_backend.torchaudio() is audio
    assert dict(os.environ) == environment


def test_it_says_so_once(monkeypatch):
    if audio_backend.find_spec('torchaudio') is None:
        pytest.skip('torchaudio is not installed')
    said = []
    monkeypatch.setattr(audio_backend, 'print_log', lambda text, **options: said.append(text))
    kept = {n: m for n, m in sys.modules.items() if n.split('.')[0] == 'torchaudio'}
    plain = audio_backend.import_module

    def refuse(name):
        if name == 'torchaudio':
            raise RuntimeError('compiled with different CUDA versions')
        return plain(name)

    monkeypatch.setattr(audio_backend, 'import_module', refuse)
    audio_backend.torchaudio.cache_clear()
    try:
        first = audio_backend.torchaudio()
        assert audio_backend.torchaudio() is first
        assert len(said) == 1 and 'different CUDA versions' in said[0]
        assert first.functional.amplitude_to_DB is not None
    finally:
        audio_backend._forget()
        sys.modules.update(kept)
        audio_backend.torchaudio.cache_clear()


def test_an_absent_torchaudio_names_the_command(monkeypatch):
    monkeypatch.setattr(audio_backend, 'find_spec', lambda name: None)
    audio_backend.torchaudio.cache_clear()
    with pytest.raises(ImportError, match='pip install torchaudio'):
        audio_backend.torchaudio()
