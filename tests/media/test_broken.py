"""Broken files: one error that names the file, what was asked and why, and nothing on stderr."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from footage import write
from scipy.io import wavfile

from mmcalib.media import MediaError
from mmcalib.media.audio import read_audio
from mmcalib.media.video import duration, read_frames

FAST = {'movflags': 'faststart'}  # the index first, so that the rest can be cut off


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def broken(folder: Path, what: str) -> Path:
    path = folder / f'{what}.mp4'
    if what == 'empty':
        path.touch()
    elif what == 'text':
        path.write_text('There is no video here.\n' * 100)
    elif what == 'no_moov':
        cut(write(path), 0.5)
    elif what == 'header_only':
        cut(write(path, options=FAST), 0.02)
    elif what == 'folder':
        path.mkdir()
    elif what == 'noise':
        path.write_bytes(np.random.default_rng(0).bytes(20_000))
    return path


KINDS = ['empty', 'text', 'no_moov', 'header_only', 'folder', 'noise', 'absent']


@pytest.mark.parametrize('what', KINDS)
def test_nothing_but_a_media_error_comes_out_of_a_broken_file(tmp_path, what):
    path = broken(tmp_path, what)
    for read in (
        lambda: read_frames(path, [0.5, 1.0]),
        lambda: read_audio(path, 16_000, 0.5, 1.0),
        lambda: duration(path),
    ):
        with pytest.raises(MediaError) as caught:
            read()
        text = str(caught.value)
        assert text.startswith(f'{path}: asked for ') and ', but' in text


@pytest.mark.parametrize(
    ('what', 'why'),
    [
        ('empty', 'empty'),
        ('text', 'Invalid data'),
        ('absent', 'No such file'),
        ('folder', 'irectory'),
    ],
)
def test_the_reason_is_said(tmp_path, what, why):
    with pytest.raises(MediaError, match=f'audio from 0.500 s to 1.000 s, but.*{why}'):
        read_audio(broken(tmp_path, what), 16_000, 0.5, 1.0)


def test_a_file_without_sound_has_pictures_only_and_the_other_way_round(tmp_path):
    silent = write(tmp_path / 'silent.mp4', audio=False)
    assert len(read_frames(silent, [0.5])) == 1
    with pytest.raises(
        MediaError, match=r"silent.mp4: asked for audio.*no audio, only \['video'\]"
    ):
        read_audio(silent, 16_000)
    blind = write(tmp_path / 'blind.mp4', video=False)
    assert len(read_audio(blind, 16_000, 0.0, 1.0)) == 16_000
    with pytest.raises(MediaError, match=r"blind.mp4: asked for .*no video, only \['audio'\]"):
        read_frames(blind, [0.5])


def test_a_stream_without_samples_is_an_error_not_silence(tmp_path):
    wavfile.write(tmp_path / 'none.wav', 16_000, np.zeros(0, np.int16))
    with pytest.raises(MediaError, match=r'none.wav: asked for audio from 0.000 s to its end'):
        read_audio(tmp_path / 'none.wav', 16_000)


def test_a_span_after_the_end_is_an_error_that_says_where_the_end_is(tmp_path):
    path = write(tmp_path / 'clip.wav', 1.0)
    with pytest.raises(MediaError, match=r'from 3.000 s to 4.000 s, but its sound ends at 1.000 s'):
        read_audio(path, 16_000, 3.0, 4.0)
    with pytest.raises(MediaError, match='that is no sample'):
        read_audio(path, 16_000, 0.5, 0.5)


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.avi', '.flv', '.mpg'])
def test_what_lies_before_a_cut_is_read_and_what_lies_after_is_an_error(tmp_path, suffix):
    whole = write(tmp_path / f'whole{suffix}', 4.0, options=FAST if suffix == '.mp4' else None)
    half = tmp_path / f'half{suffix}'
    half.write_bytes(whole.read_bytes())
    cut(half, 0.4 if suffix == '.mpg' else 0.6)  # MPEG writes pictures a second ahead
    np.testing.assert_array_equal(read_frames(half, [0.2, 0.9]), read_frames(whole, [0.2, 0.9]))
    np.testing.assert_array_equal(
        read_audio(half, 16_000, 0.2, 0.9), read_audio(whole, 16_000, 0.2, 0.9)
    )
    assert 15_000 < len(read_audio(half, 16_000)) < 56_000
    with pytest.raises(MediaError, match=r'asked for 1 frames from 3\.900 s'):
        read_frames(half, [3.9])
    with pytest.raises(MediaError, match=r'asked for audio from 3\.900 s'):
        read_audio(half, 16_000, 3.9, 4.0)


def test_a_cover_picture_is_no_video(tmp_path):
    import av

    path = tmp_path / 'song.mp3'
    with av.open(str(path), 'w') as container:
        sound = container.add_stream('libmp3lame', rate=44_100, layout='mono')
        cover = container.add_stream('mjpeg')
        cover.width = cover.height = 32
        cover.pix_fmt = 'yuvj420p'
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format='rgb24')
        packets = [*cover.encode(picture), *cover.encode(None)]
        for start in range(0, 44_100, 1152):
            block = np.zeros((1, 1152), np.float32)
            frame = av.AudioFrame.from_ndarray(block, format='fltp', layout='mono')
            frame.sample_rate, frame.pts = 44_100, start
            packets += sound.encode(frame)
        for packet in packets:
            container.mux(packet)
    with pytest.raises(MediaError, match='no video'):
        read_frames(path, [0.0])


def test_the_libraries_say_nothing_on_stderr(tmp_path):
    files = [str(broken(tmp_path, what)) for what in KINDS]
    half = cut(write(tmp_path / 'half.mp4', options=FAST), 0.6)
    files.append(str(half))
    code = """
import sys
from mmcalib.media import MediaError
from mmcalib.media.audio import read_audio
from mmcalib.media.video import _declared_once, _Declared, _opencv, read_frames
for path in sys.argv[1:]:
    for read in (lambda: read_frames(path, [0.5, 1.9]), lambda: read_audio(path, 16000)):
        try:
            read()
        except MediaError:
            pass
    list(_opencv(path, _Declared(0.0, 1.0, 0.04), None))
print('done')
"""
    done = subprocess.run(
        [sys.executable, '-c', code, *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 'done\n', '')
