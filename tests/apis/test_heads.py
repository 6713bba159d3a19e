"""What each head says, in words: of models whose every weight is known."""

import math

import numpy as np
import pytest
import torch

from mmcalib.apis import Inferencer


def saved(path, head, weight, bias, classes=None, **data):
    """A checkpoint of a model that joins the mean of `text` (L, 2) and of `audio` (L, 1)."""
    encoders = {'text': {'type': 'Features', 'dim': 2}, 'audio': {'type': 'Features', 'dim': 1}}
    dataset = {'type': 'MOSI', 'root': '', 'split': 'test', 'keep': 'first'}
    config = {
        'model': {
            'type': 'MultimodalModel',
            'encoders': encoders,
            'fuser': {'type': 'Concat'},
            'head': head,
        },
        'test_dataloader': {'dataset': dataset},
    }
    meta = {'config': config, 'dataset_meta': {'modalities': ('text', 'audio'), **data}}
    if classes:
        meta['dataset_meta']['classes'] = classes
    state = {'head.linear.weight': torch.tensor(weight), 'head.linear.bias': torch.tensor(bias)}
    torch.save({'meta': meta, 'state_dict': state}, path)
    return Inferencer(path, 'cpu')


SAMPLE = {'text': [[1.0, 2.0], [3.0, 2.0]], 'audio': [[0.5]]}  # means 2, 2 and 0.5


def test_one_label(tmp_path):
    rows = [[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]  # logits 2 and 1
    found = saved(tmp_path / 'a', {'type': 'Classify', 'num_classes': 2}, rows, [0.0, 0.0], 'xy')(
        SAMPLE
    )
    assert found.prediction == 'x' and found.output.tolist() == [2.0, 1.0]
    share = 1 / (1 + math.exp(-1))
    assert found.probability == pytest.approx({'x': share, 'y': 1 - share})
    assert found.value == found.gate == {'text': None, 'audio': None} and found.evidence == {}
    nameless = saved(tmp_path / 'b', {'type': 'Classify', 'num_classes': 2}, rows, [0.0, 0.0])
    assert nameless(SAMPLE).prediction == '0'


def test_several_labels(tmp_path):
    rows = [[1.0, 0.0, 0.0], [0.0, 0.0, -2.0], [0.0, 0.0, 0.2]]  # logits 2, -1, 0.1
    head = {'type': 'MultiLabel', 'num_classes': 3}
    found = saved(tmp_path / 'a', head, rows, [0.0] * 3, ['x', 'y', 'z'])(SAMPLE)
    assert found.prediction == ['x', 'z'] and found.words() == 'x, z'
    shares = {'x': 1 / (1 + math.exp(-2)), 'y': 1 / (1 + math.e), 'z': 1 / (1 + math.exp(-0.1))}
    assert found.probability == pytest.approx(shares)
    none = saved(tmp_path / 'b', head, rows, [-9.0] * 3, ['x', 'y', 'z'])(SAMPLE)
    assert none.prediction == [] and none.words() == 'none of the classes'


def test_numbers(tmp_path):
    one = saved(tmp_path / 'a', {'type': 'Regress'}, [[1.0, 0.0, 1.0]], [0.5])(SAMPLE)
    assert one.prediction == 3.0 and one.probability is None and one.words() == '3'
    assert one.draw(tmp_path / 'a.png').stat().st_size > 1000
    rows = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    two = saved(tmp_path / 'b', {'type': 'Regress', 'outputs': 2}, rows, [0.0, 0.0])(SAMPLE)
    assert two.prediction == [2.0, 0.5] and two.words() == '2, 0.5'


def test_a_label_per_segment(tmp_path):
    # Segment by segment, two classes each: logits (2, 0), then (0, 0.5).
    rows = [[1.0, 0, 0], [0.0, 0, 0], [0.0, 0, 0], [0.0, 0, 1.0]]
    head = {'type': 'Localize', 'segments': 2, 'num_classes': 2}
    found = saved(tmp_path / 'a', head, rows, [0.0] * 4, ['x', 'y'])(SAMPLE)
    assert found.prediction == ['x', 'y'] and found.words() == 'x, y'
    first, second = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(0.5))
    assert found.probability['x'] == pytest.approx([first, second])
    assert found.top() == pytest.approx({'x': (first + second) / 2, 'y': 1 - (first + second) / 2})


def test_a_sequence_of_nothing_is_missing(tmp_path):
    rows = [[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
    inferencer = saved(tmp_path / 'a', {'type': 'Classify', 'num_classes': 2}, rows, [0.0, 0.0])
    zeros = inferencer({**SAMPLE, 'audio': np.zeros((3, 1))})
    assert zeros.missing == ('audio',)
    assert zeros.output.tolist() == inferencer(text=SAMPLE['text']).output.tolist()
    with pytest.raises(ValueError, match='all modalities are missing'):
        inferencer(audio=np.zeros((3, 1)))
    padded = inferencer({**SAMPLE, 'text': [[0.0, 0.0], *SAMPLE['text'], [0.0, 0.0]]})
    assert padded.output.tolist() == inferencer(SAMPLE).output.tolist()
