"""Intervals and tests: a loop over resamples, scipy, and cases by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mmcalib.comparison.statistics import bootstrap, holm, paired, record, t_test, wilcoxon


def test_only_seeds_that_both_have_are_paired():
    found = paired({0: 0.5, 2: 0.75, 1: 0.25}, {2: 0.5, 1: 0.5, 7: 0.9})
    assert found == {1: -0.25, 2: 0.25}
    assert list(found) == [1, 2]


def test_the_bootstrap_is_that_over_all_resamples_there_are():
    """With 4 items there are 256 resamples: the share of each mean is known, not drawn."""
    d = np.array([0.0, 1.0, 1.0, -1.0])
    every = np.array([d[list(k)].mean() for k in itertools.product(range(4), repeat=4)])
    found = bootstrap(d[None], resamples=40_000)[0]
    assert found.low == np.quantile(every, 0.025)
    assert found.high == np.quantile(every, 0.975)
    exact = 2 * min((every <= 0).mean(), (every >= 0).mean())
    assert found.p == pytest.approx(exact, abs=0.01)


def test_the_bootstrap_agrees_with_a_loop_over_seeds_and_resamples():
    """Each resample draws the same items for all seeds, and takes the mean over seeds."""
    generator = np.random.default_rng(3)
    seeds, items = 3, 40
    a, b = generator.random((seeds, items)) < 0.8, generator.random((seeds, items)) < 0.6
    loop = np.random.default_rng(5)
    means = []
    for _ in range(4000):
        drawn = loop.integers(items, size=items)
        means.append(np.mean([a[s, drawn].mean() - b[s, drawn].mean() for s in range(seeds)]))
    differences = (a.astype(float) - b).mean(axis=0)
    found = bootstrap(differences[None], resamples=20_000, level=0.9)[0]
    assert (found.low, found.high) == pytest.approx(np.quantile(means, (0.05, 0.95)), abs=0.009), (
        'a step is 1/120'
    )
    width = found.high - found.low
    assert width == pytest.approx(2 * 1.645 * differences.std() / np.sqrt(items), rel=0.05)


def test_all_methods_meet_the_same_draws_in_pieces_of_any_size(monkeypatch):
    rows = np.random.default_rng(0).normal(0.1, 1, (3, 50))
    together = bootstrap(rows, resamples=500)
    apart = [bootstrap(row[None], resamples=500)[0] for row in rows]
    np.testing.assert_allclose(together, apart, rtol=1e-9)
    assert together != bootstrap(rows, resamples=500, seed=1)
    monkeypatch.setattr('mmcalib.comparison.statistics.CELLS', 50 * 7)
    np.testing.assert_allclose(bootstrap(rows, resamples=500), together, rtol=1e-9)


def test_what_never_happens_in_a_thousand_resamples_has_a_p_of_two_in_a_thousand_and_one():
    assert bootstrap(np.ones((1, 9)), resamples=1000)[0] == (1, 1, 2 / 1001)
    assert bootstrap(-np.ones((1, 9)), resamples=1000)[0] == (-1, -1, 2 / 1001)
    assert bootstrap(np.zeros((1, 9)), resamples=1000)[0] == (0, 0, 1)


def test_rounding_does_not_move_a_mean_of_zero_to_one_side():
    d = np.array([[0.1 + 0.2, -0.3]])  # 0.30000000000000004
    assert bootstrap(d, resamples=2000)[0].p == 1


@pytest.mark.parametrize('n', [2, 5, 9])
def test_the_t_test_is_that_of_scipy_on_pairs(n):
    a, b = np.random.default_rng(n).random((2, n))
    assert t_test(list(a - b)) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-12)


def test_the_t_test_by_hand():
    """Two pairs: t = mean / (sd / sqrt(2)) = 3 / 1, and with one degree of freedom, Cauchy's."""
    assert t_test([2, 4]) == pytest.approx(1 - 2 * np.arctan(3) / np.pi)


def test_a_test_over_seeds_needs_two_and_a_t_test_their_spread():
    assert t_test([0.2]) is None
    assert wilcoxon([0.2]) is None
    assert t_test([0.1 + 0.2, 0.3]) is None, 'equal but for the last bit'
    assert t_test([0.0, 0.0]) == wilcoxon([0.0, 0.0]) == 1
    assert t_test([0.1, np.nan]) is None
    assert wilcoxon([0.1, np.nan]) is None


@pytest.mark.parametrize('n', [2, 5, 9, 14])
def test_wilcoxon_without_ties_is_the_exact_one_of_scipy(n):
    d = np.random.default_rng(n).normal(0.3, 1, n)
    wanted = stats.wilcoxon(d, method='exact').pvalue
    assert wilcoxon(list(d)) == pytest.approx(wanted, rel=1e-12)


def test_five_seeds_cannot_go_below_a_sixteenth():
    assert wilcoxon([1, 2, 3, 4, 5]) == 0.0625
    assert wilcoxon([-1, -2, -3, -4, -5]) == 0.0625


def test_wilcoxon_with_ties_counts_all_signs():
    """Ranks 2, 2, 2, 4: sums of at most 2 come in 4 of 16 cases (none, and one rank 2 of three)."""
    tied = [0.1, 0.1 + 1e-16, -0.1, 0.4, 0.0]
    assert wilcoxon(tied) == 2 * 4 / 16
    assert wilcoxon([0.0, 0.0, 0.3]) == 1


def test_wilcoxon_leaves_out_what_does_not_differ():
    """Ranks 1 to 4, the last negative: 7 of 16 cases sum to 4 or less."""
    assert wilcoxon([0.0, 0.1, 0.0, 0.2, 0.3, -0.4, 0.0]) == 2 * 7 / 16


def test_holm_by_hand():
    """Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04: the last is raised to .06."""
    assert holm([0.03, 0.01, None, 0.04, 0.02]) == pytest.approx([0.06, 0.04, None, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_the_record_knows_which_way_is_better():
    differences = [0.1, 0.2, -0.1, 0.0, 0.3 - (0.1 + 0.2), np.nan]
    assert record(differences) == (2, 2, 1)
    assert record(differences, lower=True) == (1, 2, 2)
