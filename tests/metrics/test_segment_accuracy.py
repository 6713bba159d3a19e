import torch
from mmengine.logging import MMLogger
from torch.nn import functional as F

from mmcalib.heads.localize import Localize
from mmcalib.metrics.segment_accuracy import SegmentAccuracy

PREDICTED = [[0, 0, 2, 2], [1, 1, 1, 2], [2, 2, 2, 2]]
TARGETS = [[0, 0, 0, 2], [1, 2, 1, 2], [2, 2, 2, 2]]


def samples():
    return [
        {'prediction': F.one_hot(torch.tensor(p), 3).T.float(), 'target': torch.tensor(t)}
        for p, t in zip(PREDICTED, TARGETS, strict=True)
    ]


def test_accuracy_is_the_share_of_right_segments():
    metric = SegmentAccuracy()
    metric.process({}, samples()[:1])
    metric.process({}, samples()[1:])
    result = metric.evaluate(size=3)
    assert result == {'segment_accuracy': 10 / 12}
    assert type(result['segment_accuracy']) is float


def test_a_target_may_be_one_hot():
    metric = SegmentAccuracy()
    metric.process({}, [{**s, 'target': F.one_hot(s['target'], 3)} for s in samples()])
    assert metric.evaluate(size=3) == {'segment_accuracy': 10 / 12}


def test_padding_of_a_distributed_sampler_is_cut_off():
    metric = SegmentAccuracy()
    metric.process({}, samples())
    assert metric.evaluate(size=2) == {'segment_accuracy': 6 / 8}


def test_it_reads_what_localize_predicts():
    head = Localize(5, segments=4, num_classes=3)
    x = torch.randn(6, 5)
    target = (x @ head.linear.weight.T + head.linear.bias).reshape(6, 4, 3).argmax(-1)
    metric = SegmentAccuracy()
    rows = zip(head(x), target, strict=True)
    metric.process({}, [{'prediction': p, 'target': t} for p, t in rows])
    assert metric.evaluate(size=6) == {'segment_accuracy': 1.0}


def test_the_table_names_every_class_that_occurs(capsys):
    MMLogger.get_instance('segments', logger_name='segments')
    for names, called in ((['bell', 'bark'], ['bell', 'bark', '2']), (None, ['0', '1', '2'])):
        metric = SegmentAccuracy(table=True)
        metric.dataset_meta = {'classes': names} if names else None
        metric.process({}, samples())
        metric.evaluate(size=3)
        out = capsys.readouterr()
        lines = [line.split() for line in (out.out + out.err).splitlines()]
        # Background 2 has no name among those of the events.
        counts = (['3', '0.667'], ['2', '1.000'], ['7', '0.857'])
        for name, numbers in zip(called, counts, strict=True):
            assert [name, *numbers] in lines
