"""Feature files against the arrays that were written."""

import os

import cv2
import numpy as np
import pytest
import torch

from mmcalib.media import MediaError
from mmcalib.media.features import as_tokens, clean, read_features
from mmcalib.media.image import read_image

X = np.arange(6.0).reshape(2, 3)


class Evil:
    def __reduce__(self):
        return os.mkdir, ('ran',)


def test_every_kind_of_file_gives_the_numbers_that_were_written(tmp_path):
    np.save(tmp_path / 'a.npy', X.astype(np.int16))
    np.savez(tmp_path / 'one.npz', X)
    np.savez(tmp_path / 'two.npz', x=X, y=-X)
    torch.save(torch.tensor(X).bfloat16(), tmp_path / 'a.pt')
    torch.save({'x': torch.tensor(X), 'y': torch.zeros(1)}, tmp_path / 'd.pth')
    for name, key in [
        ('a.npy', None),
        ('one.npz', None),
        ('two.npz', 'x'),
        ('a.pt', None),
        ('d.pth', 'x'),
    ]:
        got = read_features(tmp_path / name, key)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, X)
    np.save(tmp_path / 'vector.npy', X[1])
    np.testing.assert_array_equal(read_features(tmp_path / 'vector.npy'), X[1:])


@pytest.mark.parametrize(
    'values', [[3, 4.5], '3 4.5', '[3, 4.5]', '3,4.5', np.array([3, 4.5]), [[3, 4.5]]]
)
def test_numbers_of_a_cell_are_one_token(values):
    np.testing.assert_array_equal(as_tokens(values, 'here'), [[3, 4.5]])


@pytest.mark.parametrize('values', ['3 four', ['a'], [[1], [1, 2]], '', [], {'a': 1}, 'nan x'])
def test_what_is_no_number_is_named(values):
    with pytest.raises(MediaError, match=r'^here: '):
        as_tokens(values, 'here')


def test_broken_files_say_what_they_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / 'two.npz', x=X, y=-X)
    np.save(tmp_path / 'objects.npy', np.array([Evil()], dtype=object))
    np.save(tmp_path / 'text.npy', np.array(['a']))
    np.save(tmp_path / 'nothing.npy', np.zeros((0, 4)))
    np.save(tmp_path / 'cut.npy', X)
    (tmp_path / 'cut.npy').write_bytes((tmp_path / 'cut.npy').read_bytes()[:-4])
    torch.save(Evil(), tmp_path / 'evil.pt')
    (tmp_path / 'text.pt').write_text('no tensor')
    (tmp_path / 'empty.npy').touch()
    asked = {
        'two.npz': r"key=None, but it holds \['x', 'y'\]",
        'objects.npy': 'allow_pickle=False',
        'text.npy': 'is not numbers',
        'nothing.npy': r'the shape is \(0, 4\)',
        'cut.npy': 'asked for features, but',
        'evil.pt': 'asked for features, but',
        'text.pt': 'asked for features, but',
        'empty.npy': 'asked for features, but',
        'absent.npy': 'No such file',
    }
    for name, why in asked.items():
        with pytest.raises(MediaError, match=rf'{name}.*{why}') as caught:
            read_features(tmp_path / name)
        assert '\n' not in str(caught.value)
    with pytest.raises(MediaError, match=r"key='z', but it holds \['x', 'y'\]"):
        read_features(tmp_path / 'two.npz', 'z')
    assert not (tmp_path / 'ran').exists()


def test_a_picture_is_rgb_and_a_broken_one_is_named(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'ä.png'), rgb[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / 'ä.png'), rgb)
    cv2.imwrite(str(tmp_path / 'grey.png'), rgb[..., 0])
    np.testing.assert_array_equal(
        read_image(tmp_path / 'grey.png'), np.stack([rgb[..., 0]] * 3, -1)
    )
    (tmp_path / 'text.png').write_text('no picture')
    (tmp_path / 'empty.png').touch()
    for name, why in [
        ('text.png', 'decoded'),
        ('empty.png', 'decoded'),
        ('none.png', 'No such file'),
    ]:
        with pytest.raises(MediaError, match=rf'{name}.*{why}'):
            read_image(tmp_path / name)


def test_what_is_not_finite_becomes_zero_and_is_counted():
    dirty = np.array([[1.0, -np.inf], [np.nan, 4.0], [np.inf, -6.0]], np.float32)
    before = dirty.copy()
    given = clean(dirty)
    assert given.features.tolist() == [[1, 0], [0, 4], [0, -6]] and given.replaced == 3
    assert given.features.dtype == np.float32
    np.testing.assert_array_equal(dirty, before)
    assert clean(X).replaced == 0 and (clean(X).features == X).all()
    assert clean(np.zeros((0, 5), np.float32)).features.shape == (0, 5)


@pytest.mark.parametrize('data', [b'truncated', b'.', b'U', b'(.', b'}t.', b'X\0\0'])
def test_bytes_that_torch_did_not_write_are_a_media_error(tmp_path, data):
    (tmp_path / 'a.pt').write_bytes(data)
    with pytest.raises(MediaError, match=r'a\.pt: asked for features'):
        read_features(tmp_path / 'a.pt')
