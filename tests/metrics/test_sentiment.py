import warnings

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from mmcalib.metrics.sentiment import Sentiment

PREDICTED = [2.6, 0.5, -0.2, 0.0, -3.7, 1.5]
TARGETS = [3.0, 0.0, 0.4, -1.0, -2.6, 2.5]


def score(predicted, targets, size=None):
    metric = Sentiment()
    samples = [
        {'prediction': p, 'target': t}
        for p, t in zip(torch.tensor(predicted), torch.tensor(targets), strict=True)
    ]
    metric.process({}, samples[:2])
    metric.process({}, samples[2:])
    return metric.evaluate(size=size or len(samples))


def test_scores_are_those_computed_by_hand():
    result = score(PREDICTED, TARGETS)
    assert {type(v) for v in result.values()} == {float}
    assert result == pytest.approx(
        {
            'MAE': (0.4 + 0.5 + 0.6 + 1.0 + 1.1 + 1.0) / 6,
            'corr': pearsonr(PREDICTED, TARGETS).statistic,
            # Rounded: 3 0 0 0 -3 2 against 3 0 0 -1 -3 2; halves go to even.
            'acc7': 5 / 6,
            # Clipped to 2: 2 0 0 0 -2 2 against 2 0 0 -1 -2 2.
            'acc5': 5 / 6,
            # Not negative: 1 1 0 1 0 1 against 1 1 1 0 0 1.
            'acc2_has0': 4 / 6,
            # True: precision 3/4, recall 3/4. False: precision 1/2, recall 1/2. Weights 4 and 2.
            'f1_has0': (4 * 3 / 4 + 2 * 1 / 2) / 6,
            # Without the second sample, positive: 1 0 0 0 1 against 1 1 0 0 1.
            'acc2_non0': 4 / 5,
            # True: precision 1, recall 2/3, F1 4/5. False: precision 2/3, recall 1, F1 4/5.
            'f1_non0': 4 / 5,
        }
    )


def test_f1_is_weighted_by_targets_not_by_predictions():
    # True: precision 2/3, recall 1, F1 4/5, weight 2. False: F1 0, weight 1.
    result = score([1.0, 1.0, 1.0], [1.0, 2.0, -1.0])
    assert (result['f1_has0'], result['f1_non0']) == pytest.approx((1.6 / 3, 1.6 / 3))


def test_bounds_of_the_classes_are_3_and_2():
    result = score([9.0, 2.4, 3.0, -2.6], [2.6, 5.0, 2.0, -2.0])
    # Clipped to 3: 3 2 3 -3 against 3 3 2 -2; to 2: 2 2 2 -2 against 2 2 2 -2.
    assert (result['acc7'], result['acc5']) == (1 / 4, 1.0)


@pytest.mark.parametrize(('predicted', 'targets'), [([0.1] * 3, [1.0, 2.0, 3.0]), ([1.0], [2.0])])
def test_constant_predictions_have_no_correlation_and_no_warning(predicted, targets):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert score(predicted, targets)['corr'] == 0.0


def test_targets_of_zero_only_leave_nothing_without_zeros():
    result = score([1.0, -1.0], [0.0, 0.0])
    assert (result['acc2_non0'], result['f1_non0'], result['acc2_has0']) == (0.0, 0.0, 0.5)


def test_padding_of_a_distributed_sampler_is_cut_off():
    assert score([0.0, 1.0, 9.0], [0.0, 0.0, 0.0], size=2)['MAE'] == 0.5


def test_half_precision_is_read_as_it_is():
    metric = Sentiment()
    metric.process({}, [{'prediction': torch.tensor(0.5).bfloat16(), 'target': torch.tensor(1.0)}])
    assert metric.evaluate(size=1)['MAE'] == 0.5


def test_correlation_does_not_depend_on_scale():
    x = np.random.default_rng(0).standard_normal(20)
    assert score(list(x), list(3 * x + 1))['corr'] == pytest.approx(1.0)
    assert score(list(x), list(-x))['corr'] == pytest.approx(-1.0)
