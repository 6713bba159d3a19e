"""CMU-MOSEI in every layout that is around, whole and broken, of utterances that are known."""

import builtins
from pathlib import Path

import numpy as np
import pytest
import torch
from sentiment_files import (
    MOSEI_FILES,
    SCORES,
    WIDE,
    assert_reads,
    mag_bert,
    real,
    save,
    utterances,
)

from mmcalib import config
from mmcalib.contract import Draw
from mmcalib.datasets.collate import collate
from mmcalib.datasets.mosei import MOSEI
from mmcalib.media import MediaError
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
LAYOUTS = MOSEI_FILES
FORMS = pytest.mark.parametrize('name', LAYOUTS)


def write(folder: Path, name: str, change=lambda data: None) -> Path:
    _, widths, aligned, writer = LAYOUTS[name]
    data = writer(utterances(widths, aligned, seed=1))
    change(data)
    return save(data, folder / name)


@FORMS
@pytest.mark.parametrize('split', SCORES)
def test_every_layout_is_found_by_its_name_and_read_by_what_it_holds(tmp_path, name, split):
    layout, widths, aligned, _ = LAYOUTS[name]
    write(tmp_path / 'MOSEI' / 'Processed', name)
    data = DATASETS.build(dict(type='MOSEI', root=str(tmp_path), split=split, target='regression'))
    truth = utterances(widths, aligned, seed=1)[split]
    assert_reads(data, truth)
    assert [data[k]['target'].item() for k in range(len(data))] == pytest.approx(SCORES[split])
    assert (data.metainfo['layout'], data.metainfo['aligned']) == (layout, aligned)
    assert data.metainfo['sizes'] == {'train': 16326, 'val': 1871, 'test': 4659}


@FORMS
def test_the_default_target_keeps_those_of_0_and_calls_them_non_negative(tmp_path, name):
    data = MOSEI(write(tmp_path, name), 'train')
    assert [int(data[k]['target']) for k in range(6)] == [0, 1, 1, 0, 1, 1]
    assert data.metainfo['classes'] == ('negative', 'non-negative')
    assert data.metainfo['name'] == 'MOSEI' and data.metainfo['counts']['used'] == 6


@FORMS
def test_every_argument_arrives(tmp_path, name):
    path = write(tmp_path, name)
    given = dict(modalities=('vision', 'audio'), target='non0', length=2, keep='last')
    data = MOSEI(path, 'train', standardise=('audio',), **given)
    assert {key: data.metainfo[key] for key in ('modalities', 'target', 'keep')} == {
        key: given[key] for key in ('modalities', 'target', 'keep')
    }
    assert len(data) == 5 and list(data.metainfo['statistics']) == ['audio']
    _, widths, aligned, _ = LAYOUTS[name]
    u = utterances(widths, aligned, seed=1)['train'][0]
    np.testing.assert_array_equal(real(data[Draw(0)])['vision'], u.x['vision'][-2:])
    with pytest.raises(MediaError, match='has width'):
        MOSEI(path, 'train', text='glove' if widths['text'] == 768 else 'bert')
    with pytest.raises(ValueError, match=r"MOSEI\(on_error='ignore'\)"):
        MOSEI(path, 'train', on_error='ignore')


def remove_split(data):
    data.pop('test')


def remove_vision(data):
    if isinstance(data['test'], dict):
        data['test'].pop('vision')
    else:
        (words, _, audio), score, segment = data['test'][1]
        data['test'][1] = (words, audio), score, segment


def six_emotions(data):
    if isinstance(data['test'], dict):
        key = 'labels' if 'labels' in data['test'] else 'regression_labels'
        data['test'][key] = np.zeros((2, 7))
    else:
        data['test'][1] = data['test'][1][0], np.zeros((1, 7)), 'v[1]'


def other_count(data):
    if isinstance(data['test'], dict):
        data['test']['audio'] = data['test']['audio'][:1]
    else:
        (words, vision, audio), score, segment = data['test'][1]
        data['test'][1] = (words, vision, audio[1:]), score, segment


BROKEN = {
    remove_split: 'test: asked for test; there is',
    remove_vision: r'asked for vision, but has|entry 1: is not \(\(words',
    six_emotions: r'needs one number per utterance, but has \([12], 7\)',
    other_count: r"'audio': ",
}


@FORMS
@pytest.mark.parametrize('change', BROKEN)
def test_a_file_with_a_hole_is_named(tmp_path, name, change):
    path = write(tmp_path, name, change)
    with pytest.raises(MediaError, match=BROKEN[change]) as caught:
        MOSEI(path, 'test')
    assert str(path) in str(caught.value)


class Attack:
    def __init__(self, witness: Path) -> None:
        self.arguments = str(witness), 'w'

    def __reduce__(self):
        return builtins.open, self.arguments


@FORMS
def test_a_file_that_is_cut_off_or_malicious_is_refused(tmp_path, name):
    path = write(tmp_path, name)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(MediaError, match=rf'{name}: .*cut off or none'):
        MOSEI(tmp_path, 'train')
    write(tmp_path, name, lambda data: data.update(extra=[Attack(tmp_path / 'it_ran')]))
    with pytest.raises(MediaError, match=rf'{name}: .*it names io\.open'):
        MOSEI(tmp_path, 'train')
    assert not (tmp_path / 'it_ran').exists()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf'MOSEI\(root=.*{name}'):
        MOSEI(tmp_path, 'train')


def test_a_config_takes_a_step_on_a_file(tmp_path):
    cfg = config.load(str(CONFIGS / 'mim_mosei.py'))
    save(mag_bert(utterances(WIDE)), tmp_path / 'mosei.pkl')
    data = DATASETS.build({**cfg.train_dataloader.dataset, 'root': str(tmp_path)})
    batch = collate([data[k] for k in range(6)])
    model = MODELS.build(cfg.model).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses = model(**batch, mode='loss')
    sum(losses.values()).backward()
    optimizer.step()
    assert all(loss.isfinite() for loss in losses.values())
