"""Scores of single items: their mean is the metric of mmcalib/metrics."""

import numpy as np
import pytest
import torch
from result_folders import write_classified, write_run

from mmcalib.comparison.item_scores import check_same_items, item_scores
from mmcalib.comparison.result import read_result
from mmcalib.metrics.classification import Classification
from mmcalib.metrics.segment_accuracy import SegmentAccuracy
from mmcalib.metrics.sentiment import Sentiment


def scored(metric, prediction, target):
    """What the metric itself says."""
    samples = zip(torch.tensor(prediction), torch.tensor(target), strict=True)
    metric.process(None, [dict(prediction=p, target=t) for p, t in samples])
    return metric.compute_metrics(metric.results)


def cases():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(60, 4)).astype(np.float32)
    classes = generator.integers(4, size=60)
    yield logits, classes, Classification(), ['accuracy']
    segments = generator.normal(size=(60, 4, 5)).astype(np.float32)
    labels = generator.integers(4, size=(60, 5))
    yield segments, labels, SegmentAccuracy(), ['segment_accuracy']
    yield segments, np.eye(4)[labels], SegmentAccuracy(), ['segment_accuracy']
    felt = np.round(generator.uniform(-3, 3, 60), 1).astype(np.float32)
    felt[:9] = 0
    said = (felt + generator.normal(size=60)).astype(np.float32) * 1.5
    said[6:12] = 0
    wanted = ['MAE', 'acc7', 'acc5', 'acc2_has0', 'acc2_non0']
    yield said, felt, Sentiment(), wanted
    yield said[:, None], felt[:, None], Sentiment(), wanted


@pytest.mark.parametrize('case', list(cases()), ids=lambda case: type(case[2]).__name__)
def test_the_mean_over_items_is_the_metric(case, tmp_path):
    prediction, target, metric, names = case
    test = scored(metric, prediction, target)
    result = read_result(write_run(tmp_path / 'run', prediction, target, test))
    for name in names:
        scores = item_scores(result, name)
        assert scores.mean() == pytest.approx(test[name], abs=1e-7), name
        assert len(scores) == (51 if name == 'acc2_non0' else 60)
    for name in test.keys() - set(names):
        assert item_scores(result, name) is None, f'{name} is no mean over items'


def test_scores_come_in_order_of_the_ids(tmp_path):
    result = read_result(write_classified(tmp_path / 'run', [1, 0, 0], id=['b', 'c', 'a']))
    assert item_scores(result, 'accuracy').tolist() == [0, 1, 0]


def test_predictions_of_another_shape_have_no_scores(tmp_path):
    target = np.zeros(4)
    result = read_result(write_run(tmp_path / 'run', np.zeros(4), target, {'accuracy': 1.0}))
    assert item_scores(result, 'accuracy') is None
    assert item_scores(result, 'segment_accuracy') is None
    several = read_result(write_run(tmp_path / 'two', np.zeros((4, 2)), target, {'MAE': 0.0}))
    assert item_scores(several, 'MAE') is None


def test_predictions_of_another_run_are_noticed(tmp_path):
    right = [1, 0, 1, 1]
    close = write_classified(tmp_path / 'close', right, test={'accuracy': 0.5})
    assert item_scores(read_result(close), 'accuracy').mean() == 0.75, 'one item, a tie perhaps'
    far = write_classified(tmp_path / 'far', right, test={'accuracy': 0.4999})
    with pytest.raises(ValueError, match=r'far: test.json says accuracy 0.499900.*gives 0.750000'):
        item_scores(read_result(far), 'accuracy')


def test_the_same_items_in_another_order_are_the_same(tmp_path):
    a = read_result(write_classified(tmp_path / 'a', [1, 1, 1], id=['x', 'y', 'z']))
    turned = write_run(
        tmp_path / 'b', np.zeros((3, 3)), np.array([2, 0, 1]), {}, id=['z', 'x', 'y']
    )
    check_same_items([a, read_result(turned)])


def test_other_items_are_named_with_both_runs(tmp_path):
    a = read_result(write_classified(tmp_path / 'a', [1, 1, 1], id=['x', 'y', 'z']))
    b = read_result(write_classified(tmp_path / 'b', [1, 1, 1], id=['x', 'y', 'w']))
    with pytest.raises(ValueError, match=r"/a and .*/b were .* 3 and 3 items, 2 ids .* 'w'"):
        check_same_items([a, b])
    fewer = read_result(write_classified(tmp_path / 'c', [1, 1], id=['x', 'y']))
    with pytest.raises(ValueError, match=r'/a and .*/c were tested on 3 and 2 items'):
        check_same_items([a, a, fewer])


def test_other_targets_are_named_with_both_runs(tmp_path):
    a = read_result(write_classified(tmp_path / 'a', [1, 1, 1]))
    target = np.array([0, 1, 1])
    b = read_result(write_run(tmp_path / 'b', np.zeros((3, 3)), target, {}))
    with pytest.raises(ValueError, match=r'/a and .*/b have other targets for the same ids'):
        check_same_items([a, b])


def test_targets_that_are_nowhere_known_agree(tmp_path):
    target = np.array([0.5, np.nan])
    a, b = (
        read_result(write_run(tmp_path / name, np.zeros(2), target, {'MAE': 0.0})) for name in 'ab'
    )
    check_same_items([a, b])
