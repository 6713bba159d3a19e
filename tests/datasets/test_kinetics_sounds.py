"""Kinetics-Sounds in its four layouts, made of files whose values tell class and place."""

import json
import pickle
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from footage import numbers, write
from kinetics_files import BANK, CLASSES, bank, make

from mmcalib import config
from mmcalib.contract import Draw
from mmcalib.datasets.collate import collate
from mmcalib.datasets.kinetics_sounds import KineticsSounds
from mmcalib.media import MediaError
from mmcalib.media.kinetics_folders import CLASSES as KINETICS
from mmcalib.media.kinetics_folders import video_id
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
LAYOUTS = ('ogm', 'balancebenchmark', 'bml', 'arl')


class Seen:
    """Frames as they are, cut to one size, channels first; a waveform or a bank cut alike."""

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return array[:, :24, :32].transpose(0, 3, 1, 2) if array.ndim == 4 else array[..., :800]


RAW = {'visual': [{'type': Seen}], 'audio': [{'type': Seen}], 'classes': 'auto'}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    base = tmp_path_factory.mktemp('ks')
    film = write(base / 'film.mp4', seconds=0.8, rate_hz=16_000)
    for layout in LAYOUTS:
        make(base / layout, layout, film)
    return base


@pytest.fixture
def copy(made, tmp_path):
    def of(layout):
        return Path(shutil.copytree(made / layout, tmp_path / layout))

    return of


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_is_recognised_and_split(made, layout):
    parts = {s: KineticsSounds(made / layout, s, **RAW) for s in ('train', 'val', 'test')}
    assert {p.metainfo['layout'] for p in parts.values()} == {layout}
    sizes = {s: len(p) for s, p in parts.items()}
    # A validation clip of each class is drawn; BML lists every fourth of the training clips.
    assert sizes == {'train': 9, 'val': 3, 'test': 5 if layout == 'bml' else 6}
    names = ('0', '1', '2') if layout in ('ogm', 'balancebenchmark') else CLASSES
    names = (*names, 'never_seen') if layout == 'arl' else names
    assert parts['train'].metainfo['classes'] == names
    for part in parts.values():
        for clip, target in zip(part.ids, part.targets, strict=True):
            assert clip[5] == str(target)
        item = part[0]
        assert item['unreadable'] == {} and item['inputs']['visual'].mask.all()
        assert part.metainfo['counts']['audio_absent'] == 0


@pytest.mark.parametrize('layout', LAYOUTS)
def test_pictures_are_the_middles_of_thirds(made, layout):
    x = KineticsSounds(made / layout, 'test', frames=3, **RAW)[4]['inputs']['visual'].x
    assert x.shape == (3, 3, 24, 32)
    if layout == 'ogm':
        assert numbers(x.numpy().transpose(0, 2, 3, 1)) == [3, 10, 16]  # of 20
    else:
        assert x[:, 0, 0, 0].tolist() == [20, 40, 60]


def test_sound_is_a_waveform_or_a_bank(made):
    for layout in ('balancebenchmark', 'bml'):
        data = KineticsSounds(made / layout, 'test', **RAW)
        for item in (data[i] for i in range(len(data))):
            expected = torch.from_numpy(bank(int(item['target'])))
            assert torch.equal(item['inputs']['audio'].x[0, 0], expected)
    for layout in ('ogm', 'arl'):
        audio = KineticsSounds(made / layout, 'test', **RAW)[0]['inputs']['audio'].x
        assert audio.shape == (1, 800) and audio.dtype == torch.float32


def test_places_are_drawn_in_training(made):
    data = KineticsSounds(made / 'bml', 'train', frames=2, **RAW)
    drawn = {tuple(data[Draw(0, e)]['inputs']['visual'].x[:, 0, 0, 0].tolist()) for e in range(12)}
    assert len(drawn) > 3 and all(a <= 30 < b for a, b in drawn)


def broken(root, **given):
    return KineticsSounds(root, 'test', frames=3, **{**RAW, **given})


def test_broken_clips_are_missing_and_say_why(copy, caplog):
    root = copy('ogm')
    videos = sorted((root / 'test_video').iterdir())
    videos[0].unlink()
    videos[1].write_bytes(b'')
    videos[2].write_bytes(videos[2].read_bytes()[:400])
    write(videos[3], seconds=0.8, audio=False)
    write(videos[4], seconds=0.8, video=False)
    data = broken(root)
    assert '1 of 6 clips have no audio on disk' in caplog.text
    why = collate([data[i] for i in range(6)])['unreadable']
    both = ['audio', 'visual']
    assert [sorted(w) for w in why] == [both, both, both, ['audio'], ['visual'], []]
    for place, text in enumerate(('no such file', 'empty', '', 'no audio', 'no video')):
        assert text in next(iter(why[place].values()))
    with pytest.raises(FileNotFoundError, match='1 of 6'):
        broken(root, on_error='raise')
    for path in videos[1:4]:
        path.unlink()
    with pytest.raises(FileNotFoundError, match='4 of 6'):
        broken(root)


def test_broken_banks_and_pictures_are_missing_and_say_why(copy):
    root = copy('balancebenchmark')
    names = broken(root).ids
    np.save(root / 'audio' / f'{names[0]}.npy', np.zeros((3, 4), np.float32))
    np.save(root / 'audio' / f'{names[1]}.npy', np.full(BANK, np.nan, np.float32))
    (root / 'audio' / f'{names[2]}.npy').write_bytes(b'no array')
    folder = root / 'visual' / names[3]
    next(f for f in sorted(folder.iterdir()) if '4' in f.name).write_bytes(b'no picture')
    shutil.rmtree(root / 'visual' / names[4])
    items = [broken(root)[i] for i in range(6)]
    found = [sorted(item['unreadable']) for item in items]
    assert found == [['audio']] * 3 + [['visual']] * 2 + [[]]
    texts = ('(3, 4)', 'NaN', names[2], 'asked for a picture', 'no such file')
    for item, text in zip(items, texts, strict=False):
        assert text in next(iter(item['unreadable'].values()))


class Mischief:
    def __reduce__(self):
        return (Path.touch, (Path('mischief'),))


def test_broken_hdf5_and_pickles_are_missing_and_say_why(copy, tmp_path):
    root = copy('bml')
    names = broken(root).ids
    (root / f'{names[0]}.hdf5').write_bytes(b'no HDF5')
    with h5py.File(root / f'{names[1]}.hdf5', 'w') as file:
        file['other'] = np.zeros(3)
    with h5py.File(root / f'{names[2]}.hdf5', 'w') as file:
        file['video'] = np.zeros((6, 20), np.uint8)
    (root / f'{names[3]}.pkl').write_bytes(pickle.dumps(Mischief()))
    (root / f'{names[4]}.pkl').write_bytes(pickle.dumps(bank(0))[:40])
    items = [broken(root)[i] for i in range(5)]
    assert [sorted(item['unreadable']) for item in items] == [['visual']] * 3 + [['audio']] * 2
    texts = ('asked for HDF5', "'video', but it has ['other']", 'picture 1 cannot', '', '')
    for item, text in zip(items, texts, strict=True):
        assert text in next(iter(item['unreadable'].values()))
    assert not Path('mischief').exists()
    for path in root.glob('*.pkl'):
        path.write_bytes(pickle.dumps(np.zeros(16_000, np.float32)))
    with pytest.raises(MediaError, match=r'\.pkl: .*it is \(16000,\), a waveform .*possible is'):
        broken(root)


def test_lists_that_are_not_understood_say_where(copy):
    root = copy('ogm')
    train = root / 'my_train.txt'
    good = train.read_text(encoding='utf-8-sig')
    first = good.splitlines()[0]
    cases = [
        ('nonsense', 'line 1: .nonsense. is not <clip>'),
        (f'{first}\n{first[:-1]}2', 'line 2: .* is 2, but 0 before'),
        (first[:-1] + 'dancing', "line 2: .* has the label '0', but the first line 'dancing'"),
        (first[:-1] + '7', f"the label '7' of {first.split(',')[0]} is none of the 3"),
        (first[:-2], 'line 2: .* has 3 fields, but the first line 2'),
        (f'clip,name,label\n{first}', "line 2: .* has the label '0', but the first line 'label'"),
    ]
    for row, match in cases:
        train.write_text(good.replace(first, row, 1))
        with pytest.raises(ValueError, match=match):
            KineticsSounds(root, 'train', **{**RAW, 'classes': CLASSES, 'val_fraction': 0.0})
    test_row = (root / 'my_test.txt').read_text(encoding='utf-8-sig').splitlines()[0]
    train.write_text(f'{good}{test_row}\n')
    with pytest.raises(ValueError, match='1 clips are in train and in test'):
        KineticsSounds(root, 'train', **RAW)
    train.write_text(good, encoding='utf-16')
    with pytest.raises(ValueError, match=r'my_train\.txt is not UTF-8: .* at byte 0'):
        KineticsSounds(root, 'train', **RAW)
    train.write_text('')
    with pytest.raises(ValueError, match='names no clip'):
        KineticsSounds(root, 'train', **RAW)
    train.unlink()
    with pytest.raises(FileNotFoundError, match='nothing for train'):
        KineticsSounds(root, 'train', **RAW)


def test_two_fields_are_a_clip_and_its_label_and_that_is_said(copy, caplog):
    root = copy('balancebenchmark')
    before = KineticsSounds(root, 'test', **RAW)
    assert 'two fields' not in caplog.text
    path = root / 'my_test.txt'
    path.write_text(path.read_text(encoding='utf-8-sig').replace(' 10 ', ' '))
    data = KineticsSounds(root, 'test', **RAW)
    assert (data.ids, data.targets) == (before.ids, before.targets)
    expected = f'my_test.txt has two fields a line, read as <clip>,<label>: {data.ids[0]} is 0'
    assert expected in caplog.text
    path.write_text(f'playing_drums,{data.ids[0]}\n')  # as OGM-GE's own loader has it
    with pytest.raises(
        ValueError, match=r'my_test\.txt, line 1: .* begins with a class; a line is'
    ):
        KineticsSounds(root, 'test', **RAW)


def test_two_clips_of_one_file_are_counted_and_said(copy, caplog):
    root = copy('ogm')
    assert KineticsSounds(root, 'test', **RAW).metainfo['counts']['same_file'] == 0
    path = root / 'my_test.txt'
    good = path.read_text(encoding='utf-8-sig')
    path.write_text(f'{good}test-00_x_1_40_50,10,0\ntest-00_x_1,10,0\ntest-10_x_1_7,10,1\n')
    data = KineticsSounds(root, 'test', **RAW)
    assert len(data) == 9 and data.metainfo['counts']['same_file'] == 5
    first = 'test-00_x_1, test-00_x_1_000500, test-00_x_1_40_50'
    text = f'test: 5 clips have no file of their own, but that of .* first {first}: .*00_x_1.mp4'
    assert re.search(text, caplog.text)
    shutil.copy(root / 'test_video/test-10_x_1.mp4', root / 'test_video/test-10_x_1_7.mp4')
    assert KineticsSounds(root, 'test', **RAW).metainfo['counts']['same_file'] == 3


def test_folders_that_contradict_each_other_are_refused(copy):
    root = copy('arl')
    clip = min((root / 'audio/test/typing').iterdir()).stem
    there = root / 'visual/val_img/Image-01-FPS'
    shutil.copytree(there / 'typing' / clip, there / 'tap_dancing' / clip)
    match = rf'tap_dancing/{clip}: {clip} is in tap_dancing, but also in typing; sound and'
    with pytest.raises(ValueError, match=match):
        KineticsSounds(root, 'train', **RAW)
    shutil.rmtree(there / 'tap_dancing' / clip)
    (root / 'class.txt').write_text(' \n')
    with pytest.raises(ValueError, match=r'class\.txt names no class'):
        KineticsSounds(root, 'train', **RAW)


def test_other_files_in_the_folders_of_classes_are_no_clips(copy):
    root = copy('arl')
    for folder in (*root.glob('visual/*/*/*'), *root.glob('audio/*/*')):
        (folder / 'Thumbs.db').write_bytes(b'thumbs')
    data = KineticsSounds(root, 'test', **RAW)
    assert len(data) == 6 and data.metainfo['counts']['audio_absent'] == 0


def test_stored_banks_win_over_their_sound_but_not_some_of_them(copy):
    root = copy('arl')
    waves = sorted(root.glob('audio/*/*/*.wav'))
    np.save(waves[0].with_suffix('.npy'), bank(0))
    match = (
        rf'1 filter banks, such as .*{waves[0].stem}\.npy, and 17 files of sound, such as .*\.wav'
    )
    with pytest.raises(ValueError, match=match):
        KineticsSounds(root, 'test', **RAW)
    for wave in waves:
        np.save(wave.with_suffix('.npy'), bank(CLASSES.index(wave.parent.name)))
    item = KineticsSounds(root, 'test', **RAW)[0]
    assert torch.equal(item['inputs']['audio'].x[0, 0], torch.from_numpy(bank(0)))


def test_a_json_list_that_is_not_understood_says_so(copy):
    root = copy('bml')
    path = root / 'KS_train_val.json'
    told = json.loads(path.read_text())
    name = next(iter(told['database']))
    for broken_list in (
        {'labels': []},
        {**told, 'database': {name: {'subset': 'dev', 'label': 0}}},
    ):
        path.write_text(json.dumps(broken_list))
        with pytest.raises(ValueError, match=r'KS_train_val\.json is not'):
            KineticsSounds(root, 'train', **RAW)
    told['database'][name]['label'] = 'whistling'
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=f"'whistling' of {name} is none of the 3"):
        KineticsSounds(root, told['database'][name]['subset'].removesuffix('ing'), **RAW)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'none of .*KS_train_val\.json'):
        KineticsSounds(root, 'train', **RAW)


def test_an_ambiguous_or_unknown_folder_says_what_it_has(copy, tmp_path):
    root = copy('balancebenchmark')
    shutil.copytree(copy('bml'), root, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"several layouts, \['balancebenchmark', 'bml'\]"):
        KineticsSounds(root, 'test', **RAW)
    assert KineticsSounds(root, 'test', layout='bml', **RAW).metainfo['layout'] == 'bml'
    (tmp_path / 'none').mkdir()
    with pytest.raises(ValueError, match=r'no layout is there.*0 audio, 0 visual'):
        KineticsSounds(tmp_path / 'none', 'test', **RAW)
    with pytest.raises(FileNotFoundError, match='no such folder'):
        KineticsSounds(tmp_path / 'nowhere', 'test', **RAW)


@pytest.mark.parametrize(
    ('given', 'match'),
    [
        (dict(split='dev'), "split='dev'"),
        (dict(layout='zip'), "layout='zip'"),
        (dict(frames=0), 'frames=0'),
        (dict(modalities=['text']), 'modalities'),
        (dict(classes='all'), "classes='all'.*'kinetics', 'auto'"),
        (dict(split='val', val_fraction=0.0), 'has no clip'),
    ],
)
def test_an_unknown_choice_is_answered_with_the_possible_ones(made, given, match):
    with pytest.raises(ValueError, match=match):
        KineticsSounds(made / 'ogm', **{'split': 'train', **RAW, **given})


def test_selection_on_test_is_asked_for_and_announced(made, caplog):
    val = KineticsSounds(made / 'arl', 'val', validation='test', **RAW)
    assert val.ids == KineticsSounds(made / 'arl', 'test', **RAW).ids
    assert 'selects checkpoints on the test split' in caplog.text


def test_numbers_are_places_among_names(made):
    data = KineticsSounds(made / 'balancebenchmark', 'test', **{**RAW, 'classes': CLASSES})
    assert data.metainfo['classes'] == CLASSES and data.targets == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize('name', ['base_conv', 'calib_conv', 'base_seq', 'calib_seq', 'clcr'])
def test_a_config_takes_a_step_on_files(made, name):
    path = str(CONFIGS / f'{name}_kinetics_sounds.py')
    cfg = config.load(path, {'data.audio.0.windows': 128}, str(made / 'ogm'))
    cfg.train_dataloader.dataset.visual[0].size = 64
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate([data[index] for index in range(3)])
    assert batch['inputs']['audio'].x.shape == (3, 1, 1, 128, 128)
    model = MODELS.build(cfg.model)
    before = [p.detach().clone() for p in model.parameters()]
    losses = model(batch['inputs'], batch['target'], mode='loss')
    sum(losses.values()).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2 and all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize(
    ('listed', 'video'),
    [  # the first three are in OGM-GE's test list
        ('4pWMmccr_54_29', '4pWMmccr_54'),
        ('0HQsAGUnQ_0_6', '0HQsAGUnQ_0'),
        ('-3Mwkq-7TV4_2', '-3Mwkq-7TV4'),
        ('--4-0ihtnBU_000058_000068', '--4-0ihtnBU'),
        ('my_clip_7', 'my_clip_7'),
    ],
)
def test_a_video_id_has_eleven_characters(listed, video):
    assert video_id(listed) == video


def test_the_31_classes_are_in_the_order_of_the_numbers():
    assert len(set(KINETICS)) == 31 and list(KINETICS) == sorted(KINETICS)
    places = {4: 'dribbling_basketball', 13: 'playing_harmonica', 27: 'tap_dancing'}
    assert {k: KINETICS[k] for k in places} == places
