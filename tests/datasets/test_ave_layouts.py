"""AVE as PMR and OGM-GE keep it: stored spectrograms and folders of pictures, written here."""

import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ave_files import (
    BANK,
    BARK,
    IDS,
    LABELS,
    MAKE,
    NUMBERS,
    PARTS,
    SIGHT,
    SOUND,
    SPEECH,
    bank,
    store,
    write_pairs,
)
from footage import write

from mmcalib import config
from mmcalib.datasets.ave import AVE
from mmcalib.datasets.collate import collate
from mmcalib.media import MediaError
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'


class Seen:
    """Frames as they are, channels first; a spectrogram as it is."""

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


class Refused:
    """A waveform must not be asked for."""

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        raise AssertionError('audio transforms are for waveforms')


class Doubled:
    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return 2 * array


RAW = {'visual': [{'type': Seen}], 'audio': [{'type': Refused}]}
both = pytest.mark.parametrize('layout', ['pmr', 'ogm'])


@pytest.fixture(scope='module')
def made(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp('ave')
    return {layout: make(folder / layout) for layout, make in MAKE.items()}


@pytest.fixture
def copy(made, tmp_path):
    def of(layout: str) -> Path:
        return Path(shutil.copytree(made[layout], tmp_path / layout))

    return of


def ids(root: Path, split: str, **kwargs) -> list[str]:
    return [event.id for event in AVE(root, split, **RAW, **kwargs).events]


@both
@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_every_file_is_read_with_its_label(made, layout, split):
    data = AVE(made[layout], split, **RAW, frames=3, random_times=False, val_fraction=1 / 3)
    assert data.metainfo['layout'] == layout
    assert data.metainfo['shapes'] == {'audio': (1, 1, 8, 4), 'visual': (3, 3, 256, 256)}
    assert len(data) == len(PARTS[split])
    for item in map(data.__getitem__, range(len(data))):
        assert item['unreadable'] == {}
        assert data.metainfo['classes'][item['target']] == LABELS[item['id']]
        sound, sight = item['inputs']['audio'], item['inputs']['visual']
        assert torch.equal(sound.x, torch.from_numpy(bank(item['id']))[None, None])
        assert [round(float(frame.float().mean()) / 20) for frame in sight.x] == list(NUMBERS)
        assert sound.mask.tolist() == [True] and sight.mask.tolist() == [True] * 3
    assert data.metainfo['counts'] == {
        **dict.fromkeys(('again', 'shared', 'dropped', 'audio_absent', 'visual_absent'), 0),
        'listed': len(PARTS[split]),
    }


def test_lists_of_pmr_are_the_official_ones(made):
    for split, names in PARTS.items():
        assert ids(made['pmr'], split) == names


@both
def test_stored_spectrograms_have_transforms_of_their_own(made, layout):
    doubled = AVE(made[layout], 'test', **RAW, spectrogram=[{'type': Doubled}])
    item = doubled[0]
    assert np.array_equal(item['inputs']['audio'].x[0, 0], 2 * bank(item['id']))


def test_val_is_drawn_from_train_by_class_and_never_from_test(made):
    root = made['ogm']
    train, val = (ids(root, split, val_fraction=1 / 3) for split in ('train', 'val'))
    assert sorted(train + val) == IDS[:18] and ids(root, 'test') == IDS[18:]
    assert sorted(LABELS[name] for name in val) == [BARK] * 3 + [SPEECH] * 3
    assert ids(root, 'val', val_fraction=1 / 3) == val
    assert ids(root, 'val', val_fraction=1 / 3, split_seed=1) != val
    assert ids(root, 'train', val_fraction=0.0) == IDS[:18]
    with pytest.raises(ValueError, match=r"split='val', val_fraction=0\.0\) has no video"):
        AVE(root, 'val', **RAW, val_fraction=0.0)


def test_selection_on_test_must_be_asked_for_and_is_announced(made, caplog):
    root = made['ogm']
    assert not set(ids(root, 'val')) & set(IDS[18:]) and 'selects' not in caplog.text
    assert ids(root, 'val', validation='test', drop_leaks=True) == IDS[18:]
    assert ids(root, 'train', validation='test') == IDS[:18]
    counts = AVE(root, 'test', **RAW, validation='test').metainfo['counts']
    assert counts['shared'] == 0, 'val is test, and no leak'
    assert 'selects checkpoints on the test split' in caplog.text
    with pytest.raises(ValueError, match=r"validation='test'.*'pmr' has one; possible is 'train'"):
        AVE(made['pmr'], 'val', **RAW, validation='test')


def test_leaks_and_repeats_of_pairs_are_counted_and_dropped_on_request(copy, caplog):
    root = copy('ogm')
    write_pairs(root, [*IDS[:18], IDS[0], IDS[20]], IDS[18:])
    data = AVE(root, 'train', **RAW, val_fraction=0.0)
    assert data.metainfo['counts'].items() >= {'listed': 20, 'again': 1, 'shared': 1}.items()
    assert '1 videos are also in test (drop_leaks=False)' in caplog.text
    assert len(data) == 19
    assert ids(root, 'train', val_fraction=0.0, drop_leaks=True) == IDS[:18]


def test_classes_of_ogm_may_be_those_of_stat_txt(made, copy):
    auto = AVE(made['ogm'], 'test', **RAW, classes='auto')
    assert auto.metainfo['classes'] == (SPEECH, 'Helicopter', BARK)
    assert {int(auto[k]['target']) for k in range(6)} == {0, 2}
    root = copy('ogm')
    (root / 'stat.txt').unlink()
    assert AVE(root, 'test', **RAW, classes='auto').metainfo['classes'] == (BARK, SPEECH)
    (root / 'stat.txt').write_text('Bark\nFlute\nBark\n')
    with pytest.raises(ValueError, match=r"stat\.txt, line 3: 'Bark' is named again"):
        AVE(root, 'test', **RAW, classes='auto')
    (root / 'stat.txt').write_text('\n')
    with pytest.raises(ValueError, match=r'stat\.txt names no class'):
        AVE(root, 'test', **RAW, classes='auto')


def test_the_root_may_be_the_folder_ave_itself(copy):
    root = copy('ogm')
    for name in ('my_train.txt', 'my_test.txt'):
        (root / name).rename(root / 'AVE' / name)
    assert ids(root, 'test') == ids(root / 'AVE', 'test') == IDS[18:]


def test_stored_files_win_over_the_videos_they_came_from(copy, tmp_path):
    root = copy('pmr')
    (root / 'AVE').mkdir()
    for name in PARTS['test']:
        write(root / 'AVE' / f'{name}.mp4', 0.2)
    assert AVE(root, 'test', **RAW).metainfo['layout'] == 'pmr'
    videos = AVE(root, 'test', [{'type': Seen}], [{'type': Seen}], layout='official')
    assert videos.metainfo['layout'] == 'official' and videos.metainfo['counts']['absent'] == 0


def test_several_layouts_need_a_choice(copy, made):
    root = copy('pmr')
    shutil.copytree(made['ogm'], root, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"several layouts, \['pmr', 'ogm'\]\. Looked for.*: 24"):
        AVE(root, 'test', **RAW)
    assert len(AVE(root, 'val', **RAW, layout='pmr')) == 6
    assert len(AVE(root, 'val', **RAW, layout='ogm')) == 2


@both
def test_one_modality_needs_only_its_own_files(copy, layout):
    root = copy(layout)
    shutil.rmtree(root / SOUND[layout])
    assert list(AVE(root, 'test', **RAW, modalities=['visual'])[0]['inputs']) == ['visual']
    with pytest.raises(FileNotFoundError, match=rf'{layout} audio .*: 0'):
        AVE(root, 'test', **RAW)


@both
@pytest.mark.parametrize('wrong', [{'span': 'clip'}, {'context_s': 0.5}])
def test_what_was_cut_before_has_no_other_span(made, layout, wrong):
    with pytest.raises(ValueError, match=rf"cuts videos, but the layout '{layout}' holds"):
        AVE(made[layout], 'test', **RAW, **wrong)


@pytest.mark.parametrize(
    ('row', 'why'),
    [
        ('Bark', r"line 2: 'Bark' is not class,id"),
        (',a', 'is not class,id'),
        ('Bark,', 'is not class,id'),
        ('Bark a,b c', 'is not class,id'),
        ('Barks,a', r"line 2: 'Barks' is none of the 28 classes, the closest is \['Bark'\]"),
    ],
)
def test_a_line_of_pairs_that_is_not_understood_is_named(copy, row, why):
    root = copy('ogm')
    (root / 'my_train.txt').write_text(f'Bark,{IDS[0]}\n{row}\n')
    with pytest.raises(ValueError, match=rf'my_train\.txt, line 2: .*{why.split(": ")[-1]}'):
        AVE(root, 'train', **RAW, val_fraction=0.0)


@pytest.mark.parametrize('absent', ['my_train.txt', 'my_test.txt'])
def test_a_list_of_pairs_that_is_not_there_is_named(copy, absent):
    root = copy('ogm')
    (root / absent).unlink()
    with pytest.raises(FileNotFoundError, match=rf"layout='ogm'\) needs {absent}, there or in"):
        AVE(root, 'test', **RAW)


@pytest.mark.parametrize('empty', ['my_train.txt', 'my_test.txt'])
def test_a_list_of_no_pairs_is_refused(copy, empty):
    root = copy('ogm')
    (root / empty).write_text('\n')
    with pytest.raises(ValueError, match=rf'{empty} names no video; a line is class,id'):
        AVE(root, 'test', **RAW)


class Evil:
    """Its pickle creates a file when it is loaded by Python's own unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


@both
def test_a_broken_spectrogram_is_missing_sound_and_runs_no_code(copy, layout, tmp_path):
    root = copy(layout)
    names = IDS[18:]
    at = [root / SOUND[layout] / f'{name}.pkl' for name in names]
    proof = tmp_path / 'proof'
    store(at[0], Evil(proof))
    at[1].write_bytes(at[1].read_bytes()[:-40])
    store(at[2], np.zeros((7, 4), np.float32))
    store(at[3], np.full(BANK, np.inf))
    store(at[4], {'spectrogram': [1.0]})
    at[5].unlink()
    data = reading(root)
    items = [data[k] for k in range(6)]
    assert [list(item['unreadable']) for item in items] == [['audio']] * 6
    expected = ('may run code', 'cut off', '(8, 4), but it is (7, 4)', 'NaN', 'holds dict', 'no su')
    for item, why in zip(items, expected, strict=True):
        assert why in item['unreadable']['audio']
        assert item['inputs']['audio'].x.eq(0).all() and item['inputs']['audio'].x.shape[2:] == BANK
        assert not item['inputs']['audio'].mask.any() and item['inputs']['visual'].mask.all()
    assert not proof.exists()
    pickle.loads(at[0].read_bytes()).close()
    assert proof.exists(), 'elsewhere, it does run'
    assert data.metainfo['counts']['audio_absent'] == 1
    with pytest.raises(FileNotFoundError, match='1 of 6 videos have no audio on disk, first'):
        AVE(root, 'test', **RAW, on_error='raise')
    data.on_error = 'raise'
    with pytest.raises(MediaError, match=rf'^{names[0]}: .*may run code'):
        data[0]


def reading(root: Path) -> AVE:
    pictures = [{'type': 'Resize', 'size': 32}, {'type': 'Normalize'}]
    return AVE(root, 'test', visual=pictures, audio=RAW['audio'], frames=3)


@both
def test_broken_pictures_are_missing_ones(copy, layout):
    root = copy(layout)
    folders = [root / SIGHT[layout] / name for name in IDS[18:]]
    pictures = [sorted(folder.iterdir()) for folder in folders]
    pictures[0][1].write_bytes(b'no picture')
    pictures[1][0].write_bytes(pictures[1][0].read_bytes()[:20])
    for path in pictures[2]:
        path.unlink()
    shutil.rmtree(folders[3])
    cv2.imwrite(str(pictures[4][2]), np.zeros((10, 10, 3), np.uint8))
    batch = collate([reading(root)[k] for k in range(6)])
    assert [list(why) for why in batch['unreadable']] == [['visual']] * 5 + [[]]
    expected = (pictures[0][1].name, pictures[1][0].name, 'holds no', 'no such', 'sizes differ')
    for why, part in zip(batch['unreadable'], expected, strict=False):
        assert part in why['visual']
    assert batch['inputs']['visual'].present.tolist() == [False] * 5 + [True]
    assert batch['inputs']['audio'].present.all()


@both
def test_more_than_half_absent_is_an_error(copy, layout):
    root = copy(layout)
    for name in IDS[18:22]:
        shutil.rmtree(root / SIGHT[layout] / name)
    with pytest.raises(FileNotFoundError, match=r'4 of 6 videos have no visual.*ave\.md'):
        AVE(root, 'test', **RAW)


@both
def test_no_readable_spectrogram_is_an_error_and_one_odd_does_not_decide(copy, layout):
    root = copy(layout)
    store(root / SOUND[layout] / f'{IDS[0]}.pkl', np.zeros((3, 3)))
    assert AVE(root, 'test', **RAW).metainfo['shapes']['audio'] == (1, 1, *BANK)
    for path in (root / SOUND[layout]).iterdir():
        path.write_bytes(b'')
    with pytest.raises(MediaError, match=r'no stored spectrogram can be read; the last: .*\.pkl'):
        AVE(root, 'test', **RAW)


@both
@pytest.mark.parametrize('name', ['base_conv', 'calib_conv'])
def test_a_config_takes_a_step_on_files(made, layout, name):
    torch.manual_seed(0)
    cfg = config.load(str(CONFIGS / f'{name}_ave.py'), root=str(made[layout]))
    cfg.train_dataloader.dataset.visual[0].size = 64
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate([data[index] for index in range(4)])
    assert not any(batch['unreadable']) and batch['inputs']['audio'].x.shape == (4, 1, 1, *BANK)
    model = MODELS.build(cfg.model).train()
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    loss = sum(model(batch['inputs'], batch['target'], mode='loss').values())
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    moved = [not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)]
    assert sum(moved) > 0.9 * len(moved)
