"""The random crop: what it cuts, and how its boxes are distributed."""

import numpy as np
import pytest

from mmcalib.transforms.random_resized_crop import RandomResizedCrop


def coordinates(count: int, height: int, width: int) -> np.ndarray:
    """Frames whose red is the row, green the column and blue the frame's number."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = np.arange(height)[None, :, None]
    frames[..., 1] = np.arange(width)[None, None, :]
    frames[..., 2] = np.arange(count)[:, None, None]
    return frames


def test_all_frames_of_a_clip_are_cut_alike():
    given = RandomResizedCrop(32)(coordinates(5, 100, 200), np.random.default_rng(3))
    assert given.shape == (5, 32, 32, 3) and given.dtype == np.uint8
    assert (given[..., :2] == given[:1, ..., :2]).all()
    assert (given[..., 2] == np.arange(5)[:, None, None]).all()


def test_pixels_are_those_of_the_box():
    transform = RandomResizedCrop(16)
    top, left, height, width = transform.box(100, 200, np.random.default_rng(3))
    given = transform(coordinates(1, 100, 200), np.random.default_rng(3))[0].astype(int)
    rows = top + (np.arange(16) + 0.5) * height / 16 - 0.5
    columns = left + (np.arange(16) + 0.5) * width / 16 - 0.5
    np.testing.assert_allclose(given[..., 0], np.broadcast_to(rows[:, None], (16, 16)), atol=1)
    np.testing.assert_allclose(given[..., 1], np.broadcast_to(columns[None], (16, 16)), atol=1)


def test_boxes_lie_within_the_frame_with_area_and_ratio_as_asked():
    transform = RandomResizedCrop(8, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    generator = np.random.default_rng(0)
    boxes = np.array([transform.box(1000, 1000, generator) for _ in range(4000)])
    top, left, height, width = boxes.T
    assert (boxes >= 0).all() and (top + height <= 1000).all() and (left + width <= 1000).all()
    area, ratio = height * width / 1e6, np.log(width / height)
    assert area.min() > 0.199 and area.max() < 0.601
    assert np.abs(ratio).max() < np.log(2.0) + 0.01
    assert abs(area.mean() - 0.4) < 0.01, 'uniform in area, but for boxes that do not fit'
    assert abs(ratio.mean()) < 0.02, 'as often wide as tall'
    assert abs((left / (1001 - width)).mean() - 0.5) < 0.02, 'uniform in place'


def test_the_same_generator_state_gives_the_same_crop_and_another_another():
    frames = coordinates(1, 90, 120)
    transform = RandomResizedCrop(24)
    first, again, other = (transform(frames, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_frames_of_another_size_are_cut_at_the_same_place_and_leave_the_generator_alike():
    transform, large, small = RandomResizedCrop(), [], []
    for seed in range(300):
        one, two = np.random.default_rng(seed), np.random.default_rng(seed)
        large.append(transform.box(2400, 3200, one))
        small.append(transform.box(240, 320, two))
        assert one.random() == two.random()
    np.testing.assert_allclose(np.array(large) / 10, small, atol=1.9)
    for shape in ((3, 500), (500, 3), (40, 40)):  # few boxes fit, most, all
        generator = np.random.default_rng(0)
        transform.box(*shape, generator)
        assert generator.bit_generator.state == after_ten_tries()


def test_every_place_is_as_likely_as_the_first():
    transform = RandomResizedCrop(8, scale=(1 / 9, 1 / 9), ratio=(1.0, 1.0))
    generator = np.random.default_rng(0)
    boxes = np.array([transform.box(3, 3, generator) for _ in range(1800)])
    assert (boxes[:, 2:] == 1).all()
    places = np.bincount(3 * boxes[:, 0] + boxes[:, 1])
    assert len(places) == 9 and np.abs(places - 200).max() < 50


def after_ten_tries() -> dict:
    generator = np.random.default_rng(0)
    generator.random((10, 4))
    return generator.bit_generator.state


@pytest.mark.parametrize('channels', [1, 2, 3])
def test_any_number_of_channels_and_no_frame_at_all(channels):
    for count in (0, 2):
        frames = np.zeros((count, 30, 40, channels), np.uint8)
        given = RandomResizedCrop(16)(frames, np.random.default_rng(0))
        assert given.shape == (count, 16, 16, channels) and given.dtype == np.uint8


@pytest.mark.parametrize(('height', 'width'), [(10, 400), (400, 10), (1, 1)])
def test_a_frame_that_no_box_fits_gives_the_largest_centred_one(height, width):
    transform = RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    side = min(height, width)
    expected = ((height - side) // 2, (width - side) // 2, side, side)
    assert transform.box(height, width, np.random.default_rng(0)) == expected


@pytest.mark.parametrize(
    'wrong', [{'size': 0}, {'scale': (0.5, 0.1)}, {'scale': (0.1, 1.5)}, {'ratio': (0, 1)}]
)
def test_impossible_boxes_are_refused(wrong):
    with pytest.raises(ValueError, match='each pair ascending'):
        RandomResizedCrop(**wrong)
