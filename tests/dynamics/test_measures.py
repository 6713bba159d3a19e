"""Measures against numbers worked out by hand, scipy's definition and autograd."""

from math import isnan

import numpy as np
import pytest
import torch

from mmcalib.dynamics.measures import (
    cosine,
    gradient,
    norm,
    shapley,
    sign_changes,
    spearman,
    subsets,
)


def test_a_norm_is_that_of_all_numbers_together():
    assert norm([torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]) == pytest.approx(5)
    assert isnan(norm([]))


def test_a_cosine_knows_right_angles_and_nothing_of_zero():
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])
    assert cosine(x, y) == pytest.approx(0.5**0.5)
    assert cosine(x, -x) == -1
    assert isnan(cosine(x, torch.zeros(2)))


def test_a_gradient_is_flat_and_leaves_grad_alone():
    a, b = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(1, requires_grad=True)
    assert gradient(a.square().sum(), [a, b]).tolist() == [2, 4, 0]
    assert a.grad is None and b.grad is None


def test_sign_changes_pass_over_zero_and_nan():
    assert sign_changes([1.0, -1.0, 0.0, -2.0, float('nan'), 3.0]) == 2
    assert sign_changes([]) == 0


def test_shapley_values_by_hand_sum_to_full_minus_empty():
    # Half of what a pair adds goes to each: phi_a = ((3 - 1) + (9 - 4)) / 2.
    worth = dict(zip(subsets('ab'), (1.0, 3.0, 4.0, 9.0), strict=True))
    assert shapley(worth, 'ab') == {'a': 3.5, 'b': 4.5}
    random = np.random.default_rng(0)
    worth = {s: random.normal() for s in subsets('abcd')}
    total = worth[frozenset('abcd')] - worth[frozenset()]
    assert sum(shapley(worth, 'abcd').values()) == pytest.approx(total)


def test_spearman_is_one_minus_six_d_squared_over_n():
    # Ranks 1 2 3 4 and 2 1 4 3: d^2 sums to 4, and 1 - 6 * 4 / (4 * 15) = 0.6.
    assert spearman(np.array([1.0, 5.0, 7.0, 9.0]), np.array([2.0, 1.0, 9.0, 3.0])) == (
        pytest.approx(0.6)
    )
    assert isnan(spearman(np.ones(4), np.arange(4.0)))
    assert isnan(spearman(np.arange(2.0), np.arange(2.0)))
