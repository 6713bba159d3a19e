"""Which items are drawn, and that everything can be."""

import cv2
import numpy as np
import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.plots.inputs import pixels
from mmcalib.transforms.normalize import Normalize
from mmcalib.verification.contact_sheet import choose, draw, pick_two
from mmcalib.verification.facts import Record, channels_first, read
from mmcalib.verification.splits import Split

SHAPES = {
    'visual': (3, 3, 32, 32),
    'image': (1, 28, 28, 1),
    'flow': (2, 2, 32, 32),
    'audio': (1, 1, 65, 31),
    'sound': (1, 4000),
    'text': (7, 12),
    'words': (9,),
}


class Everything:
    """Items with every kind of input; the second lacks each of them."""

    metainfo = {'name': 'Every$_$thing', 'modalities': tuple(SHAPES), 'classes': ('a$_b', 'c')}

    def __init__(self):
        self.transforms = {'flow': [Normalize([0.5, 0.5], [0.5, 0.5])], 'visual': [Normalize()]}

    def __len__(self):
        return 4

    def __getitem__(self, k):
        random = torch.Generator().manual_seed(k)
        there = k != 1
        inputs = {
            m: Signal(torch.randn(s, generator=random), torch.full(s[:1], there))
            for m, s in SHAPES.items()
        }
        inputs['words'] = Signal((inputs['words'].x * 100).long(), inputs['words'].mask)
        name = f'{k}$_$' + 'long' * 40
        return {'inputs': inputs, 'target': torch.tensor(k % 2), 'id': name, 'unreadable': {}}


def record(split, name, target=0):
    return Record(split, 0, name, np.array(target), {}, {})


def test_at_most_twelve_classes_are_chosen_evenly():
    records = [record('train', str(k), target=2 * k) for k in range(30) for _ in range(3)]
    rows, total = choose(records, [f'c{k}' for k in range(60)])
    assert total == 30
    numbers = [int(row.label[1:]) // 2 for row in rows]
    assert len(rows) == 12 and (numbers[0], numbers[-1]) == (0, 29)
    assert set(np.diff(numbers)) == {2, 3}
    assert all(len(row.records) == 2 for row in rows)


def test_numbers_to_predict_are_drawn_from_low_to_high():
    values = np.random.default_rng(0).permutation(60) / 10
    rows, total = choose([record('train', str(v), v) for v in values], None)
    assert total == 0 and [row.label for row in rows][::5] == ['0 to 0.9', '5 to 5.9']
    assert len(rows) == 6


def test_a_sample_of_several_labels_is_one_of_each():
    rows, _ = choose([record('train', 'x', [1.0, 0.0, 1.0])], ('a', 'b', 'c'))
    assert [row.label for row in rows] == ['a', 'c']


def test_two_items_are_of_different_splits_where_there_are_any():
    a, b, c = record('train', 'a'), record('train', 'b'), record('test', 'c')
    assert pick_two([a, b, c]) == [a, c]
    assert pick_two([a, b]) == [a, b]
    assert pick_two([a]) == [a]


def test_pixels_are_those_before_the_transform():
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    transform = Normalize()
    x = transform(frames, np.random.default_rng(0))
    assert np.array_equal(pixels(x, [transform]), frames)
    assert np.array_equal(pixels(channels_first(frames), []), frames)
    assert np.array_equal(pixels(channels_first(frames.transpose(0, 3, 1, 2)), []), frames)


@pytest.mark.parametrize('classes', [True, False])
def test_every_kind_of_input_is_drawn_also_where_it_is_missing(tmp_path, classes):
    data = Everything()
    if not classes:
        data.metainfo = {k: v for k, v in data.metainfo.items() if k != 'classes'}
    splits = {'train': Split(data, data), 'test': Split(data, data)}
    draw(splits, read(splits), tmp_path / 'sheet.png')
    picture = cv2.imread(str(tmp_path / 'sheet.png'))
    assert picture.shape[1] == round((1.1 + 2 * 1.9 * len(SHAPES)) * 90)
    assert picture.std() > 20
