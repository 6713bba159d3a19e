"""Optical flow of patterns whose motion is known."""

import cv2
import numpy as np
import pytest

from mmcalib.media.flow import flow_from_bytes, flow_to_bytes, optical_flow, resize_flow
from mmcalib.transforms.normalize import Normalize

RNG = np.random.default_rng(0)
CHOICES = [('dis', 'ultrafast'), ('dis', 'fast'), ('dis', 'medium'), ('farneback', 'medium')]


def moved(*shifts: tuple[int, int], size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """One picture per shift (right, down) of the same smooth pattern."""
    rough = np.random.default_rng(3).integers(0, 256, (size[0] + 60, size[1] + 60, 3), np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(rough, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    return np.stack([smooth[30 - y :, 30 - x :][: size[0], : size[1]] for x, y in shifts])


@pytest.mark.parametrize(('method', 'preset'), CHOICES)
def test_a_pattern_that_is_moved_gives_its_shift(method, preset):
    first, second = moved((0, 0), (0, 0)), moved((3, -2), (-4, 1))
    flow = optical_flow(first, second, method, preset)
    assert flow.shape == (2, 96, 128, 2) and flow.dtype == np.float32
    for given, shift in zip(flow, [(3, -2), (-4, 1)], strict=True):
        inner = given[20:-20, 20:-20].reshape(-1, 2)
        np.testing.assert_allclose(np.median(inner, axis=0), shift, atol=0.3)


@pytest.mark.parametrize(('method', 'preset'), CHOICES)
def test_a_pair_depends_neither_on_the_pairs_before_it_nor_on_threads(method, preset):
    first, second = moved((0, 0), (5, 5), (7, 2)), moved((5, 5), (7, 2), (7, 2))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(8)
        whole = optical_flow(first, second, method, preset)
        cv2.setNumThreads(1)
        alone = [optical_flow(first[[t]], second[[t]], method, preset)[0] for t in range(3)]
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(whole, alone)
    assert np.abs(whole[2]).max() < 0.1, 'the last two pictures are the same'


def test_a_clip_of_one_picture_has_no_flow():
    frames = moved((0, 0))
    assert optical_flow(frames[:-1], frames[1:]).shape == (0, 96, 128, 2)


def test_resizing_scales_the_shift_with_the_picture():
    flow = optical_flow(moved((0, 0)), moved((4, -2)))
    half = resize_flow(flow, 48, 256)
    assert half.shape == (1, 48, 256, 2) and half.dtype == np.float32
    inner = half[0, 10:-10, 40:-40].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inner, axis=0), [8, -1], atol=0.15)
    uniform = np.full((1, 6, 6, 2), (3.0, 5.0), np.float32)
    np.testing.assert_allclose(resize_flow(uniform, 2, 3), np.full((1, 2, 3, 2), (1.5, 5 / 3)))


def test_bytes_are_a_line_from_minus_20_to_20_pixels():
    flow = np.array([-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 99.0], np.float32)
    assert flow_to_bytes(flow).tolist() == [0, 0, 64, 128, 191, 255, 255]
    assert flow_to_bytes(np.array([7.5, -15.0]), bound=15).tolist() == [191, 0]
    some = RNG.uniform(-20, 20, (2, 3, 4, 2)).astype(np.float32)
    back = flow_from_bytes(flow_to_bytes(some))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, some, atol=20 / 255 + 1e-5)


def test_normalised_bytes_are_the_flow_in_units_of_the_bound():
    coded = flow_to_bytes(RNG.uniform(-20, 20, (1, 3, 4, 2)))
    given = Normalize([0.5, 0.5], [0.5, 0.5])(coded, RNG)
    np.testing.assert_allclose(given, flow_from_bytes(coded).transpose(0, 3, 1, 2) / 20, atol=1e-6)


def test_what_is_impossible_is_refused():
    frames = moved((0, 0))
    with pytest.raises(ValueError, match=r"method='tvl1'.*'dis', 'farneback'"):
        optical_flow(frames, frames, 'tvl1')
    with pytest.raises(ValueError, match=r"preset='slow'.*'ultrafast', 'fast', 'medium'"):
        optical_flow(frames, frames, preset='slow')
    with pytest.raises(ValueError, match=r'needs two times \(T, H, W, 3\)'):
        optical_flow(frames, frames[:0])
    with pytest.raises(ValueError, match=r"96 x 11; DIS needs 12 .*method='farneback'"):
        optical_flow(frames[:, :, :11], frames[:, :, :11])
    assert optical_flow(frames[:, :1, :1], frames[:, :1, :1], 'farneback').shape == (1, 1, 1, 2)
    with pytest.raises(ValueError, match=r'bound=0\)'):
        flow_to_bytes(frames, 0)
