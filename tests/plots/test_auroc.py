"""AUROC of damage: hand-computed, and inside its interval."""

import numpy as np
import pytest

from mmcalib.plots.auroc import ANY, OTHER, groups, interval, score, scores


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    # 5 of 6 pairs (damaged, clean) are larger, none is equal.
    row = score('value', 'audio', ANY, np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0]), 0)
    assert row.auroc == pytest.approx(5 / 6) and row.low <= row.auroc <= row.high
    assert row.clean == (pytest.approx(7 / 3), pytest.approx(np.sqrt(7 / 3)), 3)
    tied = score('value', 'audio', ANY, np.array([1.0, 1.0]), np.array([1.0]), 0)
    assert (tied.auroc, tied.low, tied.high) == (0.5, 0.5, 0.5)


def test_the_interval_is_seeded_and_shrinks_with_more_samples():
    draws = np.random.default_rng(0)
    clean, damaged = draws.normal(size=200), draws.normal(1, size=200)
    assert interval(clean, damaged, 0) == interval(clean, damaged, 0) != interval(clean, damaged, 1)
    small, large = interval(clean[:20], damaged[:20], 0), interval(clean, damaged, 0)
    assert large[1] - large[0] < small[1] - small[0]
    # Hanley and McNeil, Radiology 143, 1982: the standard error in closed form.
    area = (damaged[:, None] > clean).mean()
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = np.sqrt((area * (1 - area) + 199 * (q1 - area**2) + 199 * (q2 - area**2)) / 200**2)
    assert large[1] - large[0] == pytest.approx(2 * 1.96 * error, rel=0.15)


TABLE = {
    'a': {'modality': '', 'kind': ''},
    'b': {'modality': 'audio', 'kind': 'noise'},
    'c': {'modality': 'visual', 'kind': 'swap'},
    'd': {'modality': 'audio', 'kind': 'swap'},
}


def test_each_kind_is_compared_with_clean_samples_and_with_the_other_modality():
    values = {'value': {'audio': np.array([0.0, 1.0, 2.0, -1.0, 9.0])}}
    rows = {row.kind: row for row in scores(values, np.array(list('abcde')), TABLE, 0)}
    assert list(rows) == [ANY, 'noise', 'swap', OTHER]
    assert [rows[k].auroc for k in rows] == [0.5, 1.0, 0.0, 0.0]
    assert rows[ANY].damaged[2] == 2 and rows[ANY].clean[2] == 1, 'e is not in the table'


def test_groups_leave_out_samples_whose_other_modality_is_damaged():
    arrays = {'id': np.array(list('abcde')), 'modalities': np.array(['audio', 'visual'])}
    found = groups(arrays, TABLE)
    assert found['audio'].tolist() == ['clean', 'corrupted', '', 'swapped', '']
    assert found['visual'].tolist() == ['clean', '', 'swapped', '', '']
