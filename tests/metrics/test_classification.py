import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmcalib.metrics.classification import Classification


def samples(scores, targets):
    logits = torch.tensor(scores).log()
    return [
        {'prediction': p, 'target': torch.tensor(t)} for p, t in zip(logits, targets, strict=True)
    ]


SCORES = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]]
TARGETS = [0, 1, 1, 0]


def test_scores_are_those_computed_by_hand():
    metric = Classification()
    metric.process({}, samples(SCORES[:2], TARGETS[:2]))
    metric.process({}, samples(SCORES[2:], TARGETS[2:]))
    result = metric.evaluate(size=4)
    # Predicted 0 1 0 1: of each class one of two right, F1 1/2. Class 2 does not occur.
    # AP of class 0, ranked .7+ .5- .3+ .1-: (1 + 2/3) / 2. Class 1, ranked .8+ .6- .4+ .2-: same.
    assert result == pytest.approx({'accuracy': 0.5, 'macro_f1': 0.5, 'mAP': 5 / 6})
    assert {type(v) for v in result.values()} == {float}


def test_a_predicted_class_without_targets_counts_in_macro_f1_and_not_in_map():
    metric = Classification()
    metric.process({}, samples([[0.1, 0.2, 0.7], [0.2, 0.7, 0.1]], [1, 1]))
    # Class 1: precision 1, recall 1/2, F1 2/3. Class 2: F1 0.
    result = metric.evaluate(size=2)
    np.testing.assert_allclose(result['macro_f1'], 1 / 3)
    assert result['mAP'] == 1.0


def test_padding_of_a_distributed_sampler_is_cut_off():
    metric = Classification()
    metric.process({}, samples([*SCORES, SCORES[0]], [*TARGETS, TARGETS[0]]))
    assert metric.evaluate(size=4)['accuracy'] == 0.5


def test_the_table_names_every_class_that_occurs(caplog, capsys):
    MMLogger.get_instance('table', logger_name='table')
    metric = Classification(table=True)
    metric.dataset_meta = {'classes': ['bell', 'bark', 'flute']}
    metric.process({}, samples(SCORES, TARGETS))
    metric.evaluate(size=4)
    out = capsys.readouterr()
    lines = [line.split() for line in (out.out + out.err).splitlines()]
    assert ['bell', '2', '0.500', '0.500', '0.500', '0.833'] in lines
    assert not any('flute' in line for line in lines)
