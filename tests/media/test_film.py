import cv2
import numpy as np
import pytest

from mmcalib.media import MediaError
from mmcalib.media.files import Files
from mmcalib.media.film import Folder, Video
from tests import footage


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 13):  # without leading zeros: 10 sorts before 2 as text
        cv2.imwrite(str(tmp_path / f'f{number}.png'), np.full((4, 6, 3), 10 * number, np.uint8))
    (tmp_path / 'Thumbs.db').write_text('')
    return tmp_path


def read(folder, count, generator=None, prefix=''):
    pictures = Files(folder).pictures(Folder(folder, prefix), count, generator)
    return [int(picture[0, 0, 0]) // 10 for picture in pictures]


def test_the_middle_of_each_part_of_a_folder_is_read(folder):
    assert read(folder, 3) == [3, 7, 11]  # halves of 0-4, 4-8, 8-12
    assert read(folder, 1) == [7]
    assert read(folder, 24)[:4] == [1, 1, 2, 2]


def test_a_draw_stays_within_its_part(folder):
    draws = [read(folder, 3, np.random.default_rng(k)) for k in range(40)]
    for part in range(3):
        assert {d[part] for d in draws} == set(range(4 * part + 1, 4 * part + 5))


def test_a_prefix_chooses_pictures(folder):
    cv2.imwrite(str(folder / 'g1.png'), np.full((4, 6, 3), 200, np.uint8))
    assert read(folder, 1, prefix='g') == [20]
    assert max(read(folder, 12, prefix='f')) == 12


def test_what_is_no_folder_of_pictures_says_so(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MediaError, match='holds no'):
        read(tmp_path / 'empty', 1)
    with pytest.raises(MediaError, match='No such file'):
        read(tmp_path / 'none', 1)
    cv2.imwrite(str(folder / 'f7.png'), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(MediaError, match='sizes differ'):
        read(folder, 3)
    (folder / 'f7.png').write_bytes(b'no picture')
    with pytest.raises(MediaError, match=r'f7\.png: asked for a picture'):
        read(folder, 1)
    assert read(folder, 2) == [4, 10]  # the others can be had


def test_a_video_shows_frames_of_its_grid_only(tmp_path):
    file = footage.write(tmp_path / 'a.mp4', seconds=2.0)  # frame i is shown from i / 25 s
    times = np.array([0.0, 0.3, 0.49, 0.5, 1.2, 1.99])
    every, grid = Video(file), Video(file, fps=2.0)
    assert footage.numbers(every.at(times)) == [0, 7, 12, 12, 30, 49]
    assert footage.numbers(grid.at(times)) == [0, 0, 0, 12, 25, 37]  # of 0, 0.5, 1, 1.5 s
    assert footage.numbers(Video(file, start_s=0.2, fps=2.0).at(times + 0.2)) == [
        5,
        5,
        5,
        17,
        30,
        42,
    ]


def test_the_whole_of_a_video_is_what_its_span_can_show(tmp_path):
    file = footage.write(tmp_path / 'a.mp4', seconds=2.0)
    whole = Video(file).whole()
    assert footage.numbers(whole.pictures) == list(range(50))
    np.testing.assert_allclose(whole.begins, np.arange(50) / 25, atol=1e-6)
    assert (whole.start, whole.end, whole.last) == pytest.approx((0.0, 2.0, 49 / 25))
    part = Video(file, start_s=0.5, end_s=1.0).whole()  # 0.5 s is within frame 12
    assert footage.numbers(part.pictures) == list(range(12, 26))
    grid = Video(file, end_s=9.0, fps=4.0).whole()
    assert footage.numbers(grid.pictures) == [0, 6, 12, 18, 25, 31, 37, 43]


def test_pictures_are_scaled_by_their_shorter_side(folder):
    small = Files(folder, side=2).pictures(Folder(folder), 2)
    assert small.shape == (2, 2, 3, 3)  # 4 x 6
    assert small[0, 0, 0, 0] == 40
    large = Files(folder, side=6).pictures(Folder(folder), 1)
    assert large.shape == (1, 6, 9, 3)
    with pytest.raises(ValueError, match='side=0'):
        Files(folder, side=0)


def test_a_truncated_wav_is_no_sound(tmp_path):
    file = footage.write(tmp_path / 'a.wav')
    assert len(Files(tmp_path).sound(file, 8000)) == 16_000
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(MediaError, match='truncated'):
        Files(tmp_path).sound(file, 8000)
