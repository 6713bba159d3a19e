import wave

import pytest

from mmcalib.media import MediaError
from mmcalib.media.riff import check_riff


@pytest.fixture
def sound(tmp_path):
    with wave.open(str(tmp_path / 'a.wav'), 'wb') as file:
        file.setparams((1, 2, 16_000, 0, 'NONE', ''))
        file.writeframes(b'\0\1' * 16_000)
    return tmp_path / 'a.wav'


def test_whole_files_and_small_slips_pass(sound):
    check_riff(sound)
    data = sound.read_bytes()
    sound.write_bytes(data[:-1000])
    check_riff(sound)
    sound.write_bytes(data[:4] + b'\xff\xff\xff\xff' + data[8:])
    check_riff(sound)
    sound.write_bytes(b'OggS' + data[4:90])
    check_riff(sound)


def test_a_truncated_file_says_by_how_much(sound):
    sound.write_bytes(sound.read_bytes()[:20_000])
    with pytest.raises(MediaError, match=r'a\.wav: .*truncated: 20000 bytes of 32044'):
        check_riff(sound)
    with pytest.raises(MediaError, match='No such file'):
        check_riff(sound.with_name('b.wav'))
