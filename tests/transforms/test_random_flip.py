"""Flips: all frames or none, as often as asked."""

import numpy as np
import pytest

from mmcalib.transforms.random_flip import RandomFlip

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)


def test_one_decision_mirrors_every_frame_from_left_to_right():
    np.testing.assert_array_equal(
        RandomFlip(1.0)(FRAMES, np.random.default_rng(0)),
        np.stack([np.fliplr(frame) for frame in FRAMES]),
    )
    np.testing.assert_array_equal(RandomFlip(0.0)(FRAMES, np.random.default_rng(0)), FRAMES)


def test_it_happens_as_often_as_asked():
    generator = np.random.default_rng(0)
    flip = RandomFlip(0.25)
    flipped = [bool((flip(FRAMES, generator) != FRAMES).any()) for _ in range(4000)]
    assert abs(np.mean(flipped) - 0.25) < 0.03


def test_a_probability_above_one_is_refused():
    with pytest.raises(ValueError, match=r'prob=1\.5'):
        RandomFlip(1.5)
