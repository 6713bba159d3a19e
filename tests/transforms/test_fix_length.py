"""Lengthening and cutting of waveforms, on samples that are counted."""

import numpy as np
import pytest

from mmcalib.transforms.fix_length import FixLength

COUNT = np.arange(1, 8, dtype=np.float32)  # 1 to 7


def fixed(waveform, length, seed=0, **arguments):
    return FixLength(rate_hz=1, length_s=length, **arguments)(waveform, np.random.default_rng(seed))


def test_short_ones_are_repeated_or_followed_by_silence():
    assert fixed(COUNT[:3], 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert fixed(COUNT[:1], 3).tolist() == [1, 1, 1]
    assert fixed(COUNT[:3], 5, short='pad').tolist() == [1, 2, 3, 0, 0]


def test_long_ones_keep_their_start_or_their_centre():
    assert fixed(COUNT, 3).tolist() == [1, 2, 3]
    assert fixed(COUNT, 3, long='centre').tolist() == [3, 4, 5]
    assert fixed(COUNT, 7, long='centre').tolist() == COUNT.tolist()


def test_a_random_part_is_any_part_equally_often_and_the_generator_decides():
    firsts = [fixed(COUNT, 3, seed, long='random')[0] for seed in range(2000)]
    values, counts = np.unique(firsts, return_counts=True)
    assert values.tolist() == [1, 2, 3, 4, 5] and np.abs(counts - 400).max() < 80
    assert fixed(COUNT, 3, 5, long='random').tolist() == fixed(COUNT, 3, 5, long='random').tolist()


def test_a_random_cut_draws_as_often_for_a_short_as_for_a_long_waveform():
    after = []
    for waveform in (COUNT[:1], COUNT):
        generator = np.random.default_rng(0)
        FixLength(1, 3, long='random')(waveform, generator)
        after.append(generator.random())
    assert after[0] == after[1]


def test_the_published_5_s_of_10_s_are_two_steps():
    wave = np.arange(96_000, dtype=np.float32)  # 6 s: repeated to 10 s, then 5 s of them
    ten = FixLength(16_000, 10.0)(wave, np.random.default_rng(0))
    five = FixLength(16_000, 5.0, long='random')(ten, np.random.default_rng(0))
    assert len(five) == 80_000 and 0 <= five[0] < 80_001
    np.testing.assert_array_equal(np.unique(np.diff(five)), [-95_999, 1])


@pytest.mark.parametrize('short', ['tile', 'pad'])
@pytest.mark.parametrize('long', ['start', 'centre', 'random'])
def test_nothing_becomes_silence(short, long):
    given = fixed(np.zeros(0, np.float32), 4, short=short, long=long)
    assert given.tolist() == [0, 0, 0, 0] and given.dtype == np.float32


def test_what_is_impossible_is_refused():
    with pytest.raises(ValueError, match=r"short='loop'.*'tile', 'pad'"):
        FixLength(short='loop')
    with pytest.raises(ValueError, match=r"long='end'.*'start', 'centre', 'random'"):
        FixLength(long='end')
    with pytest.raises(ValueError, match='is 0 samples; it needs at least 1'):
        FixLength(length_s=0)
