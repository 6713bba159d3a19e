"""The generated CREMA-D sample, read back as any copy of CREMA-D is."""

import csv
import re
import wave
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmcalib.datasets.cremad import CREMAD
from mmcalib.samples.cremad import generate
from mmcalib.samples.folder import is_sample

SMALL = {'train': 66, 'test': 12, 'processes': 1}
EMOTIONS = {'NEU', 'HAP', 'SAD', 'FEA', 'DIS', 'ANG'}
NAME = re.compile(r'10\d\d_[A-Z]{3}_([A-Z]{3})_(XX|LO|MD|HI)')
PLAIN = {'visual': [dict(type='Resize', size=48), dict(type='Normalize')], 'audio': []}


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob('*') if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def lines_of(root: Path, split: str) -> list[list[str]]:
    with (root / f'{split}.csv').open(newline='') as table:
        return list(csv.reader(table))


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp('small') / 'cremad', **SMALL)


@pytest.fixture(scope='module')
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('clean') / 'cremad'
    return generate(root, train=300, test=120, corrupted=0.0, processes=2)


def test_the_layout_is_that_of_the_download_with_the_lists_of_ogm_ge(small: Path) -> None:
    train, test = lines_of(small, 'train'), lines_of(small, 'test')
    assert (len(train), len(test)) == (66, 12)
    clips = [clip for clip, _ in train + test]
    assert len(set(clips)) == 78
    for clip, code in train + test:
        match = NAME.fullmatch(clip)
        assert match is not None and match[1] == code
        assert (match[2] == 'XX') == ('_IEO_' not in clip or code == 'NEU')
    assert {path.stem for path in (small / 'AudioWAV').glob('*.wav')} == set(clips)
    assert {path.stem for path in (small / 'VideoFlash').glob('*.flv')} == set(clips)
    assert len({clip[:4] for clip in clips}) == 12


def test_a_clip_is_two_seconds_of_pcm_and_of_flash_video(small: Path) -> None:
    for clip, _ in lines_of(small, 'test'):
        with wave.open(str(small / 'AudioWAV' / f'{clip}.wav')) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
            seconds = file.getnframes() / 16_000
        with av.open(str(small / 'VideoFlash' / f'{clip}.flv')) as container:
            assert (container.format.name, container.streams.video[0].name) == ('flv', 'flv')
            shown = sum(1 for _ in container.decode(video=0)) / 10
        assert 1.6 <= seconds <= 2.6
        assert shown == pytest.approx(seconds, abs=0.051)


def test_the_reader_finds_every_clip_every_class_and_every_modality(small: Path) -> None:
    splits = {split: CREMAD(small, split, **PLAIN) for split in ('train', 'val', 'test')}
    assert len(splits['train']) + len(splits['val']) == 66
    assert len(splits['test']) == 12
    for data in splits.values():
        assert data.metainfo['layout'] == 'raw'
        assert set(data.metainfo['classes']) == EMOTIONS
        assert set(data.targets) == set(range(6))
    for item in map(splits['test'].__getitem__, range(12)):
        assert item['unreadable'] == {}
        assert all(signal.mask.all() for signal in item['inputs'].values())
        assert item['id'].split('_')[2] == splits['test'].metainfo['classes'][item['target']]


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    few = {'train': 4, 'test': 2, 'corrupted': 0.0}
    first = contents(generate(tmp_path / 'one', **few, processes=1))
    assert contents(generate(tmp_path / 'two', **few, processes=2)) == first
    other = contents(generate(tmp_path / 'other', seed=1, **few, processes=1))
    media = {name for name in first if name.endswith(('.wav', '.flv'))}
    assert len(media) == 12
    assert not [name for name in media if other[name] == first[name]]


def test_damage_is_as_often_as_asked_and_in_the_listed_modality_only(tmp_path: Path) -> None:
    few = {'train': 18, 'test': 6, 'processes': 1}
    root = generate(tmp_path / 'damaged', **few, corrupted=0.5)
    twin = generate(tmp_path / 'twin', **few, corrupted=0.0)
    with (root / 'reliability.csv').open(newline='') as table:
        rows = list(csv.DictReader(table))
    damaged = [row for row in rows if row['kind']]
    assert Counter(row['split'] for row in damaged) == {'train': 9, 'test': 3}
    assert {(row['modality'], row['kind']) for row in damaged} == {
        (modality, kind) for modality in ('audio', 'visual') for kind in ('noise', 'blank', 'swap')
    }
    for row in rows:
        for modality, name in (('audio', 'AudioWAV/{}.wav'), ('visual', 'VideoFlash/{}.flv')):
            file = name.format(row['id'])
            same = (root / file).read_bytes() == (twin / file).read_bytes()
            assert same is (modality != row['modality']), (row, modality)
        assert row['source'] != row['category']


def test_a_folder_with_another_file_is_left_alone(tmp_path: Path) -> None:
    root = generate(tmp_path / 'cremad', train=1, test=1, processes=1)
    assert is_sample(root)
    (root / 'AudioWAV' / '1091_WSI_SAD_XX.wav').write_bytes(b'real')
    assert not is_sample(root)
    for seed in (0, 1):
        with pytest.raises(FileExistsError, match='1091_WSI_SAD_XX'):
            generate(root, seed=seed, train=1, test=1, processes=1)
    assert (root / 'AudioWAV' / '1091_WSI_SAD_XX.wav').read_bytes() == b'real'


@pytest.mark.parametrize(
    'bad', [{'seed': -1}, {'train': 0}, {'test': 0}, {'train': 860}, {'corrupted': 1.5}]
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f'{next(iter(bad))}={next(iter(bad.values()))}'):
        generate(tmp_path / 'cremad', **bad)  # type: ignore[arg-type]


def heard(sound: np.ndarray) -> np.ndarray:
    """Mean and spread over time of 32 log bands."""
    windows = sound[: len(sound) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(windows)[:, 1:]) ** 2
    level = np.log(power.reshape(len(power), 32, 8).mean(axis=2) + 1e-6)
    return np.concatenate([level.mean(axis=0), level.std(axis=0)])


def seen(picture: np.ndarray) -> np.ndarray:
    """A face (3, 48, 48) in 12 x 12 blocks."""
    return picture.reshape(3, 12, 4, 12, 4).mean(axis=(2, 4)).ravel()


@pytest.mark.slow
@pytest.mark.parametrize('modality', ['audio', 'visual'])
def test_a_simple_feature_of_each_modality_tells_the_emotion(clean: Path, modality: str) -> None:
    measure = heard if modality == 'audio' else seen
    rows: dict[str, list[np.ndarray]] = {}
    targets: dict[str, list[int]] = {}
    for split in ('train', 'test'):
        data = CREMAD(clean, split, **PLAIN, modalities=[modality], random_times=False)
        x = (data[i]['inputs'][modality].x[0].numpy() for i in range(len(data)))
        rows[split], targets[split] = [measure(item) for item in x], data.targets
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=500))
    model.fit(rows['train'], targets['train'])
    score = model.score(rows['test'], targets['test'])
    assert score > 0.35, score  # chance is 1 / 6, its deviation 0.034
