"""Suppression and distributions: how many samples are drawn, of which group."""

import numpy as np
import pytest

from mmcalib.plots.distributions import distributions
from mmcalib.plots.suppression import suppression

VALUES = {'audio': np.array([0.1, 0.2, 0.9, np.nan, 0.5]), 'visual': np.arange(5) / 5}
GROUPS = {
    'audio': np.array(['clean', 'clean', 'corrupted', 'clean', '']),
    'visual': np.array(['clean', 'clean', '', 'clean', 'swapped']),
}


def test_suppression_counts_what_is_there_and_shows_its_mean():
    ax = suppression(VALUES).axes[0]
    assert [t.get_text() for t in ax.texts] == ['n = 4', 'n = 5']
    assert [t.get_text() for t in ax.get_xticklabels()] == ['audio', 'visual']
    means = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == 'D']
    assert means == pytest.approx([1.7 / 4, 0.4])
    assert 'max(0, x - x · gate)' in ax.get_ylabel() and ax.get_legend() is None


def test_suppression_by_group_has_a_legend():
    ax = suppression(VALUES, GROUPS).axes[0]
    names = [t.get_text() for t in ax.get_legend().get_texts()]
    assert names == ['clean', 'corrupted', 'swapped']
    assert sorted(t.get_text() for t in ax.texts) == ['n = 1', 'n = 1', 'n = 2', 'n = 3']


def test_each_histogram_sums_to_one_per_group():
    figure = distributions({'value': VALUES}, GROUPS)
    audio = figure.axes[0]
    assert audio.get_xlabel() == 'value' and audio.get_ylabel() == 'share of samples'
    outlines = [p for p in audio.patches if not p.get_fill()]
    assert len(outlines) == 2, 'clean and corrupted'
    assert audio.get_title() == 'audio: clean 3, corrupted 1'
    lines = [line.get_xdata()[0] for line in audio.lines]
    assert lines == pytest.approx([0.15, 0.9]), 'means, without the NaN'
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend == ['clean', 'corrupted', 'swapped']


def test_evidence_that_nobody_has_is_said():
    figure = distributions({'value': {'audio': np.full(3, np.nan), 'visual': np.zeros(3)}})
    assert figure.axes[0].texts[0].get_text() == 'none' and not figure.axes[1].texts
