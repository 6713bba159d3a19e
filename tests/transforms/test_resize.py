"""Resizing against block means and known images."""

import numpy as np
import pytest

from mmcalib.transforms.resize import Resize

RNG = np.random.default_rng(0)


def test_shrinking_by_a_whole_factor_averages_blocks():
    frames = RNG.integers(0, 256, (2, 8, 12, 3), np.uint8, endpoint=False)
    blocks = frames.reshape(2, 4, 2, 4, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(Resize(4)(frames, RNG), blocks, atol=1)


def test_growing_keeps_a_ramp_a_ramp():
    ramp = np.tile(np.arange(0, 80, 10, dtype=np.uint8)[None, None, :, None], (1, 8, 1, 3))
    given = Resize(16)(ramp, RNG)
    assert given.shape == (1, 16, 16, 3) and given.dtype == np.uint8
    np.testing.assert_allclose(np.diff(given[0, 5, 2:14, 0].astype(int)), 5, atol=1)


@pytest.mark.parametrize('shape', [(3, 5, 7), (1, 300, 20), (2, 224, 224)])
def test_every_shape_becomes_the_square(shape):
    assert Resize()(np.zeros((*shape, 3), np.uint8), RNG).shape == (shape[0], 224, 224, 3)


@pytest.mark.parametrize('channels', [1, 2, 3])
def test_any_number_of_channels_and_no_frame_at_all(channels):
    for count in (0, 2):
        frames = RNG.integers(0, 256, (count, 8, 8, channels), np.uint8)
        given = Resize(4)(frames, RNG)
        blocks = frames.reshape(count, 4, 2, 4, 2, channels).mean(axis=(2, 4))
        np.testing.assert_allclose(given, blocks, atol=1)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r'Resize\(size=0\)'):
        Resize(0)
