"""Axes in another order."""

import numpy as np
import pytest

from mmcalib.transforms.rearrange import Rearrange

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(1, 4, 3)).astype(np.float32)


def test_axes_are_reordered_and_dropped():
    given = Rearrange('c t f -> c f t')(ARRAY, RNG)
    assert given.dtype == np.float32
    np.testing.assert_array_equal(given[0], ARRAY[0].T)
    np.testing.assert_array_equal(Rearrange('1 t f -> t f')(ARRAY, RNG), ARRAY[0])


@pytest.mark.parametrize('pattern', ['c t f', 'c t f -> c (f t', 'a -> b -> c'])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match='is not a pattern such as "c t f -> c f t"'):
        Rearrange(pattern)


def test_an_axis_of_one_side_is_named():
    with pytest.raises(ValueError, match=r"has \['f', 'm'\] on one side only"):
        Rearrange('c t f -> c t m')
