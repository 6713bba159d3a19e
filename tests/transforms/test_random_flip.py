"""Flips: all frames or none, as often as asked."""

import cv2
import numpy as np
import pytest

from mmcalib.media.flow import flow_from_bytes, flow_to_bytes, optical_flow
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


def test_mirrored_flow_also_points_the_other_way():
    flow = np.random.default_rng(1).uniform(-20, 20, (2, 3, 4, 4)).astype(np.float32)  # u v u v
    given = RandomFlip(1.0, flow=True)(flow, np.random.default_rng(0))
    expected = flow[:, :, ::-1] * np.array([-1, 1, -1, 1], np.float32)
    np.testing.assert_array_equal(given, expected)
    coded = flow_to_bytes(flow)
    before = coded.copy()
    given = flow_from_bytes(RandomFlip(1.0, flow=True)(coded, np.random.default_rng(0)))
    np.testing.assert_allclose(given, expected, atol=20 / 255 + 1e-5)
    np.testing.assert_array_equal(coded, before)
    np.testing.assert_array_equal(
        RandomFlip(0.0, flow=True)(coded, np.random.default_rng(0)), coded
    )


def test_the_flow_of_mirrored_pictures_is_the_mirrored_flow():
    noise = np.random.default_rng(2).integers(0, 256, (80, 100, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)[np.newaxis]
    first, second = smooth[:, :70, :90], smooth[:, 1:71, 4:94]

    def mirrored(x, flow=False):
        flip = RandomFlip(1.0, flow)
        return np.ascontiguousarray(flip(x, np.random.default_rng(0)))

    given = mirrored(optical_flow(first, second), flow=True)[0, 15:-15, 15:-15].reshape(-1, 2)
    expected = optical_flow(mirrored(first), mirrored(second))[0, 15:-15, 15:-15].reshape(-1, 2)
    np.testing.assert_allclose(np.median(expected, axis=0), [4, -1], atol=0.2)
    np.testing.assert_allclose(np.median(given, axis=0), [4, -1], atol=0.2)


def test_two_modalities_with_one_seed_flip_together():
    for seed in range(20):
        rgb = RandomFlip()(FRAMES, np.random.default_rng(seed))
        flow = RandomFlip(flow=True)(FRAMES[..., :2], np.random.default_rng(seed))
        assert (rgb[..., 1] == flow[..., 1]).all(), 'v, which stays'


def test_flow_needs_pairs_of_channels():
    with pytest.raises(ValueError, match=r'was given 3 channels; flow has u and v in turns'):
        RandomFlip(flow=True)(FRAMES, np.random.default_rng(0))


def test_a_probability_above_one_is_refused():
    with pytest.raises(ValueError, match=r'prob=1\.5'):
        RandomFlip(1.5)
