"""Normalisation, pixel by pixel."""

import numpy as np
import pytest

from mmcalib.transforms.normalize import Normalize

RNG = np.random.default_rng(0)


def test_each_channel_is_scaled_by_its_own_mean_and_deviation():
    frames = RNG.integers(0, 256, (2, 3, 4, 3), np.uint8)
    given = Normalize()(frames, RNG)
    assert given.shape == (2, 3, 3, 4) and given.dtype == np.float32
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (frames[..., channel] / 255 - mean) / std
        np.testing.assert_allclose(given[:, channel], expected, atol=1e-5)


def test_two_channels_work_with_two_statistics():
    frames = RNG.integers(0, 256, (1, 2, 2, 2), np.uint8)
    given = Normalize((0.5, 0.25), (0.5, 2.0))(frames, RNG)
    np.testing.assert_allclose(given[0, 1], (frames[0, ..., 1] / 255 - 0.25) / 2, atol=1e-6)


def test_the_frames_given_are_left_as_they_are():
    frames = np.full((1, 2, 2, 3), 7, np.uint8)
    Normalize()(frames, RNG)
    assert (frames == 7).all()


@pytest.mark.parametrize('std', [(0.2, 0.2), (0.2, 0.0, 0.2)])
def test_statistics_that_do_not_fit_are_refused(std):
    with pytest.raises(ValueError, match='one value per channel'):
        Normalize(std=std)
