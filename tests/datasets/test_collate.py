"""Collating against torch.stack, and padding by hand."""

import pytest
import torch
from mmengine.runner import Runner

from mmcalib.contract import Signal
from mmcalib.datasets.collate import collate


def item(name: str, length: int, fill: float, **more) -> dict:
    x = torch.full((length, 2, 3), fill)
    audio = Signal(torch.full((1, 4), fill), torch.tensor([fill > 0]))
    inputs = {'visual': Signal(x, torch.ones(length, dtype=torch.bool)), 'audio': audio}
    return {'inputs': inputs, 'target': torch.tensor(int(fill)), 'id': name, **more}


def test_equal_lengths_are_stacked():
    items = [item('a', 2, 1.0), item('b', 2, 2.0, unreadable={'audio': 'gone'})]
    batch = collate(items)
    for modality in ('visual', 'audio'):
        expected = torch.stack([i['inputs'][modality].x for i in items])
        assert torch.equal(batch['inputs'][modality].x, expected)
    assert list(batch['inputs']) == ['visual', 'audio']
    assert batch['inputs']['visual'].mask.shape == (2, 2)
    assert batch['target'].tolist() == [1, 2] and batch['target'].dtype == torch.int64
    assert batch['id'] == ['a', 'b']
    assert batch['unreadable'] == [{}, {'audio': 'gone'}]


def test_shorter_signals_are_padded_with_tokens_that_are_not_real():
    batch = collate([item('a', 1, 1.0), item('b', 3, 2.0)])
    visual = batch['inputs']['visual']
    assert visual.x.shape == (2, 3, 2, 3)
    assert visual.mask.tolist() == [[True, False, False], [True, True, True]]
    assert visual.x[0, 0].eq(1).all() and visual.x[0, 1:].eq(0).all() and visual.x[1].eq(2).all()


def test_an_absent_modality_stays_absent():
    batch = collate([item('a', 2, 0.0), item('b', 2, 1.0)])
    assert batch['inputs']['audio'].present.tolist() == [False, True]


def test_token_ids_without_further_axes_are_padded_too():
    items = []
    for name, length in (('a', 2), ('b', 4)):
        signal = Signal(torch.arange(length), torch.ones(length, dtype=torch.bool))
        items.append({'inputs': {'text': signal}, 'target': torch.tensor(0.5), 'id': name})
    assert collate(items)['inputs']['text'].x.tolist() == [[0, 1, 0, 0], [0, 1, 2, 3]]


def test_other_shapes_are_an_error_that_names_the_samples():
    small = item('small', 2, 1.0)
    small['inputs']['visual'] = Signal(torch.zeros(2, 2, 5), torch.ones(2, dtype=torch.bool))
    with pytest.raises(
        ValueError, match=r'visual tokens.*big has \(L, 2, 3\), small has \(L, 2, 5'
    ):
        collate([item('big', 2, 1.0), small])


def test_other_modalities_are_an_error_that_names_the_samples():
    deaf = item('deaf', 2, 1.0)
    del deaf['inputs']['audio']
    with pytest.raises(
        ValueError, match=r"whole has \['visual', 'audio'\], but deaf has \['visual'"
    ):
        collate([item('whole', 2, 1.0), deaf])


def test_a_config_names_it():
    loader = Runner.build_dataloader(
        {
            'dataset': torch.utils.data.ConcatDataset([[item('a', 1, 1.0), item('b', 2, 2.0)]]),
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'batch_size': 2,
            'collate_fn': {'type': 'mmcalib.collate'},
        }
    )
    assert next(iter(loader))['id'] == ['a', 'b']
