"""EpochSampler: order, ranks, epochs and skipping."""

import numpy as np
import pytest

from mmcalib.contract import Draw
from mmcalib.engine import epoch_sampler
from mmcalib.engine.epoch_sampler import EpochSampler


def ranks(monkeypatch, world_size, length, **arguments):
    """One sampler per rank."""
    samplers = []
    for rank in range(world_size):
        monkeypatch.setattr(epoch_sampler, 'get_dist_info', lambda r=rank: (r, world_size))
        samplers.append(EpochSampler(range(length), seed=3, **arguments))
    return samplers


def samples(sampler):
    return [draw.sample for draw in sampler]


def test_unshuffled_draws_are_the_data_set_in_epoch_zero():
    sampler = EpochSampler(range(4), shuffle=False, seed=5)
    sampler.set_epoch(2)
    assert list(sampler) == [Draw(i, 0, 5) for i in range(4)]


def test_an_epoch_is_a_permutation_that_carries_epoch_and_seed():
    sampler = EpochSampler(range(50), seed=5)
    sampler.set_epoch(2)
    draws = list(sampler)
    assert sorted(d.sample for d in draws) == list(range(50))
    assert {(d.epoch, d.seed) for d in draws} == {(2, 5)}


def test_the_order_is_a_function_of_seed_and_epoch_only():
    def order(seed, epoch):
        sampler = EpochSampler(range(50), seed=seed)
        sampler.set_epoch(epoch)
        return samples(sampler)

    first = order(5, 2)
    np.random.seed(99)
    assert order(5, 2) == first
    # Added seeds would make these two the same.
    assert order(5, 2) != order(6, 1)
    assert order(5, 2) != order(5, 3)


@pytest.mark.parametrize('shuffle', [True, False])
def test_ranks_in_turn_give_the_order_of_one_process(monkeypatch, shuffle):
    one = samples(EpochSampler(range(10), shuffle, seed=3))
    parts = [samples(s) for s in ranks(monkeypatch, 3, 10, shuffle=shuffle)]
    in_turn = [part[i] for i in range(4) for part in parts]
    assert in_turn[:10] == one
    assert in_turn[10:] == one[:2]


def test_without_rounding_up_no_sample_comes_twice(monkeypatch):
    parts = ranks(monkeypatch, 3, 10, round_up=False)
    assert [len(p) for p in parts] == [4, 3, 3]
    assert [len(list(p)) for p in parts] == [4, 3, 3]
    assert sorted(s for p in parts for s in samples(p)) == list(range(10))


def test_fewer_samples_than_ranks_repeat_until_every_rank_has_one(monkeypatch):
    assert [samples(s) for s in ranks(monkeypatch, 5, 2, shuffle=False)] == [
        [0],
        [1],
        [0],
        [1],
        [0],
    ]


def test_skip_leaves_out_the_beginning_once_and_keeps_the_length():
    sampler = EpochSampler(range(10), seed=1)
    whole = samples(sampler)
    sampler.skip(4)
    assert len(sampler) == 10
    assert samples(sampler) == whole[4:]
    assert samples(sampler) == whole


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match='empty data set'):
        EpochSampler([], seed=1)
