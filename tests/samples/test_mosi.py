"""The generated samples of CMU-MOSI and CMU-MOSEI, read back as any of their feature files is."""

import csv
import pickle
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmcalib.datasets.mosei import MOSEI
from mmcalib.datasets.mosi import MOSI
from mmcalib.samples import mosei, mosi
from mmcalib.samples.folder import is_sample

SMALL = {'train': 60, 'valid': 20, 'test': 20}
BOTH = [(mosi, MOSI, (768, 74, 47)), (mosei, MOSEI, (768, 74, 35))]
MODALITIES = ('text', 'audio', 'vision')

both = pytest.mark.parametrize(('module', 'reader', 'widths'), BOTH, ids=['mosi', 'mosei'])


def rows_of(root: Path) -> dict[str, dict[str, str]]:
    with (root / 'reliability.csv').open(newline='') as table:
        return {row['id']: row for row in csv.DictReader(table)}


@both
def test_the_reader_finds_every_utterance_in_the_widths_of_the_configs(
    tmp_path: Path, module: ModuleType, reader: type, widths: tuple[int, ...]
) -> None:
    root = module.generate(tmp_path / 'data', **SMALL)
    rows = rows_of(root)
    for split, size in {'train': 60, 'val': 20, 'test': 20}.items():
        data = reader(root, split, target='regression')
        assert len(data) == size
        assert data.metainfo['layout'] == 'MMSA' and data.metainfo['aligned']
        assert data.metainfo['counts']['shared_videos'] == 0
        assert data.metainfo['counts']['not_finite_audio'] > 0
        for item in map(data.__getitem__, range(size)):
            row, inputs = rows[item['id']], item['inputs']
            assert item['unreadable'] == {}
            assert -3 <= item['target'] <= 3
            for m, width in zip(MODALITIES, widths, strict=True):
                assert inputs[m].x.shape[1] == width
                assert inputs[m].x.isfinite().all()
                blank = (row['modality'], row['kind']) == (m, 'blank')
                assert inputs[m].mask.any().item() is not blank
        lengths = {len(data[i]['inputs']['text'].mask) for i in range(size)}
        assert len(lengths) > 5 and min(lengths) >= 5 and max(lengths) <= 50
        assert set(reader(root, split).utterances.targets) == {0, 1}


@both
def test_the_same_seed_gives_the_same_bytes_and_another_other_numbers(
    tmp_path: Path, module: ModuleType, reader: type, widths: tuple[int, ...]
) -> None:
    made = [
        (module.generate(tmp_path / str(k), seed, **SMALL) / 'aligned_50.pkl').read_bytes()
        for k, seed in enumerate((3, 3, 4))
    ]
    assert made[0] == made[1]
    x, y = (pickle.loads(data)['train']['text'] for data in made[1:])
    assert np.mean(x[x != 0] == y[x != 0]) < 1e-4  # a few of a million agree by chance


def test_minus_infinity_is_in_audio_only(tmp_path: Path) -> None:
    root = mosi.generate(tmp_path / 'data', **SMALL)
    for part in pickle.loads((root / 'aligned_50.pkl').read_bytes()).values():
        assert np.isneginf(part['audio']).any()
        assert not np.isnan(part['audio']).any() and not np.isposinf(part['audio']).any()
        assert np.isfinite(part['text']).all() and np.isfinite(part['vision']).all()


def test_damage_is_as_often_as_asked_and_of_every_modality_and_kind(tmp_path: Path) -> None:
    rows = rows_of(mosi.generate(tmp_path / 'data', **SMALL)).values()
    damaged = [row for row in rows if row['kind']]
    assert Counter(row['split'] for row in damaged) == {'train': 18, 'valid': 6, 'test': 6}
    assert {(row['modality'], row['kind']) for row in damaged} == {
        (modality, kind) for modality in MODALITIES for kind in ('noise', 'blank', 'swap')
    }
    assert all(row['source'] not in ('', row['category']) for row in rows if row['kind'] == 'swap')
    clean = rows_of(mosi.generate(tmp_path / 'clean', **SMALL, corrupted=0.0)).values()
    assert not [row for row in clean if row['kind']]


def test_a_folder_with_another_file_is_left_alone(tmp_path: Path) -> None:
    root = mosi.generate(tmp_path / 'data', train=4, valid=1, test=1)
    assert is_sample(root)
    (root / 'mosi_data.pkl').write_bytes(b'real')
    assert not is_sample(root)
    with pytest.raises(FileExistsError, match=r"'mosi_data\.pkl'"):
        mosi.generate(root, seed=1, train=4, valid=1, test=1)
    assert (root / 'mosi_data.pkl').read_bytes() == b'real'


@pytest.mark.parametrize('bad', [{'seed': -1}, {'train': 0}, {'corrupted': 1.5}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, bad: dict[str, float]) -> None:
    name, value = next(iter(bad.items()))
    with pytest.raises(ValueError, match=f'{name}(=|.: ){value}'):
        mosi.generate(tmp_path / 'data', **bad)  # type: ignore[arg-type]


def test_each_modality_tells_the_sign_and_text_tells_it_best(tmp_path: Path) -> None:
    root = mosi.generate(tmp_path / 'data', train=500, valid=1, test=200, corrupted=0.0)
    scores = {}
    for m in MODALITIES:
        rows, targets = {}, {}
        for split in ('train', 'test'):
            data = MOSI(root, split, modalities=[m])
            items = (data[i]['inputs'][m] for i in range(len(data)))
            rows[split] = np.stack([(s.x[s.mask].mean(dim=0)).numpy() for s in items])
            targets[split] = data.utterances.targets
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=500))
        model.fit(rows['train'], targets['train'])
        scores[m] = model.score(rows['test'], targets['test'])
        majority = max(np.mean(targets['test']), 1 - np.mean(targets['test']))
        assert scores[m] > majority + 0.1, (scores, majority)
    assert scores['text'] == max(scores.values())
