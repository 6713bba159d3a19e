"""Masks: where, how wide, and what is in them."""

import numpy as np
import pytest

from mmcalib.transforms.spec_augment import SpecAugment

SPECTROGRAM = np.random.default_rng(0).normal(size=(1, 20, 50)).astype(np.float32)


def masks(count, **arguments):
    """Which rows and which columns are blank, over many draws."""
    transform = SpecAugment(fill=9.0, **arguments)
    blank = [transform(SPECTROGRAM, np.random.default_rng(s))[0] == 9 for s in range(count)]
    return np.array([b.all(axis=1) for b in blank]), np.array([b.all(axis=0) for b in blank])


def test_a_mask_is_a_band_and_all_else_stays():
    given = SpecAugment(8, 12)(SPECTROGRAM, np.random.default_rng(1))
    rows = (given != SPECTROGRAM).all(axis=2)[0]
    columns = (given != SPECTROGRAM).all(axis=1)[0]
    assert rows.any() and columns.any(), 'another seed, if this one draws a width of 0'
    blank = rows[:, None] | columns
    np.testing.assert_array_equal(given[0][~blank], SPECTROGRAM[0][~blank])
    np.testing.assert_allclose(given[0][blank], SPECTROGRAM.mean(), rtol=1e-5)
    for line in (rows, columns):
        assert np.abs(np.diff(line.astype(int))).sum() <= 2, 'one band'
    assert given.dtype == np.float32


def test_widths_are_uniform_up_to_their_limits_and_places_over_all():
    rows, columns = masks(3000, frequency=4, time=9, time_share=0.1)
    assert np.abs(np.bincount(rows.sum(axis=1)) - 600).max() < 75, '0 to 4'
    assert np.abs(np.bincount(columns.sum(axis=1)) - 500).max() < 75, '0 to 5, a tenth of 50'
    places = rows[rows.sum(axis=1) == 4].argmax(axis=1)
    assert np.abs(np.bincount(places) - len(places) / 17).max() < 25 and places.max() == 16


def test_several_masks_are_drawn_apart():
    rows, columns = masks(200, frequency=3, time=0, frequency_masks=2)
    bands = np.abs(np.diff(rows.astype(int), prepend=0, append=0, axis=1)).sum(axis=1) / 2
    assert bands.max() == 2 and not columns.any()
    rows, columns = masks(200, frequency=0, time=3, time_masks=3)
    bands = np.abs(np.diff(columns.astype(int), prepend=0, append=0, axis=1)).sum(axis=1) / 2
    assert bands.max() == 3 and not rows.any()


def test_time_first_is_the_transposed_case():
    turned = SPECTROGRAM.transpose(0, 2, 1)
    given = SpecAugment(8, 12, time_axis=-2)(turned, np.random.default_rng(1))
    expected = SpecAugment(8, 12)(SPECTROGRAM, np.random.default_rng(1))
    np.testing.assert_allclose(given.transpose(0, 2, 1), expected, rtol=1e-5)


def test_the_input_is_left_as_it_is_and_the_generator_decides():
    before = SPECTROGRAM.copy()
    first, again, other = (SpecAugment()(SPECTROGRAM, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(SPECTROGRAM, before)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize('shape', [(1, 0, 0), (1, 64, 0), (1, 1, 1), (64, 1)])
def test_tiny_spectrograms_pass(shape):
    assert SpecAugment()(np.ones(shape, np.float32), np.random.default_rng(0)).shape == shape


def test_what_is_impossible_is_refused():
    with pytest.raises(ValueError, match=r'time_share=1\.5\); none may be negative'):
        SpecAugment(time_share=1.5)
    with pytest.raises(ValueError, match=r'frequency=-1'):
        SpecAugment(-1)
    with pytest.raises(ValueError, match=r'time_axis=0\); possible are -1 and -2'):
        SpecAugment(time_axis=0)
