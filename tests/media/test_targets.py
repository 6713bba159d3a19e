"""Targets against numbers typed by hand."""

import numpy as np
import pytest
import torch

from mmcalib.media.table import Row
from mmcalib.media.targets import read_targets


def splits(**cells) -> dict[str, list[Row]]:
    """Rows whose target is each cell; None for an empty one."""
    return {
        split: [Row(f'{split} {k}', {} if c is None else {'y': c}) for k, c in enumerate(column)]
        for split, column in cells.items()
    }


def test_classes_are_the_sorted_labels_of_train():
    got = read_targets(
        splits(train=['cat', 'ant', 'cat', None], test=['ant']), 'y', 'classification'
    )
    assert got.classes == ('ant', 'cat')
    assert [None if t is None else int(t) for t in got.by_split['train']] == [1, 0, 1, None]
    assert got.by_split['test'][0].dtype == torch.int64 and got.by_split['test'][0].ndim == 0


def test_whole_numbers_are_sorted_by_value():
    for labels in (['10', '9', '2'], [10, 9, 2], [10.0, 9.0, 2.0]):
        got = read_targets(splits(train=labels), 'y', 'classification')
        assert got.classes == ('2', '9', '10')
        assert [int(t) for t in got.by_split['train']] == [2, 1, 0]


def test_named_classes_fix_the_order_and_numbers_are_places_among_names():
    got = read_targets(splits(train=['cat', 'ant']), 'y', 'classification', ['cat', 'bee', 'ant'])
    assert [int(t) for t in got.by_split['train']] == [0, 2]
    got = read_targets(splits(train=['2', '0']), 'y', 'classification', ['cat', 'bee', 'ant'])
    assert [int(t) for t in got.by_split['train']] == [2, 0] and got.classes[2] == 'ant'
    got = read_targets(splits(train=['2', '0']), 'y', 'classification', ['2', '0'])
    assert [int(t) for t in got.by_split['train']] == [0, 1], 'names that are numbers are names'


def test_many_labels_are_ones_in_a_row_of_zeros():
    cells = ['a|c', ' c | b ', None, [], ['b'], ['a', 'a']]
    got = read_targets(splits(train=cells), 'y', 'multilabel')
    expected = [[1, 0, 1], [0, 1, 1], [0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_array_equal(torch.stack(got.by_split['train']), expected)
    assert got.classes == ('a', 'b', 'c')
    matrix = np.array([[0, 1, 1], [1, 0, 0]])
    got = read_targets(splits(train=list(matrix)), 'y', 'multilabel', ['p', 'q', 'r'])
    np.testing.assert_array_equal(torch.stack(got.by_split['train']), matrix)


def test_numbers_stay_numbers():
    got = read_targets(splits(train=['-1.5', 2, None, float('nan'), '0']), 'y', 'regression')
    assert [None if t is None else t.item() for t in got.by_split['train']] == [
        -1.5,
        2,
        None,
        None,
        0,
    ]
    assert got.classes == () and got.by_split['train'][0].ndim == 0
    got = read_targets(splits(train=[[1, 2], '3 4']), 'y', 'regression')
    assert torch.stack(got.by_split['train']).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ('task', 'cells', 'classes', 'why'),
    [
        ('classification', dict(train=['cat'], test=['cta']), None, r"test 0: y 'cta' .*\['cat'\]"),
        ('classification', dict(train=['cat', ['cat']]), None, r"train 1: y .*task='multilabel'"),
        ('classification', dict(train=['7']), ['a', 'b'], r"'7' is none of the 2 classes"),
        (
            'classification',
            dict(dev=['a']),
            None,
            r"split 'train', but .*\['dev'\].*name the classes",
        ),
        ('classification', dict(train=['a']), ['a', 'b', 'a'], 'more than once'),
        ('multilabel', dict(train=['a'], val=['a|z']), None, r"val 0: y 'z' is none of the 1"),
        ('multilabel', dict(train=[np.array([0, 2])]), None, 'zeros and ones'),
        ('regression', dict(train=['1', 'high']), None, r"train 1: y is 'high', not a number"),
        ('regression', dict(train=['inf']), None, 'finite'),
    ],
)
def test_what_is_no_target_is_named(task, cells, classes, why):
    with pytest.raises(ValueError, match=why):
        read_targets(splits(**cells), 'y', task, classes)
