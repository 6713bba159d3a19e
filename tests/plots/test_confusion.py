"""Confusion: a known matrix."""

import numpy as np
import pytest

from mmcalib.plots.confusion import confusion


def test_a_known_matrix_has_rows_of_true_classes_that_sum_to_one():
    target, predicted = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 0, 2, 2, 0])
    figure = confusion(target, predicted, ['a', 'b', 'c'])
    ax = figure.axes[0]
    assert ax.images[0].get_array().tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ['a', 'c'], 'b does not occur'
    assert (ax.get_xlabel(), ax.get_ylabel()) == ('predicted class', 'true class')
    assert [t.get_text() for t in ax.texts] == ['0.75', '0.25', '0.50', '0.50']
    assert 'accuracy 0.667, n = 6' in figure.get_suptitle()


def test_a_class_that_is_only_predicted_has_no_shares():
    figure = confusion(np.array([0, 0]), np.array([0, 1]))
    assert figure.axes[0].images[0].get_array().mask.tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize(('classes', 'numbers'), [(15, 15), (16, 0)])
def test_many_classes_have_no_numbers(classes, numbers):
    figure = confusion(np.arange(classes), np.arange(classes))
    assert len(figure.axes[0].texts) == numbers
