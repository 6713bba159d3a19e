"""Tokens that stay."""

import numpy as np
import pytest

from mmcalib.transforms.trim import Trim

TOKENS = np.arange(5, dtype=np.float32)[:, None]


def kept(length, keep, seed=0):
    return Trim(length, keep)(TOKENS, np.random.default_rng(seed))[:, 0].tolist()


def test_the_start_the_end_or_any_part_stays():
    assert kept(2, 'start') == [0, 1]
    assert kept(2, 'end') == [3, 4]
    firsts = np.bincount([int(kept(2, 'random', seed)[0]) for seed in range(800)])
    assert len(firsts) == 4 and np.abs(firsts - 200).max() < 50


@pytest.mark.parametrize('keep', ['start', 'end', 'random'])
def test_a_short_sequence_stays_as_it_is(keep):
    assert kept(5, keep) == kept(9, keep) == [0, 1, 2, 3, 4]
    assert Trim(3, keep)(TOKENS[:0], np.random.default_rng(0)).shape == (0, 1)


def test_what_is_impossible_is_refused():
    with pytest.raises(ValueError, match=r"length=0.*'start', 'end', 'random'"):
        Trim(0)
    with pytest.raises(ValueError, match=r"keep='middle'"):
        Trim(keep='middle')
