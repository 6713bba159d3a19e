"""Sound against scipy's wav reader, a sine in closed form, and PyAV's decoding of whole files."""

from pathlib import Path

import av
import numpy as np
import pytest
from footage import CONTAINERS, QUIET_S, tone, write
from scipy.io import wavfile
from scipy.signal import resample_poly

from mmcalib import media
from mmcalib.media import audio
from mmcalib.media.audio import read_audio

SHARED = Path(__file__).parents[3] / 'shared' / 'data' / 'av_samples' / 'clips'
# Both files say how many samples the encoder put in front, so that decoders can drop them.
ALIGNED = ('.mp4', '.mkv', '.wav', '.ogg')
LOUDEST = {'int16': 2.0**15, 'int32': 2.0**31, 'uint8': 2.0**7, 'float32': 1.0}


def decoded(path: Path) -> tuple[float, np.ndarray, int]:
    """Seconds of the first sample from the container's start, all samples, their rate."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        begin_s = frames[0].time - (container.start_time or 0) / av.time_base
    blocks = [frame.to_ndarray() for frame in frames]
    scale = 1.0 if blocks[0].dtype.kind == 'f' else 2.0**15
    return begin_s, np.concatenate(blocks, axis=1)[0] / scale, frames[0].sample_rate


@pytest.mark.parametrize('dtype', LOUDEST)
@pytest.mark.parametrize('channels', [1, 2, 6])
def test_wav_files_read_as_scipy_reads_them(tmp_path, dtype, channels):
    rng = np.random.default_rng(0)
    if dtype == 'float32':
        samples = rng.uniform(-1, 1, (8000, channels)).astype(dtype)
    else:
        info = np.iinfo(dtype)
        samples = rng.integers(info.min, info.max, (8000, channels), dtype, endpoint=True)
    wavfile.write(tmp_path / 'sound.wav', 8000, samples)
    rate, read = wavfile.read(tmp_path / 'sound.wav')
    centre = 128.0 if dtype == 'uint8' else 0.0
    expected = ((read.reshape(8000, channels) - centre) / LOUDEST[dtype]).mean(axis=1)
    whole = read_audio(tmp_path / 'sound.wav', rate)
    assert whole.dtype == np.float32 and whole.shape == (8000,)
    np.testing.assert_allclose(whole, expected, atol=2e-7)
    part = read_audio(tmp_path / 'sound.wav', rate, 0.125, 0.375)
    np.testing.assert_allclose(part, expected[1000:3000], atol=2e-7)


@pytest.mark.parametrize('suffix', CONTAINERS)
def test_every_container_gives_the_samples_that_pyav_decodes(tmp_path, suffix):
    path = write(tmp_path / f'clip{suffix}')
    begin_s, samples, rate = decoded(path)
    first = round(begin_s * rate)
    given = read_audio(path, rate, 0.5, 1.5)
    np.testing.assert_allclose(given, samples[rate // 2 - first :][:rate].clip(-1, 1), atol=1e-6)


@pytest.mark.parametrize('suffix', ALIGNED)
def test_sound_lies_where_it_was_recorded(tmp_path, suffix):
    path = write(tmp_path / f'clip{suffix}')
    given = read_audio(path, 16_000, 0.4, 1.6)
    assert len(given) == 19_200
    np.testing.assert_allclose(given, tone(0.4, 19_200, 16_000), atol=0.03)
    onset = np.flatnonzero(np.abs(read_audio(path, 48_000)) > 0.2)[0] / 48_000
    assert onset == pytest.approx(QUIET_S, abs=1e-3)


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_sound_that_starts_late_is_silent_before(tmp_path, suffix):
    path = write(tmp_path / f'clip{suffix}', audio_from_s=0.5)
    given = read_audio(path, 16_000, 0.25, 2.0)
    assert len(given) == 28_000
    assert (given[:3500] == 0).all()
    # MP4 rounds the begin of a stream to 1 ms.
    assert np.flatnonzero(np.abs(given) > 0.2)[0] / 16_000 == pytest.approx(0.5, abs=1.5e-3)


@pytest.mark.parametrize('rate_hz', [8000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize('span', [(0.0, None), (0.5, 1.25), (1.1, 9.0)])
def test_other_rates_are_resampled_without_a_shift(tmp_path, rate_hz, span):
    samples = (30_000 * np.sin(2 * np.pi * 440 * np.arange(88_200) / 44_100)).astype(np.int16)
    wavfile.write(tmp_path / 'sine.wav', 44_100, samples)
    given = read_audio(tmp_path / 'sine.wav', rate_hz, *span)
    length = min(2.0, span[1] or 2.0) - span[0]
    assert len(given) == round(length * rate_hz)
    times = span[0] + np.arange(len(given)) / rate_hz
    expected = 30_000 / 32_768 * np.sin(2 * np.pi * 440 * times)
    inner = slice(100, -100)  # the filter sees silence beyond the ends of the file
    np.testing.assert_allclose(given[inner], expected[inner], atol=2e-3)
    if span[0]:
        np.testing.assert_allclose(given[:100], expected[:100], atol=2e-3)


@pytest.mark.skipif(not SHARED.exists(), reason='no shared sample files on this machine')
def test_a_real_recording_is_resampled_as_scipy_does():
    path = SHARED / 'mmaction2__test.wav'
    rate, samples = wavfile.read(path)
    expected = resample_poly(samples.mean(axis=1) / 2.0**15, 1, 2)
    given = read_audio(path, rate // 2)
    error = given[100:-100] - expected[100 : len(given) - 100]
    assert np.sqrt((error**2).mean()) < 0.02 * expected.std()


def test_high_frequencies_do_not_fold_back(tmp_path):
    sine = (30_000 * np.sin(2 * np.pi * 12_000 * np.arange(44_100) / 44_100)).astype(np.int16)
    wavfile.write(tmp_path / 'high.wav', 44_100, sine)
    assert np.abs(read_audio(tmp_path / 'high.wav', 16_000)[200:-200]).max() < 0.01


def test_spans_of_one_file_fit_together(tmp_path):
    path = write(tmp_path / 'clip.mp4')
    whole = read_audio(path, 16_000, 0.0, 2.0)
    parts = [read_audio(path, 16_000, k / 4, (k + 1) / 4) for k in range(8)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)


def test_a_span_beyond_the_end_is_cut_to_what_exists(tmp_path):
    wavfile.write(tmp_path / 'second.wav', 8000, np.full(8000, 1000, np.int16))
    assert len(read_audio(tmp_path / 'second.wav', 8000, 0.75, 4.0)) == 2000
    assert len(read_audio(tmp_path / 'second.wav', 16_000, 0.75)) == 4000


@pytest.mark.parametrize('suffix', CONTAINERS)
def test_a_seek_gives_the_same_samples(tmp_path, suffix, monkeypatch):
    path = write(tmp_path / f'clip{suffix}', 4.0)
    whole = read_audio(path, 16_000, 3.0, 3.5)
    monkeypatch.setattr(audio, 'SEEK_S', 1.0)
    sought = read_audio(path, 16_000, 3.0, 3.5)
    assert len(sought) == len(whole)
    # Matroska and Flash round time stamps to 1 ms, 16 samples.
    shifts = range(-16, 17) if suffix in ('.mkv', '.flv') else [0]
    error = [np.abs(np.roll(sought, k) - whole)[16:-16].max() for k in shifts]
    assert min(error) < 0.05


def test_a_seek_skips_the_sound_before(tmp_path, monkeypatch):
    path = write(tmp_path / 'clip.mp4', 8.0, video=False)
    decoded_at = []
    block = audio._Block
    monkeypatch.setattr(
        audio, '_Block', lambda *given: decoded_at.append(given[1]) or block(*given)
    )
    monkeypatch.setattr(audio, 'SEEK_S', 1.0)
    read_audio(path, 48_000, 6.0, 6.5)
    assert min(decoded_at) > 5 * 48_000 and max(decoded_at) < 7 * 48_000


def test_packets_that_cannot_be_decoded_are_gaps_and_the_rest_stays_in_place(monkeypatch, tmp_path):
    path = write(tmp_path / 'clip.mp4', video=False)
    decode = media.Media.frames

    def lossy(self):
        for number, frame in enumerate(decode(self)):
            if not 40 <= number < 50:
                yield frame

    monkeypatch.setattr(media.Media, 'frames', lossy)
    given = read_audio(path, 48_000, 0.5, 1.9)
    expected = tone(0.5, len(given), 48_000)
    silent = np.flatnonzero(np.convolve(np.abs(given), np.ones(200), 'same') == 0)
    assert 8_000 < len(silent) < 10_240, 'ten blocks of 1024 samples'
    after = silent[-1] + 300
    np.testing.assert_allclose(given[after:], expected[after:], atol=0.03)


def test_loud_sound_stays_within_one(tmp_path):
    square = np.sign(np.sin(2 * np.pi * 100 * np.arange(44_100) / 44_100)).astype(np.float32)
    wavfile.write(tmp_path / 'square.wav', 44_100, square)
    assert np.abs(read_audio(tmp_path / 'square.wav', 16_000)).max() == 1.0


def test_a_negative_start_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'start_s=-0\.5'):
        read_audio(tmp_path / 'any.wav', 16_000, -0.5, 1.0)


@pytest.mark.parametrize('lands_at_s', [3.5, 99.0])
def test_a_seek_that_lands_too_late_is_made_up_for(tmp_path, monkeypatch, lands_at_s):
    path = write(tmp_path / 'clip.mp4', 4.0, video=False)
    expected = read_audio(path, 16_000, 3.0, 3.8)
    seek = media.Media.seek
    monkeypatch.setattr(media.Media, 'seek', lambda self, to_s: seek(self, lands_at_s))
    monkeypatch.setattr(audio, 'SEEK_S', 1.0)
    np.testing.assert_array_equal(read_audio(path, 16_000, 3.0, 3.8), expected)
