import pickle

import numpy as np
import pytest

from mmcalib.media import MediaError
from mmcalib.media.spectrograms import read_spectrogram, usual_shape


@pytest.mark.parametrize('shape', [(16_000,), (1, 16_000), (1, 1, 16_000)])
@pytest.mark.parametrize('suffix', ['.pkl', '.npy'])
def test_a_waveform_is_refused_and_told_what_is_possible(tmp_path, shape, suffix):
    path = tmp_path / f'a{suffix}'
    sound = np.zeros(shape, np.float32)
    path.write_bytes(pickle.dumps(sound)) if suffix == '.pkl' else np.save(path, sound)
    match = (
        rf'a\{suffix}: .*16000,?\), a waveform .*possible is \(frequencies, steps\) or \(windows'
    )
    with pytest.raises(MediaError, match=match):
        read_spectrogram(path)
    with pytest.raises(
        MediaError, match=rf'no stored spectrogram can be read; the last: .*{match}'
    ):
        usual_shape([path])


def test_a_single_number_is_refused(tmp_path):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(np.float32(1) * np.ones(())))
    (tmp_path / 'b.pkl').write_bytes(pickle.dumps(np.ones((), np.float32)))
    for name in ('a.pkl', 'b.pkl'):
        with pytest.raises(MediaError, match=rf'{name}: asked for a spectrogram, but it '):
            read_spectrogram(tmp_path / name)


def test_leading_axes_of_one_do_no_harm(tmp_path):
    bank = np.arange(12, dtype=np.float32).reshape(1, 1, 4, 3)
    np.save(tmp_path / 'a.npy', bank)
    assert np.array_equal(read_spectrogram(tmp_path / 'a.npy'), bank[0])
