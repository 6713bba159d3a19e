import cv2
import numpy as np
import pytest

from mmcalib.media import MediaError
from mmcalib.media.picture_folder import list_pictures, read_folder


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 13):  # without leading zeros: 10 sorts before 2 as text
        cv2.imwrite(str(tmp_path / f'f{number}.png'), np.full((4, 6, 3), 10 * number, np.uint8))
    (tmp_path / 'Thumbs.db').write_text('')
    return tmp_path


def numbers(pictures):
    return [int(picture[0, 0, 0]) // 10 for picture in pictures]


def test_pictures_come_in_the_order_of_their_numbers(folder):
    assert [p.stem for p in list_pictures(folder)] == [f'f{k}' for k in range(1, 13)]


def test_the_middle_of_each_part_is_read(folder):
    assert numbers(read_folder(folder, 3)) == [3, 7, 11]  # halves of 0-4, 4-8, 8-12
    assert numbers(read_folder(folder, 1)) == [7]
    assert numbers(read_folder(folder, 24))[:4] == [1, 1, 2, 2]


def test_a_draw_stays_within_its_part(folder):
    draws = [numbers(read_folder(folder, 3, np.random.default_rng(k))) for k in range(40)]
    for part in range(3):
        assert {d[part] for d in draws} == set(range(4 * part + 1, 4 * part + 5))


def test_what_is_no_folder_of_pictures_says_so(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MediaError, match='holds no'):
        read_folder(tmp_path / 'empty', 1)
    with pytest.raises(MediaError, match='No such file'):
        read_folder(tmp_path / 'none', 1)
    cv2.imwrite(str(folder / 'f7.png'), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(MediaError, match='sizes differ'):
        read_folder(folder, 3)
    (folder / 'f7.png').write_bytes(b'no picture')
    with pytest.raises(MediaError, match=r'f7\.png: asked for a picture'):
        read_folder(folder, 1)
