import pytest
import torch

from mmcalib.metrics.multi_label_scores import MultiLabelScores

PROBABILITIES = [[0.9, 0.6, 0.1, 0.7], [0.8, 0.2, 0.2, 0.1], [0.4, 0.7, 0.3, 0.2]]
TARGETS = [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]


def score(probabilities, targets, size=None, **kwargs):
    metric = MultiLabelScores(**kwargs)
    logits = torch.tensor(probabilities).logit()
    samples = [
        {'prediction': p, 'target': torch.tensor(t)} for p, t in zip(logits, targets, strict=True)
    ]
    metric.process({}, samples[:1])
    metric.process({}, samples[1:])
    return metric.evaluate(size=size or len(samples))


def test_scores_are_those_computed_by_hand():
    result = score(PROBABILITIES, TARGETS)
    assert {type(v) for v in result.values()} == {float}
    # Class 0, ranked .9+ .8- .4+: AP (1 + 2/3) / 2. Class 1, ranked .7- .6+ .2+: (1/2 + 2/3) / 2.
    # At one half 110-1, 1---, -1-- are predicted. Class 0 and 1: one right of two predicted and of
    # two true, F1 1/2. Class 2 does not occur; class 3 is predicted only, F1 0.
    # Together: 2 right of 5 predicted and of 4 true, F1 4/9.
    expected = {'mAP': (5 / 6 + 7 / 12) / 2, 'micro_f1': 4 / 9, 'macro_f1': 1 / 3}
    assert result == pytest.approx(expected)


def test_the_threshold_moves_f1_and_not_map():
    low, middle = score(PROBABILITIES, TARGETS, threshold=0.15), score(PROBABILITIES, TARGETS)
    assert low['mAP'] == middle['mAP']
    # Predicted: 11-1, 111-, 1111. Right: 4 of 10 predicted and of 4 true.
    assert low['micro_f1'] == pytest.approx(2 * 4 / (10 + 4))


def test_no_label_at_all_scores_zero_without_a_warning():
    nothing = score([[0.1, 0.2], [0.3, 0.4]], [[0, 0], [0, 0]])
    assert nothing == {'mAP': 0.0, 'micro_f1': 0.0, 'macro_f1': 0.0}


def test_soft_labels_count_from_one_half():
    result = score([[0.9, 0.1], [0.2, 0.9]], [[0.5, 0.4], [0.1, 1.0]])
    assert result == {'mAP': 1.0, 'micro_f1': 1.0, 'macro_f1': 1.0}


def test_padding_of_a_distributed_sampler_is_cut_off():
    result = score([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]], [[1, 0], [0, 1], [1, 0]], size=2)
    assert result['micro_f1'] == 1.0


def test_a_threshold_outside_is_refused():
    with pytest.raises(ValueError, match=r'threshold=1.0.*\(0, 1\)'):
        MultiLabelScores(threshold=1.0)
