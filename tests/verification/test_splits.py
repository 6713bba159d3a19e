"""Configs without augmentation, and which split selects."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmcalib.apis.train import selection as recorded
from mmcalib.config import plain
from mmcalib.verification.splits import Split, ids, seconds, selection, still, targets

RANDOM = [dict(type='RandomFlip'), dict(type='Normalize')]
FIXED = [dict(type='Normalize')]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmcalib')


def test_a_training_split_is_read_with_the_transforms_of_test_and_without_chance():
    train = dict(type='AVE', root='a', split='train', visual=RANDOM, audio=FIXED, frames=3)
    test = dict(type='AVE', root='b', split='test', visual=FIXED, audio=[], frames=1)
    assert still(train, test) == dict(
        type='AVE',
        root='a',
        split='train',
        visual=FIXED,
        audio=[],
        frames=3,
        random_times=False,
        on_error='missing',
    )


def test_only_what_a_data_set_takes_is_given():
    table = dict(type='Manifest', root='a', split='train', modalities=['audio'])
    assert still(table, {**table, 'modalities': ['image']}) == dict(
        table, training=False, on_error='missing'
    )
    pickle = dict(type='MOSI', root='a', split='train')
    assert still(pickle, pickle) == dict(pickle, on_error='missing')


def test_what_takes_modalities_away_is_taken_away():
    inner = dict(type='AVE', root='a')
    assert plain(dict(type='Missing', dataset=inner, rate=0.5)) == inner


def test_names_targets_and_durations_are_told_without_reading():
    event = SimpleNamespace(id='x', start_s=1.0, end_s=3.5)
    whole = SimpleNamespace(id='y', start_s=0.0, end_s=np.inf)
    data = SimpleNamespace(ids=['x', 'y'], events=[event, whole], targets=[torch.tensor(1), 0])
    assert ids(data) == ['x', 'y']
    assert targets(data).tolist() == [1, 0]
    assert seconds(data).tolist() == [2.5]
    inner = SimpleNamespace(utterances=SimpleNamespace(targets=np.array([0.5, -1.0])))
    assert targets(inner).tolist() == [0.5, -1.0]
    assert ids(inner) is None and targets(SimpleNamespace()) is None and not len(seconds(inner))
    assert ids(SimpleNamespace(ids=('a', 3))) == ['a', '3']


def choose(meta, names):
    splits = {s: Split(SimpleNamespace(metainfo=m), None) for s, m in meta.items()}
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(save_best='accuracy'))))
    return selection(cfg, names, splits)


@pytest.mark.parametrize(
    ('meta', 'val'),
    [
        ({'split': 'val', 'validation': 'test'}, ['b']),  # others than those that were read
        ({'split': 'test'}, ['b']),
        ({'split': 'val'}, ['b', 'a']),
    ],
    ids=['by argument', 'by split', 'by ids'],
)
def test_selection_on_test_is_shouted(meta, val):
    names = {'val': val, 'test': ['a', 'b']}
    told = choose({'val': meta, 'test': {'split': 'test'}}, names)
    assert told.wrong and '!!! THE TEST SPLIT SELECTS CHECKPOINTS !!!' in told.text


def test_selection_on_val_is_told_with_what_is_best():
    meta = {'val': {'split': 'val', 'validation': 'train'}, 'test': {'split': 'test'}}
    told = choose(meta, {'val': ['a'], 'test': ['b']})
    assert not told.wrong and "val selects checkpoints (save_best='accuracy')" in told.text
    told = choose({'test': {'split': 'test'}}, {'test': ['b']})
    assert not told.wrong and 'No split selects' in told.text


@pytest.mark.parametrize(
    ('val', 'meta', 'split'),
    [
        (['a'], {}, 'val'),
        (['b'], {}, 'test'),
        (['a'], {'validation': 'test'}, 'test'),
        (None, {}, 'val'),
    ],
)
def test_a_record_says_which_split_selected(val, meta, split):
    def loader(ids, **given):
        data = SimpleNamespace(metainfo=given) if ids is None else None
        return SimpleNamespace(dataset=data or SimpleNamespace(ids=ids, metainfo=given))

    best = SimpleNamespace(get_info=lambda name: 0.5)
    runner = SimpleNamespace(
        val_dataloader=loader(val, **meta), test_dataloader=loader(['b']), message_hub=best
    )
    cfg = Config(
        dict(
            default_hooks=dict(checkpoint=dict(save_best='accuracy')),
            val_dataloader=dict(dataset=dict(split='val')),
            test_dataloader=dict(),
        )
    )
    assert recorded(cfg, runner, {'epoch': 3})['split'] == split
