"""Manifest on files whose every sample, pixel and number is known, and on real data."""

import csv
import json
import logging
import wave
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from footage import numbers, tone, write
from mmengine.config import ConfigDict

from mmcalib.contract import Draw
from mmcalib.datasets.collate import collate
from mmcalib.datasets.manifest import Manifest
from mmcalib.media import MediaError
from mmcalib.registry import DATASETS

SHARED = Path(__file__).parents[3] / 'shared' / 'data'
real = pytest.mark.skipif(not SHARED.exists(), reason='no shared data on this machine')
RATE = 8000
SOUND = {'rate_hz': RATE}


def sound(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-20_000, 20_000, RATE, dtype=np.int16)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def feature(seed: int) -> np.ndarray:
    """(2 + seed, 3): every sample has another length."""
    return np.random.default_rng(seed).normal(size=(2 + seed, 3)).astype(np.float32)


class Add:
    """A transform: constant, or drawn."""

    def __init__(self, value: float = 0.0, drawn: bool = False) -> None:
        self.value, self.drawn = value, drawn

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return array + np.float32(self.value) + np.float32(self.drawn * generator.random())


@pytest.fixture
def root(tmp_path) -> Path:
    """Files of five samples, and no table yet."""
    for name in ('audio', 'image', 'text'):
        (tmp_path / name).mkdir()
    for k in range(5):
        with wave.open(str(tmp_path / 'audio' / f'{k}.wav'), 'wb') as file:
            file.setparams((1, 2, RATE, 0, 'NONE', ''))
            file.writeframes(sound(k).tobytes())
        cv2.imwrite(str(tmp_path / 'image' / f'{k}.png'), picture(k)[..., ::-1])
        np.save(tmp_path / 'text' / f'{k}.npy', feature(k))
    return tmp_path


def rows() -> list[dict]:
    splits = ('train', 'train', 'train', 'val', 'test')
    return [
        {
            'id': f's{k}',
            'target': ('dog', 'cat', 'dog', 'dog', 'cat')[k],
            'split': splits[k],
            'audio': f'audio/{k}.wav',
            'image': f'image/{k}.png',
            'text': f'text/{k}.npy',
        }
        for k in range(5)
    ]


def save(root: Path, rows: list[dict], name: str = 'manifest.csv') -> Path:
    path = root / name
    if path.suffix == '.jsonl':
        path.write_text('\n'.join(json.dumps(row) for row in rows))
    else:
        with path.open('w', newline='') as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return root


ALL = {'audio': SOUND, 'image': {}, 'text': {}}


def said(caplog, level: int = logging.WARNING) -> str:
    return '\n'.join(r.getMessage() for r in caplog.records if r.levelno >= level)


@pytest.mark.parametrize('name', ['manifest.csv', 'manifest.jsonl'])
def test_an_item_is_what_its_files_hold(root, name, caplog):
    save(root, rows(), name)
    data = DATASETS.build(
        ConfigDict(type='Manifest', root=str(root), split='train', modalities=ALL)
    )
    assert len(data) == 3 and [int(data[k]['target']) for k in range(3)] == [1, 0, 1]
    item = data[1]
    assert list(item['inputs']) == ['audio', 'image', 'text']
    audio, image, text = (item['inputs'][m] for m in ALL)
    np.testing.assert_allclose(audio.x, sound(1)[np.newaxis] / 32768, atol=1e-7)
    np.testing.assert_array_equal(image.x, picture(1)[np.newaxis])
    np.testing.assert_array_equal(text.x, feature(1))
    assert [s.mask.tolist() for s in (audio, image, text)] == [[True], [True], [True] * 3]
    assert item['id'] == 's1' and item['unreadable'] == {}
    assert data[-1]['id'] == 's2' and said(caplog, logging.INFO) == ''
    with pytest.raises(IndexError):
        data[3]


def test_a_file_of_any_name_is_a_root_too(root):
    save(root, rows(), 'mine.csv')
    assert len(Manifest(root / 'mine.csv', 'val', ['text'])) == 1


def test_sequences_of_different_lengths_are_padded_in_a_batch(root):
    save(root, rows())
    data = Manifest(root, 'train', ['text'])
    batch = collate([data[k] for k in range(3)])['inputs']['text']
    assert batch.x.shape == (3, 4, 3)
    assert batch.mask.sum(1).tolist() == [2, 3, 4]
    for k in range(3):
        np.testing.assert_array_equal(batch.x[k, : 2 + k], feature(k))
    np.testing.assert_allclose(batch.mean(), [feature(k).mean(0) for k in range(3)], rtol=1e-5)


def test_numbers_may_stand_in_the_table(root):
    csv_rows = [{**row, 'pulse': f'{k} {k + 0.5}'} for k, row in enumerate(rows())]
    lines = [{**row, 'pulse': [[k, k + 0.5], [7, 8]]} for k, row in enumerate(rows())]
    save(root, csv_rows)
    save(root, lines, 'lines.jsonl')
    one = Manifest(root, 'train', {'mood': {'column': 'pulse'}})[2]['inputs']['mood']
    assert one.x.tolist() == [[2, 2.5]] and one.mask.tolist() == [True]
    two = Manifest(root / 'lines.jsonl', 'train', ['pulse'])[2]['inputs']['pulse']
    assert two.x.tolist() == [[2, 2.5], [7, 8]]


def test_an_npz_file_holds_table_and_features(tmp_path):
    x, w = np.arange(12.0).reshape(4, 3), np.arange(16.0).reshape(4, 2, 2)
    split = ['train', 'train', 'val', 'train']
    np.savez(tmp_path / 'f.npz', id=list('abcd'), split=split, target=[0, 1, 1, 1], x=x, w=w)
    data = Manifest(tmp_path / 'f.npz', 'train', ['w', 'x'], classes=['no', 'yes'])
    items = [data[k] for k in range(3)]
    np.testing.assert_array_equal(torch.cat([i['inputs']['x'].x for i in items]), x[[0, 1, 3]])
    np.testing.assert_array_equal(torch.stack([i['inputs']['w'].x for i in items]), w[[0, 1, 3]])
    assert [int(i['target']) for i in items] == [0, 1, 1] and items[2]['id'] == 'd'
    assert data.metainfo['shapes'] == {'w': (1, 2), 'x': (1, 3)}


def test_spans_cut_sound_and_video(root):
    write(root / 'clip.mp4')
    spans = [{'start_s': '0.5', 'end_s': '1'}, {'start_s': '', 'end_s': ''}]
    spans += [{'start_s': '1', 'end_s': '9'}]
    table = [{**r, 'clip': 'clip.mp4', **s} for r, s in zip(rows(), spans, strict=False)]
    save(root, table)
    modalities = {
        'picture': {'column': 'clip', 'frames': 2},
        'tone': {'column': 'clip', 'read': 'audio', 'rate_hz': 16_000},
        'audio': SOUND,
    }
    data = Manifest(root, 'train', modalities, training=False)
    cut, whole, late = (data[k]['inputs'] for k in range(3))
    np.testing.assert_allclose(cut['tone'].x[0], tone(0.5, 8000, 16_000), atol=0.03)
    np.testing.assert_allclose(cut['audio'].x[0], sound(0)[4000:] / 32768, atol=1e-7)
    assert numbers(cut['picture'].x.numpy()) == [15, 21]  # 0.625 s and 0.875 s
    assert numbers(whole['picture'].x.numpy()) == [12, 37]
    assert len(whole['audio'].x[0]) == RATE
    assert numbers(late['picture'].x.numpy()) == [31, 43], 'cut to what exists'


def test_training_draws_frames_and_augments_and_nothing_else_does(root):
    write(root / 'clip.mp4')
    save(root, [{**row, 'clip': 'clip.mp4'} for row in rows()])
    modalities = {
        'clip': {'frames': 4},
        'text': {
            'transforms': [{'type': Add, 'value': 10.0}],
            'train_transforms': [{'type': Add, 'drawn': True}],
        },
    }
    train = Manifest(root, 'train', modalities)

    def drawn(data, draw):
        inputs = data[draw]['inputs']
        return numbers(inputs['clip'].x.numpy()), inputs['text'].x

    epochs = [drawn(train, Draw(1, epoch, 3)) for epoch in range(4)]
    assert len({tuple(frames) for frames, _ in epochs}) > 1
    assert all(12 * k <= f[k] <= 12 * (k + 1) + 1 for f, _ in epochs for k in range(4))
    shifts = [(x - torch.tensor(feature(1))).numpy() for _, x in epochs]
    assert all(np.ptp(shift) < 1e-6 and 0 <= shift.mean() < 1 for shift in shifts)
    assert len({round(float(shift.mean()), 4) for shift in shifts}) == 4
    again = drawn(train, Draw(1, 2, 3))
    assert again[0] == epochs[2][0] and torch.equal(again[1], epochs[2][1])
    alone = Manifest(root, 'train', {'text': modalities['text']})
    assert torch.equal(alone[Draw(1, 2, 3)]['inputs']['text'].x, epochs[2][1])
    still = Manifest(root, 'train', modalities, training=False)
    for draw in (Draw(1, 0, 3), Draw(1, 1, 4)):
        frames, x = drawn(still, draw)
        assert frames == [6, 18, 31, 43]
        np.testing.assert_array_equal(x, feature(1) + np.float32(10))


def test_what_cannot_be_read_is_missing_and_says_why(root, caplog):
    table = rows()
    table[0].update(audio='', image='')
    (root / 'audio' / '1.wav').write_bytes(b'RIFF no sound')
    (root / 'image' / '1.png').unlink()
    np.save(root / 'text' / '1.npy', np.zeros((2, 4)))
    np.save(root / 'text' / '2.npy', np.array([[1, np.nan, 3]]))
    save(root, table)
    data = Manifest(root, 'train', ALL)
    batch = collate([data[k] for k in range(3)])
    audio, image, text = (batch['inputs'][m] for m in ALL)
    assert audio.present.tolist() == image.present.tolist() == [False, False, True]
    assert text.present.tolist() == [True, False, False]
    assert audio.x[:2].eq(0).all() and image.x[:2].eq(0).all() and text.x[1:].eq(0).all()
    why = batch['unreadable']
    assert [sorted(w) for w in why] == [[], ['audio', 'image', 'text'], ['text']]
    assert '1.wav: asked for' in why[1]['audio'] and '1.png' in why[1]['image']
    assert 'have the shape (4,), but others (3,)' in why[1]['text']
    assert '1 of its 3 values are NaN or infinite' in why[2]['text']
    assert data.metainfo['counts']['empty'] == {'audio': 1, 'image': 1, 'text': 0}
    assert data.metainfo['counts']['absent'] == {'audio': 0, 'image': 1, 'text': 0}
    assert said(caplog).count('1 of 2 image files of train are not on disk') == 1
    assert 'train has no audio in 1 of 3 rows' in said(caplog, logging.INFO)
    cv2.imwrite(str(root / 'image' / '1.png'), picture(1))
    strict = Manifest(root, 'train', ALL, on_error='raise')
    assert strict[0]['inputs']['audio'].mask.tolist() == [False], 'an empty cell is no error'
    with pytest.raises(MediaError, match=r'^s1 \(.*manifest\.csv, line 3\): .*1\.wav'):
        strict[1]


def test_a_modality_that_a_split_lacks_has_the_shape_of_another_split(root):
    table = rows()
    table[3]['text'] = ''
    save(root, table)
    text = Manifest(root, 'val', ['text', 'image'])[0]['inputs']['text']
    assert text.x.shape == (1, 3) and text.mask.tolist() == [False]


def test_most_files_absent_is_a_wrong_root(root):
    for k in (0, 2):
        (root / 'audio' / f'{k}.wav').unlink()
    save(root, rows())
    with pytest.raises(
        FileNotFoundError, match=r'2 of 3 audio files of train.*0\.wav, .*relative to'
    ):
        Manifest(root, 'train', ALL)
    assert len(Manifest(root, 'val', ALL)) == 1


def test_a_modality_without_any_readable_file_is_an_error(root):
    for k in range(5):
        (root / 'audio' / f'{k}.wav').write_bytes(b'')
    save(root, rows())
    with pytest.raises(ValueError, match=r'no audio of its 5 rows can be read; .*file is empty'):
        Manifest(root, 'train', ALL)
    save(root, [{**row, 'audio': ''} for row in rows()])
    with pytest.raises(ValueError, match=r'no audio of its 5 rows.*every cell is empty'):
        Manifest(root, 'train', ALL)


def change(k: int, **cells):
    return lambda table: table[k].update(cells)


@pytest.mark.parametrize(
    ('edit', 'why'),
    [
        (change(1, id='s0'), r"line 3: the id 's0' is in split 'train' already, at .*line 2"),
        (change(1, id=''), r"line 3: the cell 'id' is empty"),
        (change(4, split=''), r"line 6: the cell 'split' is empty"),
        (change(4, target='dgo'), r"line 6: target 'dgo' is none of the 2.*\['dog'\]"),
        (change(2, target=''), r"line 4: no target, as in 1 of 3 rows of split 'train'.*'drop'"),
        (change(4, start_s='2', end_s='1'), r'line 6: a span from 2\.0 s to 1\.0 s'),
        (change(4, start_s='1', end_s='1'), r'line 6: a span'),
        (change(4, start_s='-1'), r'line 6: a span from -1'),
        (change(4, start_s='nan'), r'line 6: a span from nan'),
        (change(4, start_s='soon'), r"line 6: .*'soon'.* are not seconds"),
        (change(3, audio='audio/3.xyz'), r"line 5: audio is 'audio/3\.xyz'.*read=.*\.wav"),
        (change(3, audio='image/3.png'), r'audio holds audio \(.*line 2\), image \(.*line 5\)'),
        (change(3, audio='1 2 3'), r'audio holds audio .*, inline \(.*line 5\)'),
    ],
)
def test_a_line_that_is_wrong_is_named(root, edit, why):
    table = [{**row, 'start_s': '', 'end_s': ''} for row in rows()]
    edit(table)
    save(root, table)
    with pytest.raises(ValueError, match=why):
        Manifest(root, 'train', ALL)


def test_bad_numbers_of_a_cell_are_named(root):
    save(root, [{**row, 'pulse': '1 x' if k == 2 else '1 2'} for k, row in enumerate(rows())])
    with pytest.raises(ValueError, match=r"line 4: pulse is '1 x', with read='inline'"):
        Manifest(root, 'train', {'pulse': {'read': 'inline'}})


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'split': 'tran'}, r"split='tran'.*\['train', 'val', 'test'\], did you mean 'train'"),
        ({'task': 'ranking'}, r"task='ranking'.*'classification', 'multilabel', 'regression'"),
        ({'on_error': 'ignore'}, "'missing', 'raise'"),
        ({'leaks': 'drop'}, "'warn', 'raise'"),
        ({'unlabelled': 'keep'}, "'raise', 'drop'"),
        ({'modalities': ['audoi']}, r"no column 'audoi', did you mean 'audio'\?.*your_data\.md"),
        ({'columns': {'target': 'label'}}, r"no column 'label'.*It has \['id', 'target'"),
        ({'columns': {'label': 'target'}}, r"names \['label'\]; possible are \('id', 'target'"),
        ({'columns': {'start_s': 'begin'}}, "no column 'begin'"),
        ({'group': 'speaker'}, "no column 'speaker'"),
        ({'modalities': {'audio': {'rate': 1}}}, r"audio takes no 'rate', did you mean 'rate_hz'"),
        ({'modalities': {'audio': {'read': 'sound'}}}, r"read='sound'; possible are \('audio'"),
        ({'modalities': {'audio': {'rate_hz': 0}}}, 'rate_hz=0'),
        ({'modalities': {'audio': {'frames': 0}}}, 'frames=0'),
        ({'modalities': 'audio'}, "modalities='audio'"),
        ({'modalities': []}, r'modalities=\[\]'),
    ],
)
def test_a_wrong_argument_is_answered_with_what_is_possible(root, wrong, why):
    save(root, rows())
    with pytest.raises(ValueError, match=why):
        Manifest(**{'root': root, 'split': 'train', 'modalities': ALL, **wrong})


def test_a_root_without_one_table_says_which_are_looked_for(root):
    with pytest.raises(FileNotFoundError, match=r'manifest\.csv, .*manifest\.npz.*none of them'):
        Manifest(root, 'train', ALL)
    save(root, rows())
    save(root, rows(), 'manifest.jsonl')
    with pytest.raises(FileNotFoundError, match=r"has \['manifest\.csv', 'manifest\.jsonl'\]"):
        Manifest(root, 'train', ALL)
    with pytest.raises(FileNotFoundError, match='no such file'):
        Manifest(root / 'none.csv', 'train', ALL)


@pytest.mark.parametrize(
    ('edit', 'what'),
    [
        (change(4, id='s0'), '1 times, the id is also in test: s0'),
        (change(4, speaker='ann'), '1 times, the speaker is also in test: ann'),
        (change(3, image='image/1.png'), '1 times, the image file is also in val: image/1.png'),
    ],
)
def test_what_two_splits_share_is_a_leak(root, caplog, edit, what):
    table = [{**row, 'speaker': 'ann' if k < 3 else 'bob'} for k, row in enumerate(rows())]
    Manifest(save(root, table), 'train', ALL, group='speaker', leaks='raise')
    assert said(caplog) == ''
    edit(table)
    data = Manifest(save(root, table), 'train', ALL, group='speaker')
    assert what in said(caplog)
    assert sum(data.metainfo['counts']['shared'].values()) == 1
    with pytest.raises(ValueError, match=r'train leaks'):
        Manifest(root, 'train', ALL, group='speaker', leaks='raise')


def test_samples_without_a_target_can_be_left_out(root):
    table = rows()
    table[1]['target'] = ''
    save(root, table)
    data = Manifest(root, 'train', ['text'], classes=['cat', 'dog'], unlabelled='drop')
    assert [data[k]['id'] for k in range(len(data))] == ['s0', 's2']
    assert data.metainfo['counts']['listed'] == 3 and data.metainfo['counts']['kept'] == 2
    assert len(Manifest(root, 'test', ['text'], classes=['cat', 'dog'])) == 1, 'other splits may'
    table[4]['target'] = ''
    save(root, table)
    with pytest.raises(ValueError, match=r"no row of split 'test' has a target"):
        Manifest(root, 'test', ['text'], classes=['cat', 'dog'], unlabelled='drop')


def test_many_labels_and_numbers_are_targets_too(root):
    save(
        root,
        [{**row, 'target': t} for row, t in zip(rows(), ['a|b', 'b', '', 'a', ''], strict=True)],
    )
    many = Manifest(root, 'train', ['text'], task='multilabel')
    batch = collate([many[k] for k in range(3)])['target']
    assert batch.tolist() == [[1, 1], [0, 1], [0, 0]] and many.metainfo['classes'] == ('a', 'b')
    scores = ['-1', '0.5', '2', '3', '1']
    save(root, [{**row, 'score': s} for row, s in zip(rows(), scores, strict=True)])
    score = Manifest(root, 'train', ['text'], task='regression', columns={'target': 'score'})
    assert collate([score[k] for k in range(3)])['target'].tolist() == [-1, 0.5, 2]
    assert 'classes' not in score.metainfo
    save(root, [{**row, 'target': [1, 2][: 1 + k // 2]} for k, row in enumerate(rows())], 'v.jsonl')
    with pytest.raises(ValueError, match='Targets of one shape'):
        Manifest(root / 'v.jsonl', 'train', ['text'], task='regression')


def test_the_metainfo_survives_a_checkpoint_that_holds_weights_only(root):
    data = Manifest(save(root, rows()), 'train', ALL)
    torch.save(data.metainfo, root / 'meta.pth')
    assert torch.load(root / 'meta.pth', weights_only=True) == data.metainfo
    meta = data.metainfo
    assert (meta['name'], meta['split'], meta['classes']) == ('Manifest', 'train', ('cat', 'dog'))
    assert meta['modalities'] == ('audio', 'image', 'text')
    assert meta['shapes'] == {'audio': (1, RATE), 'image': (1, 6, 5, 3), 'text': (1, 3)}


def test_workers_give_the_items_of_the_main_process(root):
    data = Manifest(save(root, rows()), 'train', ALL)
    loader = torch.utils.data.DataLoader(data, 3, collate_fn=collate, num_workers=1)
    expected = collate([data[k] for k in range(3)])
    for batch in loader:
        for modality, signal in batch['inputs'].items():
            assert torch.equal(signal.x, expected['inputs'][modality].x)


@real
def test_real_digits_have_the_counts_of_their_readme(caplog):
    modalities = {'audio': SOUND, 'image': {}}
    for split, per_class in (('train', 200), ('val', 50), ('test', 50)):
        data = Manifest(SHARED / 'av_digits', split, modalities, group='speaker', leaks='raise')
        assert data.metainfo['classes'] == tuple('0123456789')
        assert Counter(int(t) for t in data.targets) == dict.fromkeys(range(10), per_class)
    assert said(caplog, logging.INFO) == ''
    for k in (0, 250, 499):
        item = data[k]
        assert not item['unreadable'] and item['inputs']['image'].x.shape == (1, 28, 28, 3)
        assert item['inputs']['audio'].x.abs().max() > 0.01
        assert item['id'].startswith(str(int(item['target'])))


@real
def test_real_votes_have_the_counts_of_their_readme():
    classes = ['ANG', 'DIS', 'FEA', 'HAP', 'NEU', 'SAD']
    held = np.load(SHARED / 'cremad_votes' / 'cremad_votes.npz')
    for split, size in (('train', 5954), ('val', 744), ('test', 744)):
        path = SHARED / 'cremad_votes' / 'cremad_votes.npz'
        data = Manifest(path, split, ['audio', 'visual'], classes=classes, leaks='raise')
        assert len(data) == size
        item = data[size - 1]
        assert classes[int(item['target'])] == item['id'].split('_')[2], 'the name says it'
        where = list(held['id']).index(item['id'])
        np.testing.assert_array_equal(item['inputs']['audio'].x[0], held['audio'][where])
        np.testing.assert_array_equal(item['inputs']['visual'].x[0], held['visual'][where])
        named = Counter(data[k]['id'].split('_')[2] for k in range(size))
        assert Counter(classes[int(t)] for t in data.targets) == named


@real
def test_real_sentiment_has_the_counts_of_its_readme():
    path = SHARED / 'mosi_features' / 'mosi_features.npz'
    widths = {'text': (1, 100), 'audio': (1, 73), 'visual': (1, 100)}
    sizes = {'train': 1447, 'val': 255, 'test': 497}
    unlabelled = 0
    for split, size in sizes.items():
        two = Manifest(path, split, list(widths))
        assert len(two) == size and two.metainfo['shapes'] == widths
        score = Manifest(
            path, split, list(widths), 'regression', columns={'target': 'score'}, unlabelled='drop'
        )
        unlabelled += size - len(score)
        sign = {two[k]['id']: int(two[k]['target']) for k in range(size)}
        agree = [sign[score[k]['id']] == (score[k]['target'] >= 0) for k in range(len(score))]
        assert all(agree)
    assert unlabelled == 4
    share = np.mean([int(t) for t in two.targets])
    assert max(share, 1 - share) == pytest.approx(0.62, abs=0.025)
    with pytest.raises(ValueError, match=r"no target, as in 3 of 1447 rows of split 'train'"):
        Manifest(path, 'train', ['text'], 'regression', columns={'target': 'score'})
