"""Missing: what is taken, how often, and that nothing but (seed, modality, sample) decides."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmcalib.contract import Draw, Signal
from mmcalib.datasets.collate import collate
from mmcalib.datasets.missing import Missing
from mmcalib.engine.epoch_sampler import EpochSampler
from mmcalib.registry import DATASETS

MODALITIES = ('audio', 'video', 'text')


@DATASETS.register_module(force=True)
class Whole(Dataset):
    """Every modality of every sample, but for those that are `gone`; text varies in length."""

    METAINFO = {'name': 'Whole'}

    def __init__(self, size=4000, modalities=MODALITIES, split='test', gone=()):
        self.size, self.modalities, self.gone = size, modalities, gone
        self.metainfo = {'name': 'Whole', 'modalities': modalities, 'classes': ('a', 'b')}
        if split:
            self.metainfo['split'] = split

    def __len__(self):
        return self.size

    def __getitem__(self, key):
        draw = key if isinstance(key, Draw) else Draw(range(self.size)[key])
        inputs = {}
        for m in self.modalities:
            length = 1 + draw.sample % 3 if m == 'text' else 2
            there = m not in self.gone
            x = torch.full((length, 2), float(draw.sample + 1) * there)
            inputs[m] = Signal(x, torch.full((length,), there))
        return {
            'inputs': inputs,
            'target': torch.tensor(draw.sample % 2),
            'id': str(draw.sample),
            'unreadable': {'audio': 'gone'} if self.gone else {},
        }


def kept(data: Dataset, keys=None) -> np.ndarray:
    """(N, M): what each sample has."""
    items = [data[k] for k in (range(len(data)) if keys is None else keys)]
    return np.array([[bool(s.mask.any()) for s in i['inputs'].values()] for i in items])


def close(share: float, expected: float, n: int) -> bool:
    """Within five standard errors of a binomial."""
    return abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / n) + 1e-12


def test_what_is_taken_is_zero_and_declared_and_the_rest_is_as_it_was():
    whole = Whole(60)
    data = Missing(whole, rate=0.5)
    assert 0 < kept(data).sum() < 180
    for k in range(60):
        item, before = data[k], whole[k]
        assert list(item['inputs']) == list(MODALITIES)
        assert item['id'] == before['id'] and item['target'] == before['target']
        for m, (x, mask) in item['inputs'].items():
            if mask.any():
                assert torch.equal(x, before['inputs'][m].x) and mask.all()
            else:
                assert x.eq(0).all() and x.shape == before['inputs'][m].x.shape
    assert data[-1]['id'] == '59'
    with pytest.raises(IndexError):
        data[60]


def test_without_keep_one_each_modality_goes_at_its_rate_and_on_its_own():
    rates = {'audio': 0.2, 'video': 0.7}
    gone = ~kept(Missing(Whole(), rate=rates, keep_one=False))
    n = len(gone)
    for column, rate in zip(gone.T, (0.2, 0.7, 0.0), strict=True):
        assert close(column.mean(), rate, n)
    assert close((gone[:, 0] & gone[:, 1]).mean(), 0.2 * 0.7, n)
    every = ~kept(Missing(Whole(), rate=0.6, keep_one=False))
    assert close(every.all(axis=1).mean(), 0.6**3, n)


def test_keep_one_leaves_one_drawn_evenly():
    for rates in ({'audio': 0.6, 'video': 0.6, 'text': 0.6}, dict.fromkeys(MODALITIES, 1.0)):
        rates = dict(rates)
        have = kept(Missing(Whole(), rate=rates))
        assert have.any(axis=1).all()
        all_gone = ~kept(Missing(Whole(), rate=rates, keep_one=False)).any(axis=1)
        assert (have[all_gone].sum(axis=1) == 1).all()
        for share in have[all_gone].mean(axis=0):
            assert close(share, 1 / 3, all_gone.sum())
    two = Missing(Whole(modalities=('audio', 'video')), rate=0.5)
    for share in (~kept(two)).mean(axis=0):
        assert close(share, 0.5 - 0.5**2 / 2, 4000), 'as the docstring says'


def test_unequal_rates_keep_each_as_often():
    rates = {'audio': 0.9, 'video': 0.3, 'text': 0.5}
    have = kept(Missing(Whole(), rate=rates))
    all_gone = ~kept(Missing(Whole(), rate=rates, keep_one=False)).any(axis=1)
    for share in have[all_gone].mean(axis=0):
        assert close(share, 1 / 3, all_gone.sum())


@pytest.mark.parametrize('keep_one', [True, False])
def test_what_is_missing_at_one_rate_is_missing_at_every_higher_one(keep_one):
    last = np.ones((800, 3), dtype=bool)
    for rate in np.linspace(0, 1, 11):
        have = kept(Missing(Whole(800), rate=rate, keep_one=keep_one))
        assert (have <= last).all()
        last = have
    assert last.sum() == (800 if keep_one else 0)


def test_only_seed_modality_and_sample_decide():
    data = Missing(Whole(300), rate=0.5, seed=3)
    expected = kept(data)
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_array_equal(kept(data, order), expected[order])
    draws = [Draw(k, epoch=7, seed=11) for k in range(300)]
    np.testing.assert_array_equal(kept(data, draws), expected)
    np.testing.assert_array_equal(kept(Missing(Whole(40), rate=0.5, seed=3)), expected[:40])
    other = kept(Missing(Whole(300), rate=0.5, seed=4))
    assert 0.2 < (other != expected).mean() < 0.6
    turned = Whole(300, modalities=('text', 'audio'))
    two = kept(Missing(turned, rate=0.5, seed=3, keep_one=False))
    three = kept(Missing(Whole(300), rate=0.5, seed=3, keep_one=False))
    np.testing.assert_array_equal(two, three[:, [2, 0]])


def test_each_epoch_draws_anew_and_repeats_itself():
    data = Missing(Whole(300), rate=0.5, each_epoch=True)
    epochs = [kept(data, [Draw(k, epoch) for k in range(300)]) for epoch in (0, 1, 2, 1)]
    np.testing.assert_array_equal(epochs[1], epochs[3])
    assert all(0.2 < (epochs[a] != epochs[b]).mean() < 0.6 for a, b in ((0, 1), (0, 2), (1, 2)))


def test_the_pattern_and_the_shares_are_those_of_the_items():
    for options in ({'rate': 0.4}, {'rate': {'text': 0.9}, 'drop': 'audio'}, {'rate': 1.0}):
        data = Missing(Whole(200), **options)
        gone = ~kept(data)
        np.testing.assert_array_equal(data.pattern(), gone)
        assert list(data.metainfo['missing']['share'].values()) == gone.mean(axis=0).tolist()


def test_drop_takes_a_modality_of_every_sample():
    assert kept(Missing(Whole(9), drop='audio')).tolist() == [[False, True, True]] * 9
    assert kept(Missing(Whole(9), drop=['audio', 'text'])).tolist() == [[False, True, False]] * 9
    with_rate = kept(Missing(Whole(300), rate=1.0, drop='audio'))
    assert not with_rate[:, 0].any() and (with_rate.sum(axis=1) == 1).all()


def test_what_is_missing_already_is_never_the_one_that_is_kept():
    gone = Missing(Whole(200, gone=('audio',)), rate=1.0)
    have = kept(gone)
    assert not have[:, 0].any() and (have.sum(axis=1) == 1).all()
    assert gone[0]['unreadable'] == {'audio': 'gone'}, 'the reason stays'
    half = kept(Missing(Whole(200, gone=('audio',)), rate=0.6))
    assert half.any(axis=1).all() and (half.sum(axis=1) == 1).any()
    nothing = Missing(Whole(20, gone=MODALITIES), rate=0.5)
    assert not kept(nothing).any()
    last = Missing(Whole(20, gone=('video', 'text')), rate=0.5, drop='audio')
    assert not kept(last).any()


def test_only_the_named_splits_lose_anything():
    for split, active in (('train', False), ('test', True)):
        data = Missing(Whole(50, split=split), rate=0.9, splits=['test', 'val'])
        assert kept(data).all() != active
        assert (max(data.metainfo['missing']['share'].values()) > 0) == active
    assert kept(Missing(Whole(50, split='es'), rate=0.9, splits='test')).all()
    assert not kept(Missing(Whole(50), rate=0.9, splits='test')).all()
    with pytest.raises(ValueError, match=r"splits=\['test'\].*names no split"):
        Missing(Whole(50, split=None), splits=['test'])


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'rate': 1.2}, r"'audio': 1\.2.* is no share in \[0, 1\]"),
        ({'rate': {'text': -0.1}}, r"\{'text': -0\.1\} is no share"),
        ({'rate': float('nan')}, 'is no share'),
        (
            {'rate': {'vision': 0.1}},
            r"\['vision'\], but Whole has only \['audio', 'video', 'text'\]",
        ),
        ({'drop': 'vision'}, r"names \['vision'\], but Whole has only"),
        ({'drop': MODALITIES}, 'drops all modalities; keep_one=False'),
    ],
)
def test_a_wrong_argument_names_what_exists(wrong, why):
    with pytest.raises(ValueError, match=why):
        Missing(Whole(5), **wrong)


def test_a_config_is_wrapped_and_its_metainfo_shows(tmp_path):
    config = {'type': 'Missing', 'dataset': {'type': 'Whole', 'size': 7}, 'rate': 0.3, 'seed': 2}
    data = DATASETS.build(config)
    assert len(data) == 7 and data.metainfo['name'] == 'Whole'
    assert data.metainfo['classes'] == ('a', 'b')
    assert data.metainfo['missing']['rate'] == dict.fromkeys(MODALITIES, 0.3)
    torch.save(data.metainfo, tmp_path / 'meta.pth')
    assert torch.load(tmp_path / 'meta.pth', weights_only=True) == data.metainfo
    inside = DATASETS.build({'type': 'Missing', 'dataset': config, 'drop': 'text'})
    assert not kept(inside)[:, 2].any()


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_a_loader_gives_the_same_with_any_number_of_workers(workers):
    data = Missing(Whole(30), rate=0.5)
    sampler = EpochSampler(data, seed=1)
    loader = DataLoader(data, 8, sampler=sampler, num_workers=workers, collate_fn=collate)
    expected = kept(data)
    seen = 0
    for batch in loader:
        have = torch.stack([s.present for s in batch['inputs'].values()], dim=1)
        places = [int(name) for name in batch['id']]
        np.testing.assert_array_equal(have, expected[places])
        seen += len(places)
    assert seen == 30
