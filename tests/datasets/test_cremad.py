"""CREMA-D in every layout, made of files whose sound and pictures are known."""

import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from cremad_files import BANK, CLIPS, OGM, TEST, TRAIN, WORDS, bank, level, make, write_wave
from footage import numbers, write

from mmcalib import config
from mmcalib.contract import Draw
from mmcalib.datasets.collate import collate
from mmcalib.datasets.cremad import CREMAD, ORDERS
from mmcalib.media import MediaError
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
VOTES = Path(__file__).parents[3] / 'shared' / 'data' / 'cremad_votes' / 'cremad_votes.npz'
LAYOUTS = ('ogm', 'agm', 'lfm', 'raw', 'balancebenchmark', 'mla')


class Seen:
    """Frames as they are, channels first; a waveform cut or repeated to 2000 samples."""

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return array.transpose(0, 3, 1, 2) if array.ndim == 4 else np.resize(array, 2000)


RAW = {'visual': [{'type': Seen}], 'audio': [{'type': Seen}], 'rate_hz': 4000}
PUBLISHED = {
    'visual': [{'type': 'Resize', 'size': 224}, {'type': 'Normalize'}],
    'audio': [{'type': 'FixLength', 'rate_hz': 22050, 'length_s': 3.0}, {'type': 'LogSTFT'}],
}


@pytest.fixture(scope='module')
def made(tmp_path_factory) -> Path:
    """Every layout once; tests that break something copy it."""
    folder = tmp_path_factory.mktemp('cremad')
    flv = write(folder / 'clip.flv', 1.0, audio=False)
    for layout in LAYOUTS:
        make(folder / layout, layout, flv)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    def of(layout: str) -> Path:
        return Path(shutil.copytree(made / layout, tmp_path / layout))

    return of


def splits(root: Path, **kwargs) -> dict[str, list[str]]:
    return {s: CREMAD(root, s, **RAW, **kwargs).ids for s in ('train', 'val', 'test')}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_gives_its_files(made, layout):
    extra = {} if layout == 'raw' else {'validation': 'test'}
    data = CREMAD(made / layout, 'test', **RAW, frames=3, **extra)
    assert data.metainfo['layout'] == {'agm': 'ogm', 'lfm': 'ogm'}.get(layout, layout)
    for index, clip in enumerate(data.ids):
        item = data[index]
        assert item['id'] == clip and item['unreadable'] == {}
        assert OGM[item['target']] == clip[9:12]
        sound, pictures = item['inputs']['audio'], item['inputs']['visual']
        if layout in ('balancebenchmark', 'mla'):
            assert torch.equal(sound.x, torch.from_numpy(bank(clip))[None, None])
        else:
            np.testing.assert_allclose(sound.x, np.full((1, 2000), level(clip) / 100), atol=1e-3)
        frames = pictures.x.permute(0, 2, 3, 1).numpy()
        if layout == 'raw':
            assert numbers(frames) == [4, 12, 20]  # 1/6, 3/6 and 5/6 s at 25 per second
        else:
            assert [round(float(f.mean()) / 20) for f in frames] == [1, 2, 10]
        assert sound.mask.tolist() == [True] and pictures.mask.tolist() == [True] * 3
    if layout != 'raw':
        assert data.ids == sorted(TEST)
        assert CREMAD(made / layout, 'train', **RAW, validation='test').ids == sorted(TRAIN)


def test_an_item_is_the_published_input(made):
    config = {'type': 'CREMAD', 'root': made / 'ogm', 'split': 'test', **PUBLISHED}
    inputs = DATASETS.build(config)[0]['inputs']
    assert inputs['audio'].x.shape == (1, 1, 257, 188) and inputs['visual'].x.shape[0] == 1
    assert inputs['visual'].x.shape == (1, 3, 224, 224)


def test_validation_is_carved_from_train_by_class_and_never_from_test(made):
    parts = splits(made / 'ogm', val_fraction=0.34)
    assert parts['test'] == sorted(TEST)
    assert sorted(parts['train'] + parts['val']) == sorted(TRAIN)
    assert {e: sum(c[9:12] == e for c in parts['val']) for e in OGM} == dict.fromkeys(OGM, 2)
    assert splits(made / 'ogm', val_fraction=0.34) == parts
    assert splits(made / 'ogm', val_fraction=0.34, split_seed=1)['val'] != parts['val']
    assert splits(made / 'mla', val_fraction=0.34) == parts, 'whatever the layout'
    assert CREMAD(made / 'ogm', 'train', **RAW, val_fraction=0.0).ids == sorted(TRAIN)
    with pytest.raises(ValueError, match=r"split='val', val_fraction=0\.0\) has no clip"):
        CREMAD(made / 'ogm', 'val', **RAW, val_fraction=0.0)


def test_selection_on_test_must_be_asked_for_and_is_announced(made, caplog):
    assert not set(splits(made / 'ogm')['val']) & set(TEST)
    assert 'selects' not in caplog.text
    asked = splits(made / 'ogm', validation='test')
    assert asked == {'train': sorted(TRAIN), 'val': sorted(TEST), 'test': sorted(TEST)}
    assert 'selects checkpoints on the test split' in caplog.text


def rows(clips) -> str:
    return '\n'.join(f'{clip},{clip[9:12]}' for clip in clips)


def test_lists_of_a_validation_split_are_used(copy):
    root = copy('balancebenchmark')
    (root / 'my_train.csv').write_text(rows(TRAIN[5:]))
    assert splits(root)['val'] == sorted(TRAIN[:5]), 'what my_train.csv leaves out'
    (root / 'val.csv').write_text(rows(TRAIN[:5]))
    assert splits(root) == {'train': sorted(TRAIN[5:]), 'val': sorted(TRAIN[:5]), 'test': TEST_IDS}
    lists = CREMAD(root, 'val', **RAW).metainfo['lists']
    assert lists == ('train.csv', 'test.csv', 'val.csv', 'my_train.csv')
    (root / 'val.csv').write_text(rows(TEST))
    with pytest.raises(
        ValueError, match=r"val\.csv and .*test\.csv share 12 clips.*validation='te"
    ):
        CREMAD(root, 'train', **RAW)
    assert splits(root, validation='test')['val'] == TEST_IDS


TEST_IDS = sorted(TEST)


@pytest.mark.parametrize('layout', ['ogm', 'raw'])
def test_an_actor_is_in_one_split_only(made, layout):
    parts = splits(made / layout, protocol='speaker', val_fraction=0.3)
    actors = {split: {clip[:4] for clip in clips} for split, clips in parts.items()}
    assert [len(actors[split]) for split in ('train', 'val', 'test')] == [2, 1, 1]
    assert len(set().union(*actors.values())) == 4
    assert sorted(chain(*parts.values())) == sorted(CLIPS)
    data = CREMAD(made / layout, 'train', **RAW, protocol='speaker')
    assert data.metainfo['counts']['actors_in_train_and_test'] == 0


def test_no_seed_puts_an_actor_of_the_test_split_in_validation(made):
    for seed in range(12):
        parts = splits(made / 'raw', protocol='speaker', split_seed=seed, modalities=('audio',))
        assert not {c[:4] for c in parts['val']} & {c[:4] for c in parts['test']}
        assert len(parts['train']) == 24 and len(parts['val']) == len(parts['test']) == 12


def test_two_actors_are_too_few_to_keep_apart(copy):
    root = copy('ogm')
    for path in (root / 'train.csv', root / 'test.csv'):
        path.write_text(rows(CLIPS[:12] if 'train' in path.name else CLIPS[12:24]))
    with pytest.raises(ValueError, match=r"needs 3 actors or more, but has \['1000', '1001'\]"):
        CREMAD(root, 'train', **RAW, protocol='speaker')


def test_shared_actors_are_counted_and_said(copy, caplog):
    root = copy('ogm')
    (root / 'train.csv').write_text(rows(CLIPS[::2]))
    (root / 'test.csv').write_text(rows(CLIPS[1::2]))
    counts = CREMAD(root, 'train', **RAW).metainfo['counts']
    assert counts['actors_in_train_and_test'] == 4
    assert "4 actors are in train and in test (protocol='random')" in caplog.text


def test_without_lists_a_tenth_of_each_class_is_test_and_it_is_said(made, caplog):
    parts = splits(made / 'raw')
    assert sorted(chain(*parts.values())) == sorted(CLIPS)
    for split in ('val', 'test'):
        assert sorted(clip[9:12] for clip in parts[split]) == sorted(OGM)
    assert 'not the published split' in caplog.text
    assert CREMAD(made / 'raw', 'val', **RAW).metainfo['lists'] == ()


def test_the_class_order_is_a_choice_and_recorded(made):
    assert ORDERS['alphabetical'] == tuple(sorted(OGM)) and ORDERS['ogm'] == OGM
    for classes, order in (
        ('ogm', OGM),
        ('alphabetical', tuple(sorted(OGM))),
        ([WORDS[code] for code in reversed(OGM)], OGM[::-1]),
    ):
        data = CREMAD(made / 'mla', 'test', **RAW, classes=classes)
        assert data.metainfo['classes'] == order
        for index in range(len(data)):
            assert order[data[index]['target']] == data.ids[index][9:12]


@pytest.mark.parametrize('classes', ['official', ['NEU', 'HAP'], [*OGM[:5], 'NEU'], [*OGM, 'JOY']])
def test_classes_that_are_not_the_six_are_refused(made, classes):
    with pytest.raises(ValueError, match=r"possible are \['alphabetical', 'ogm'\] or the six"):
        CREMAD(made / 'ogm', 'test', **RAW, classes=classes)


def test_an_unknown_folder_lists_what_was_looked_for_and_found(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        CREMAD(tmp_path / 'none', 'train', **RAW)
    write_wave(tmp_path / 'AudioWAV' / f'{CLIPS[0]}.wav', CLIPS[0])
    write_wave(tmp_path / 'AudioWAV' / 'notes.wav', CLIPS[0])
    with pytest.raises(ValueError, match='no layout is there') as caught:
        CREMAD(tmp_path, 'train', **RAW)
    for part in ('AudioWAV/*.wav: 1', 'VideoFlash/*.flv: 0', 'visual/*: 0', "holds ['AudioWAV']"):
        assert part in str(caught.value)
    assert 'audio/test_fbank/*.npy: 0' in str(caught.value)


def test_several_layouts_need_a_choice(copy, made):
    root = copy('ogm')
    shutil.copytree(made / 'mla', root, dirs_exist_ok=True)
    for name in ('my_train_cre.txt', 'my_test_cre.txt'):
        (root / name).unlink()
    with pytest.raises(ValueError, match=r"several layouts, \['ogm', 'mla'\]"):
        CREMAD(root, 'test', **RAW)
    assert CREMAD(root, 'test', **RAW, layout='mla').metainfo['shapes']['audio'] == (1, 1, 8, 4)
    assert CREMAD(root, 'test', **RAW, layout='ogm').metainfo['shapes']['audio'] == (1, 2000)
    with pytest.raises(ValueError, match=r"layout='raw'\): no layout is there"):
        CREMAD(root, 'test', **RAW, layout='raw')


def test_extracted_pictures_win_over_the_videos_they_came_from(copy, made):
    root = copy('ogm')
    shutil.copytree(made / 'raw' / 'VideoFlash', root / 'VideoFlash')
    assert CREMAD(root, 'test', **RAW).metainfo['layout'] == 'ogm'
    assert CREMAD(root, 'test', **RAW, layout='raw')[0]['unreadable'] == {}


def test_one_modality_needs_only_its_own_files(copy):
    root = copy('ogm')
    shutil.rmtree(root / 'Image-01-FPS')
    data = CREMAD(root, 'test', **RAW, modalities=('audio',))
    assert list(data[0]['inputs']) == ['audio']
    with pytest.raises(ValueError, match='no layout is there'):
        CREMAD(root, 'test', **RAW, modalities=('visual', 'audio'))


@pytest.mark.parametrize(
    ('row', 'why'),
    [
        (f'{CLIPS[0]}', 'is not <actor>'),
        (f'{CLIPS[0]},NEU,1', 'is not <actor>'),
        ('video 1,NEU', 'is not <actor>'),
        ('id,emotion', 'is not <actor>'),
        (f'{CLIPS[0]},JOY', "'JOY' is none of"),
        (f'{CLIPS[0]},3', "'3' is none of"),
        (f'{CLIPS[1]},SAD', 'is SAD, but an earlier line says HAP'),
    ],
)
def test_a_line_that_is_not_understood_is_named(copy, row, why):
    root = copy('balancebenchmark')
    (root / 'train.csv').write_text(f'name,label\n{CLIPS[1]},HAP\n{row}\n')
    with pytest.raises(ValueError, match=rf'train\.csv, line 3: .*{why}'):
        CREMAD(root, 'test', **RAW)


def test_another_header_is_an_error_in_line_1(copy):
    root = copy('ogm')
    (root / 'test.csv').write_text('label;name\n' + rows(TEST))
    with pytest.raises(ValueError, match=r"test\.csv, line 1: 'label;name' is not <actor>"):
        CREMAD(root, 'train', **RAW)


def test_lists_that_do_not_fit_together_are_refused(copy):
    root = copy('ogm')
    (root / 'my_test_cre.txt').write_text(rows(TEST))
    with pytest.raises(ValueError, match=r'several lists for test, .*keep one'):
        CREMAD(root, 'train', **RAW)
    (root / 'my_test_cre.txt').unlink()
    (root / 'test.csv').write_text(rows(TEST + TRAIN[1:3]))
    with pytest.raises(ValueError, match=rf'share 2 clips, first five: {CLIPS[1]}, {CLIPS[2]}'):
        CREMAD(root, 'train', **RAW)
    (root / 'test.csv').write_text('\n')
    with pytest.raises(ValueError, match='names no clip'):
        CREMAD(root, 'train', **RAW)
    (root / 'test.csv').unlink()
    with pytest.raises(FileNotFoundError, match=r"but for test none of \['test\.csv'"):
        CREMAD(root, 'train', **RAW)


def test_a_label_that_differs_from_the_file_name_wins_and_is_counted(copy, caplog):
    root = copy('ogm')
    (root / 'test.csv').write_text(rows(TEST).replace(',NEU', ',ANG'))
    data = CREMAD(root, 'test', **RAW)
    assert data.metainfo['counts']['relabelled'] == 2
    assert '2 labels of the lists are not those of the file names' in caplog.text
    assert {data.metainfo['classes'][t] for t in data.targets} == set(OGM) - {'NEU'}


def test_a_name_of_no_emotion_cannot_be_split(copy):
    root = copy('raw')
    (root / f'AudioWAV/{CLIPS[0]}.wav').rename(root / 'AudioWAV/1000_IEO_JOY_XX.wav')
    with pytest.raises(ValueError, match='1000_IEO_JOY_XX says none of the emotions'):
        CREMAD(root, 'train', **RAW)


def broken(root: Path) -> CREMAD:
    return CREMAD(root, 'test', **{**RAW, 'visual': PUBLISHED['visual']}, frames=3)


def test_a_broken_file_is_a_missing_modality_and_says_why(copy):
    root = copy('ogm')
    names = sorted(TEST)
    (root / f'AudioWAV/{names[0]}.wav').unlink()
    (root / f'AudioWAV/{names[1]}.wav').write_bytes(b'')
    cut = root / f'AudioWAV/{names[2]}.wav'
    cut.write_bytes(cut.read_bytes()[:1500])
    (root / f'Image-01-FPS/{names[3]}/00002.jpg').write_bytes(b'no picture')
    for path in (root / f'Image-01-FPS/{names[4]}').iterdir():
        path.unlink()
    shutil.rmtree(root / f'Image-01-FPS/{names[5]}')
    data = broken(root)
    batch = collate([data[index] for index in range(7)])
    why = batch['unreadable']
    assert [sorted(w) for w in why] == [['audio']] * 3 + [['visual']] * 3 + [[]]
    for place, text in enumerate(
        ('no such file', 'the file is empty', 'truncated', '00002.jpg', 'holds no', 'no such file')
    ):
        assert text in next(iter(why[place].values()))
    present = {m: signal.present.tolist() for m, signal in batch['inputs'].items()}
    assert present['audio'] == [False] * 3 + [True] * 4
    assert present['visual'] == [True] * 3 + [False] * 3 + [True]
    assert batch['inputs']['audio'].x[:3].eq(0).all()
    counts = data.metainfo['counts']
    assert (counts['audio_absent'], counts['visual_absent']) == (1, 1)
    with pytest.raises(FileNotFoundError, match='1 of 12 clips have no audio on disk'):
        CREMAD(root, 'test', **RAW, on_error='raise')
    strict = CREMAD(root, 'test', **RAW, modalities=('visual',), on_error='missing')
    strict.on_error = 'raise'
    with pytest.raises(MediaError, match=rf'^{names[3]}: .*00002'):
        strict[3]


@pytest.mark.parametrize('layout', ['balancebenchmark', 'mla'])
def test_a_broken_filter_bank_is_missing_sound(copy, layout):
    root = copy(layout)
    names = sorted(TEST)
    suffix = {'balancebenchmark': 'audio/{}.pt', 'mla': 'audio/test_fbank/{}.npy'}[layout]

    def store(clip, array):
        path = root / suffix.format(clip)
        np.save(path, array) if layout == 'mla' else torch.save(torch.from_numpy(array), path)

    store(names[0], np.zeros((7, 4), np.float32))
    store(names[1], np.full(BANK, np.nan, np.float32))
    (root / suffix.format(names[2])).write_bytes(b'truncated')
    store(names[3], np.zeros((2, 8, 4), np.float32))
    store(names[4], bank(names[4])[None])  # a leading axis does no harm
    data = broken(root)
    items = [data[index] for index in range(5)]
    assert [sorted(item['unreadable']) for item in items] == [['audio']] * 4 + [[]]
    for item, text in zip(items, ('it is (7, 4)', 'NaN', names[2], '(2, 8, 4)'), strict=False):
        assert text in item['unreadable']['audio']
    assert torch.equal(items[4]['inputs']['audio'].x[0, 0], torch.from_numpy(bank(names[4])))


def test_a_single_odd_filter_bank_does_not_decide_the_shape(copy):
    root = copy('mla')
    np.save(root / f'audio/train_fbank/{min(TRAIN)}.npy', np.zeros((3, 4), np.float32))
    assert broken(root).metainfo['shapes']['audio'] == (1, 1, 8, 4)
    for path in (root / 'audio').rglob('*.npy'):
        path.write_bytes(b'')
    with pytest.raises(MediaError, match='no stored spectrogram can be read; the last: '):
        broken(root)


def test_more_than_half_absent_is_an_error(copy):
    root = copy('ogm')
    for clip in TEST[:7]:
        shutil.rmtree(root / 'Image-01-FPS' / clip)
    with pytest.raises(FileNotFoundError, match=r'7 of 12 clips have no visual.*cremad\.md'):
        broken(root)


def test_a_broken_video_is_missing_pictures(copy):
    root = copy('raw')
    data = broken(root)
    path = root / f'VideoFlash/{data.ids[0]}.flv'
    path.write_bytes(path.read_bytes()[:60])
    assert sorted(broken(root)[0]['unreadable']) == ['visual']


def test_pictures_are_drawn_in_training_and_fixed_elsewhere(made):
    def shown(data, draw):
        return data[draw]['inputs']['visual'].x[:, 0, 0, 0].tolist()

    train = CREMAD(made / 'ogm', 'train', **RAW)
    drawn = [shown(train, Draw(0, epoch, 5)) for epoch in range(12)]
    assert len({tuple(d) for d in drawn}) == 3
    assert shown(train, Draw(0, 3, 5)) == drawn[3]
    fixed = CREMAD(made / 'ogm', 'train', **RAW, random_times=False)
    assert shown(fixed, Draw(0, 1, 1)) == shown(fixed, Draw(0, 2, 2))
    alone = CREMAD(made / 'ogm', 'train', **RAW, modalities=('visual',))
    assert shown(alone, Draw(0, 3, 5)) == drawn[3], 'whatever else is read'


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'layout': 'A'}, "layout='A'.*'auto', 'ogm'"),
        ({'protocol': 'actor'}, "'random', 'speaker'"),
        ({'validation': 'none'}, "'train', 'test'"),
        ({'on_error': 'ignore'}, "'missing', 'raise'"),
        ({'modalities': ('audio', 'text')}, r"possible are \('audio', 'visual'\)"),
        ({'frames': 0}, 'frames=0'),
        ({'val_fraction': 1.0}, r'val_fraction=1\.0'),
    ],
)
def test_an_unknown_choice_lists_the_possible_ones(made, wrong, why):
    with pytest.raises(ValueError, match=why):
        CREMAD(made / 'ogm', 'train', **RAW, **wrong)
    with pytest.raises(ValueError, match=r"split='dev'.*'train', 'val', 'test'"):
        CREMAD('nowhere', 'dev', **RAW)


def test_the_metainfo_survives_a_checkpoint_that_holds_weights_only(made, tmp_path):
    data = CREMAD(made / 'ogm', 'train', **PUBLISHED, frames=2, split_seed=4)
    torch.save(data.metainfo, tmp_path / 'meta.pth')
    assert torch.load(tmp_path / 'meta.pth', weights_only=True) == data.metainfo
    assert data.metainfo['shapes'] == {'audio': (1, 1, 257, 188), 'visual': (2, 3, 224, 224)}
    named = {'name': 'CREMAD', 'protocol': 'random', 'validation': 'train', 'split_seed': 4}
    assert named.items() <= data.metainfo.items()
    counts = data.metainfo['counts']
    assert (counts['train_clips'], counts['val_clips'], counts['test_clips']) == (30, 6, 12)
    assert counts['unlisted'] == counts['audio_absent'] == counts['relabelled'] == 0


def test_clips_that_no_list_names_are_counted(copy):
    root = copy('ogm')
    (root / 'train.csv').write_text(rows(TRAIN[4:]))
    assert CREMAD(root, 'train', **RAW).metainfo['counts']['unlisted'] == 4


@pytest.mark.parametrize('name', ['base_conv', 'calib_conv', 'base_seq', 'calib_seq'])
def test_a_config_takes_a_step_on_files(made, name):
    torch.manual_seed(0)
    cfg = config.load(str(CONFIGS / f'{name}_cremad.py'), root=str(made / 'ogm'))
    cfg.train_dataloader.dataset.visual[0].size = 64
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate([data[index] for index in range(4)])
    assert batch['inputs']['audio'].x.shape == (4, 1, 1, 257, 188)
    model = MODELS.build(cfg.model).train()
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    loss = sum(model(batch['inputs'], batch['target'], mode='loss').values())
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    moved = [not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)]
    assert sum(moved) > 0.9 * len(moved)


@pytest.mark.skipif(not VOTES.exists(), reason='no shared data on this machine')
def test_the_real_ids_split_as_published(tmp_path):
    with np.load(VOTES) as file:
        ids, splits_of = file['id'].tolist(), file['split'].tolist()
    for clip in ids[:1]:
        write_wave(tmp_path / f'AudioWAV/{clip}.wav', CLIPS[0])
    parts = {'train': [], 'val': [], 'test': []}
    for clip, part in zip(ids, splits_of, strict=True):
        parts[part].append(clip)
    assert {part: len(clips) for part, clips in parts.items()} == {
        'train': 5954,
        'val': 744,
        'test': 744,
    }
    for clip in ids:
        (tmp_path / f'AudioWAV/{clip}.wav').touch()
    (tmp_path / 'train.csv').write_text(rows(parts['train'] + parts['val']))
    (tmp_path / 'test.csv').write_text(rows(parts['test']))
    sound = {**RAW, 'modalities': ('audio',)}
    counts = CREMAD(tmp_path, 'train', **sound).metainfo['counts']
    assert (counts['train_clips'] + counts['val_clips'], counts['test_clips']) == (6698, 744)
    assert counts['actors_in_train_and_test'] == 91 and counts['relabelled'] == 0
    (tmp_path / 'val.csv').write_text(rows(parts['val']))
    assert len(CREMAD(tmp_path, 'train', **sound)) == 5954
    apart = CREMAD(tmp_path, 'train', **sound, protocol='speaker').metainfo['counts']
    assert apart['actors_in_train_and_test'] == 0
    assert apart['train_clips'] + apart['val_clips'] + apart['test_clips'] == 7442
