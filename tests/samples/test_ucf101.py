"""The generated UCF101 sample, read back as any copy of UCF101 is."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mmcalib.datasets.ucf101 import UCF101
from mmcalib.media.film import Video
from mmcalib.samples.ucf101 import generate

SMALL = {'clips': 1, 'processes': 1}
LINE = re.compile(r'([A-Za-z]+)/(v_\1_g(\d\d)_c\d\d)\.avi( \d)?')
PLAIN = {
    'rgb': [dict(type='Resize', size=32), dict(type='Normalize')],
    'flow': [
        dict(type='Resize', size=32),
        dict(type='Normalize', mean=[0.5, 0.5], std=[0.5, 0.5]),
    ],
}


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp('small') / 'ucf101', **SMALL)


def damaged(root: Path) -> list[dict[str, str]]:
    with (root / 'reliability.csv').open(newline='') as table:
        return [row for row in csv.DictReader(table) if row['kind']]


def video(root: Path, row: dict[str, str]) -> Path:
    return root / 'UCF-101' / row['category'] / f'{row["id"]}.avi'


def pictures(path: Path) -> np.ndarray:
    return np.stack(Video(path).whole().pictures)


def test_the_layout_is_that_of_the_download(small: Path) -> None:
    lists = small / 'ucfTrainTestlist'
    index = dict(row.split() for row in (lists / 'classInd.txt').read_text().splitlines())
    assert list(index) == [str(k) for k in range(1, 7)]
    groups, seen = {}, []
    for split in ('train', 'test'):
        found = [LINE.fullmatch(r) for r in (lists / f'{split}list01.txt').read_text().splitlines()]
        for match in found:
            assert match is not None
            number = match[4].strip() if match[4] else None
            assert number is None if split == 'test' else index[number] == match[1]
            assert (small / 'UCF-101' / match[1] / f'{match[2]}.avi').is_file()
        groups[split] = {(match[1], match[3]) for match in found}
        seen += [match[2] for match in found]
    assert not groups['train'] & groups['test']
    assert len(seen) == len(set(seen)) == len(list(small.glob('UCF-101/*/*.avi'))) == 72


def test_the_reader_gives_every_clip_both_modalities(small: Path) -> None:
    parts = {s: UCF101(small, s, **PLAIN, frames=2) for s in ('train', 'val', 'test')}
    assert {split: len(data) for split, data in parts.items()} == {
        'train': 48,  # of nine groups of six classes, one each is held out
        'val': 6,
        'test': 18,
    }
    for data in parts.values():
        assert data.metainfo['layout'] == 'videos'
        assert data.metainfo['counts']['groups_in_train_and_test'] == 0
    item = parts['test'][0]
    assert item['unreadable'] == {}
    assert item['inputs']['rgb'].x.shape == (2, 3, 32, 32)
    assert item['inputs']['flow'].x.shape == (2, 2, 32, 32)


def test_the_share_of_damaged_clips_is_as_asked_in_every_split(small: Path, tmp_path: Path) -> None:
    counts = Counter(row['split'] for row in damaged(small))
    assert counts == {'train': 16, 'test': 5}  # 0.3 of 54 and of 18, rounded
    assert {row['kind'] for row in damaged(small)} == {'noise', 'blank', 'swap'}
    assert damaged(generate(tmp_path / 'clean', corrupted=0.0, **SMALL)) == []


def test_damage_is_what_the_table_says_and_nothing_else_differs(
    small: Path, tmp_path: Path
) -> None:
    clean = generate(tmp_path / 'clean', corrupted=0.0, **SMALL)
    rows = {row['id']: row for row in damaged(small)}
    same = 0
    for path in sorted(small.glob('UCF-101/*/*.avi')):
        twin = clean / path.relative_to(small)
        if path.stem not in rows:
            assert path.read_bytes() == twin.read_bytes()
            same += 1
            continue
        kind = rows[path.stem]['kind']
        if kind == 'blank':
            assert pictures(path).max() <= 2
        if kind == 'noise':  # grains change at random from picture to picture, places do not
            assert np.abs(np.diff(pictures(path).astype(float), axis=0)).mean() > 20
            assert np.abs(np.diff(pictures(twin).astype(float), axis=0)).mean() < 10
        if kind == 'swap':
            assert rows[path.stem]['source'] not in ('', rows[path.stem]['category'])
    assert same == 72 - len(rows)


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'clips': 0}, 'clips=0'),
        ({'corrupted': 1.5}, r'corrupted=1\.5'),
        ({'layout': 'jpg'}, "layout='jpg'.*possible are .'videos', 'mmaction2'"),
    ],
)
def test_a_number_out_of_range_is_refused(wrong: dict, why: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=why):
        generate(tmp_path / 'data', **wrong)
    assert not list(tmp_path.iterdir())
