"""Counts and moments against numpy and by hand."""

import numpy as np
import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.verification.facts import Record, look_at
from mmcalib.verification.tables import (
    class_counts,
    class_table,
    histogram,
    lengths,
    numbers,
    shape_text,
    table,
)


def records(split, arrays, modality='text'):
    made = []
    for k, x in enumerate(arrays):
        signal = Signal(torch.from_numpy(x), torch.ones(len(x), dtype=torch.bool))
        facts = {modality: look_at(modality, signal)}
        made.append(Record(split, k, str(k), np.array(0), {}, facts))
    return made


def cells(lines):
    return [line.split() for line in lines]


def test_columns_are_aligned():
    assert table([['a', 10], ['long', 5]]) == ['  a     10', '  long   5']


def test_classes_are_counted_of_items_of_segments_and_among_several_labels():
    assert class_counts(np.array([0, 2, 2]), 4).tolist() == [1, 0, 2, 0]
    assert class_counts(np.array([[0, 2], [2, 2]]), 3).tolist() == [1, 0, 3]
    assert class_counts(np.array([[1.0, 0.0], [1.0, 1.0]]), 2).tolist() == [2, 1]


def test_a_class_table_has_each_split_the_majority_and_what_is_empty():
    targets = {'train': np.array([0, 0, 0, 2]), 'test': np.array([2, 0])}
    assert cells(class_table(targets, ('cat', 'dog', 'owl'))) == [
        ['class', 'train', 'test'],
        ['cat', '3', '1'],
        ['owl', '1', '1'],
        ['majority', '75.0%', '50.0%'],
        ['1', 'of', '3', 'classes', 'have', 'no', 'item'],
    ]


def test_of_segments_the_majority_is_one_of_segments():
    targets = {'train': np.array([[0, 0, 0, 1], [0, 1, 1, 1]])}
    assert cells(class_table(targets, ('a', 'b')))[-1] == ['majority', '50.0%']


def test_of_many_classes_the_largest_and_smallest_are_shown():
    targets = {'train': np.repeat(np.arange(50), np.arange(1, 51))}
    lines = cells(class_table(targets, [f'c{k}' for k in range(50)]))
    assert len(lines) == 1 + 40 + 1 + 1
    assert lines[1] == ['c49', '50'] and lines[40] == ['c0', '1']


def test_a_histogram_has_moments_and_every_number_once():
    train = np.random.default_rng(0).normal(0, 1, 200)
    lines = histogram({'train': train, 'test': np.array([-3.0, 5.0])})
    assert lines[1].split() == [
        'train',
        *(f'{n:.3f}' for n in (train.mean(), train.std(), train.min(), train.max())),
    ]
    bars = [line.split() for line in lines[3:]]
    assert sum(int(bar[3]) for bar in bars) == 202
    assert (bars[0][0], bars[-1][2]) == ('-3.00', '5.00')
    assert max(len(bar[4]) for bar in bars if len(bar) > 4) == 40


def test_moments_are_those_of_all_numbers_of_a_split():
    random = np.random.default_rng(0)
    arrays = [random.normal(k, 2, (k + 1, 4)).astype('f4') for k in range(5)]
    row = numbers([*records('train', arrays), *records('val', [np.ones((1, 4), 'f4')])])
    every = np.concatenate(arrays).astype(np.float64)
    moments = [f'{n:.4g}' for n in (every.mean(), every.std(), every.min(), every.max())]
    assert row[1].split() == ['text', 'train', '(1..5,', '4)', 'float32', *moments, '0', 'of', '5']
    assert row[2].split()[-3:] == ['1', 'of', '1']


def test_moments_are_of_a_sample_but_constant_inputs_are_counted_in_all():
    arrays = [np.array([[k, k + 1]], 'f4') for k in range(2000)]
    arrays += [np.zeros((1, 2), 'f4')] * 1000
    row = numbers(records('train', arrays))[1].split()
    assert row[-3:] == ['1000', 'of', '3000']
    mean = 1000 * 2000 / 3000
    assert float(row[5]) == pytest.approx(mean, rel=0.15)
    assert f'{np.concatenate(arrays).mean():.4g}' != row[5]


def test_lengths_are_real_tokens():
    arrays = [np.ones((k, 4), 'f4') for k in (3, 9, 4)]
    assert lengths(records('val', arrays))[1].split() == ['text', 'val', '3', '4', '9']


def test_an_axis_that_varies_is_told_as_its_span():
    assert shape_text([(1, 3, 8), (1, 3, 8)]) == '(1, 3, 8)'
    assert shape_text([(5, 74), (50, 74)]) == '(5..50, 74)'
    assert shape_text([(1, 3), (1, 3, 2)]) == '(1, 3) or (1, 3, 2)'
