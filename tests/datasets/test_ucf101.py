"""UCF101 in its three layouts, made of pictures whose values tell class, group and place."""

import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from footage import numbers, write
from ucf101_files import CLASSES, make

from mmcalib import config
from mmcalib.contract import Draw
from mmcalib.datasets.collate import collate
from mmcalib.datasets.ucf101 import UCF101
from mmcalib.media import MediaError
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
LAYOUTS = ('balancebenchmark', 'mmaction2', 'videos')


class Seen:
    """The upper left of frames, as it is, channels first."""

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return array[:, :24, :32].transpose(0, 3, 1, 2)


RAW = {'rgb': [{'type': Seen}], 'flow': [{'type': Seen}]}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    base = tmp_path_factory.mktemp('ucf')
    film = write(base / 'film.avi', seconds=0.8, audio=False)
    for layout in LAYOUTS:
        make(base / layout, layout, film)
    return base


@pytest.fixture
def copy(made, tmp_path):
    def of(layout):
        return Path(shutil.copytree(made / layout, tmp_path / layout))

    return of


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_is_recognised_and_split_by_group(made, layout):
    parts = {s: UCF101(made / layout, s, **RAW) for s in ('train', 'val', 'test')}
    assert {s: len(p) for s, p in parts.items()} == {'train': 18, 'val': 6, 'test': 12}
    assert parts['train'].metainfo['layout'] == layout
    assert parts['train'].metainfo['classes'] == CLASSES
    groups = {s: {v.rsplit('_', 1)[0] for v in p.ids} for s, p in parts.items()}
    assert not groups['train'] & groups['val'] and len(groups['val']) == 3  # one of each class
    assert parts['test'].metainfo['counts']['groups_in_train_and_test'] == 0
    for part in parts.values():
        for video, target in zip(part.ids, part.targets, strict=True):
            assert CLASSES[target].lower() == video.split('_')[1].lower()


@pytest.mark.parametrize('layout', ['balancebenchmark', 'mmaction2'])
def test_stored_pictures_and_flow_are_read_place_by_place(made, layout):
    item = UCF101(made / layout, 'test', frames=3, **RAW)[5]
    assert item['unreadable'] == {}
    rgb, flow = item['inputs']['rgb'], item['inputs']['flow']
    assert rgb.x.shape == (3, 3, 24, 32) and flow.x.shape == (3, 2, 24, 32)
    assert rgb.x[:, 0, 0, 0].tolist() == [20, 40, 60]  # the middles of thirds of six
    assert flow.x[:, :, 0, 0].tolist() == [[21, 22], [41, 42], [61, 62]]
    assert rgb.mask.tolist() == flow.mask.tolist() == [True] * 3


def test_videos_give_frames_and_computed_flow(made):
    item = UCF101(made / 'videos', 'test', frames=4, **RAW)[0]
    rgb = item['inputs']['rgb'].x.numpy().transpose(0, 2, 3, 1)
    assert numbers(rgb) == [2, 7, 12, 17]  # of 20
    assert item['inputs']['flow'].x.shape == (4, 2, 24, 32)
    assert (item['inputs']['flow'].x.float() - 128).abs().max() <= 1  # even pictures do not move


@pytest.mark.parametrize('layout', ['balancebenchmark', 'mmaction2'])
def test_both_modalities_show_the_same_moments_in_training(made, layout):
    data = UCF101(made / layout, 'train', frames=3, **RAW)
    seen = set()
    for epoch in range(8):
        inputs = data[Draw(0, epoch)]['inputs']
        places = inputs['rgb'].x[:, 0, 0, 0].tolist()
        assert inputs['flow'].x[:, 0, 0, 0].tolist() == [place + 1 for place in places]
        assert places == sorted(places)
        seen.add(tuple(places))
    assert len(seen) > 2


def test_crops_and_flips_are_alike(made, copy):
    root = copy('balancebenchmark')
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (24, 1))  # brighter to the right
    for file in [*root.glob('jpegs_256/*/*'), *root.glob('tvl1_flow/v/*/*')]:
        cv2.imwrite(str(file), ramp)
    still = {'type': 'Normalize', 'mean': [0.0, 0.0], 'std': [1.0, 1.0]}
    plain = {'type': 'Normalize', 'mean': [0.0] * 3, 'std': [1.0] * 3}
    crop = {'type': 'RandomResizedCrop', 'size': 16}
    data = DATASETS.build(
        dict(
            type='UCF101',
            root=str(root),
            split='train',
            frames=2,
            rgb=[crop, {'type': 'RandomFlip'}, plain],
            flow=[crop, {'type': 'RandomFlip', 'flow': True}, still],
        )
    )
    turned = set()
    for epoch in range(12):
        inputs = data[Draw(1, epoch)]['inputs']
        rgb, v = inputs['rgb'].x[:, 0], inputs['flow'].x[:, 1]
        assert torch.allclose(rgb, v, atol=1 / 255)
        turned.add(bool(rgb[0, 0, 0] > rgb[0, 0, -1]))
    assert turned == {False, True}


def test_one_modality_needs_only_its_own_files(copy):
    root = copy('balancebenchmark')
    shutil.rmtree(root / 'tvl1_flow')
    assert list(UCF101(root, 'val', modalities=['rgb'], **RAW)[0]['inputs']) == ['rgb']
    with pytest.raises(ValueError, match=r'no layout is there.*tvl1_flow/u/\*: no'):
        UCF101(root, 'val', **RAW)


def test_what_is_broken_is_a_missing_modality_and_says_why(copy, caplog):
    root = copy('balancebenchmark')
    names = UCF101(root, 'test', **RAW).ids
    rgb, u, v = root / 'jpegs_256', root / 'tvl1_flow' / 'u', root / 'tvl1_flow' / 'v'
    shutil.rmtree(rgb / names[0])
    for file in (rgb / names[1]).iterdir():
        file.unlink()
    file = rgb / names[2] / 'frame000004.jpg'
    file.write_bytes(b'no picture')
    shutil.rmtree(u / names[3])
    (v / names[4] / 'frame000006.jpg').unlink()
    cv2.imwrite(str(v / names[5] / 'frame000004.jpg'), np.zeros((9, 9), np.uint8))
    data = UCF101(root, 'test', frames=3, **RAW)
    assert '1 of 12 videos have no rgb on disk' in caplog.text
    batch = collate([data[index] for index in range(7)])
    why = batch['unreadable']
    assert [sorted(w) for w in why] == [['rgb']] * 3 + [['flow']] * 3 + [[]]
    expected = (
        'no such file',
        'holds no',
        '000004.jpg',
        'no such file',
        '6 of u and 5 of v',
        '9, 9',
    )
    for place, text in enumerate(expected):
        assert text in next(iter(why[place].values()))
    assert batch['inputs']['rgb'].mask.any(dim=1).tolist() == [False] * 3 + [True] * 4
    assert not batch['inputs']['rgb'].x[:3].any()
    with pytest.raises(FileNotFoundError, match='1 of 12'):
        UCF101(root, 'test', on_error='raise', **RAW)
    shutil.copytree(rgb / names[6], rgb / names[0])
    shutil.copytree(u / names[6], u / names[3])
    with pytest.raises(MediaError, match='holds no'):
        UCF101(root, 'test', on_error='raise', **RAW)[1]


def test_a_truncated_video_is_a_missing_modality(copy):
    root = copy('videos')
    data = UCF101(root, 'test', **RAW)
    for index, size in ((0, 0), (1, 200)):
        file = root / 'UCF-101' / data.videos[index].label / f'{data.ids[index]}.avi'
        file.write_bytes(file.read_bytes()[:size])
        assert sorted(data[index]['unreadable']) == ['flow', 'rgb']


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_lists_that_are_not_understood_say_where(copy):
    root = copy('balancebenchmark')
    lists = root / 'ucfTrainTestlist'
    train, index = lists / 'trainlist01.txt', lists / 'classInd.txt'
    good = {path: path.read_text() for path in (train, index)}
    first = good[train].splitlines()[0]
    cases = [
        (train, first, 'nonsense', r'line 1: .nonsense. is not <class>/<video>'),
        (
            train,
            first,
            first.replace('Archery/', 'Archerie/'),
            "line 1: 'Archerie' is none of the 3",
        ),
        (
            train,
            first,
            'Archery/v_Bowling_g08_c01.avi 1',
            'is not v_<class>_g<n>_c<n> of that class',
        ),
        (train, first, good[train].splitlines()[1], 'line 2: .* is listed already'),
        (train, first, 'Archery/v_Archery_g01_c01.avi 1', 'line 1: v_Archery_g01_c01 is also at'),
        (index, '1 Archery', 'Archery', 'classInd.txt, line 1: .Archery. is not <number> <class>'),
        (index, '1 Archery', '7 Archery', 'needed are 1, 2, 3'),
    ]
    for path, old, new, match in cases:
        path.write_text(good[path].replace(old, new, 1))
        with pytest.raises(ValueError, match=match):
            UCF101(root, 'train', **RAW)
        path.write_text(good[path])
    train.write_text('')
    with pytest.raises(ValueError, match='lists no video'):
        UCF101(root, 'train', **RAW)
    train.unlink()
    with pytest.raises(FileNotFoundError, match=r'needs trainlist01\.txt or ucf101_train'):
        UCF101(root, 'train', **RAW)
    with pytest.raises(FileNotFoundError, match=r'fold=2'):
        UCF101(root, 'test', fold=2, **RAW)


def test_numbers_of_lists_give_the_classes_where_there_is_no_index(copy):
    root = copy('mmaction2')
    path = root / 'ucf101_train_split_1_rawframes.txt'
    edit(path, ' 6 0', ' 6 5')
    edit(root / 'ucf101_val_split_1_rawframes.txt', ' 6 0', ' 6 5')
    names = ('BabyCrawling', 'HandstandPushups', 'Archery')
    assert UCF101(root, 'test', **RAW).metainfo['classes'] == names
    given = UCF101(root, 'test', classes=CLASSES, **RAW)
    assert given.metainfo['classes'] == CLASSES and given.targets[0] == 0
    path.write_text(path.read_text().replace(' 6 5', ' 6 1', 1))
    with pytest.raises(ValueError, match='has the number'):
        UCF101(root, 'train', **RAW)


def test_a_number_that_contradicts_its_list_is_an_error_also_with_an_index(copy):
    root = copy('balancebenchmark')
    path = root / 'ucfTrainTestlist' / 'trainlist01.txt'
    good = path.read_text()
    path.write_text(good.replace('.avi 2', '.avi 1', 1))
    match = r'line 9: BabyCrawling has the number 1, but so has Archery; needed is one per class'
    with pytest.raises(ValueError, match=rf'trainlist01\.txt, {match}'):
        UCF101(root, 'test', **RAW)
    path.write_text(good.replace('.avi 2', '.avi 4', 1))
    with pytest.raises(ValueError, match=r'line 10: BabyCrawling has the number 2, before 4'):
        UCF101(root, 'test', **RAW)
    path.write_text(good.replace('.avi 2', '.avi'))  # not all have to have one
    assert UCF101(root, 'test', **RAW).metainfo['classes'] == CLASSES


def test_a_folder_with_fewer_pictures_than_its_list_tells_is_missing(copy):
    root = copy('mmaction2')
    data = UCF101(root, 'test', **RAW)
    short, still = (root / 'rawframes' / 'Archery' / data.ids[k] for k in (0, 1))
    for path in (short / 'img_00002.jpg', *short.glob('flow_?_00006.jpg')):
        path.unlink()
    for path in still.glob('flow_?_0000[56].jpg'):
        path.unlink()
    why = [data[k]['unreadable'] for k in range(3)]
    assert [list(w) for w in why] == [['rgb'], ['flow'], []], 'the last picture may have no flow'
    assert 'asked for 6 pictures of rgb, as ' in why[0]['rgb']
    assert 'rawframes.txt, line 1 tells, but it holds 5' in why[0]['rgb']
    assert 'asked for 5 pictures of flow, as ' in why[1]['flow']


def test_an_ambiguous_folder_names_what_it_has(copy):
    root = copy('balancebenchmark')
    shutil.copytree(copy('mmaction2') / 'rawframes', root / 'rawframes')
    with pytest.raises(ValueError, match=r"several layouts, \['balancebenchmark', 'mmaction2'\]"):
        UCF101(root, 'test', **RAW)
    assert UCF101(root, 'test', layout='mmaction2', **RAW).metainfo['layout'] == 'mmaction2'
    with pytest.raises(FileNotFoundError, match='no such folder'):
        UCF101(root / 'x', 'test', **RAW)


@pytest.mark.parametrize(
    ('given', 'match'),
    [
        (dict(split='dev'), r"split='dev'.*'train', 'val', 'test'"),
        (dict(fold=4), r'fold=4.*\(1, 2, 3\)'),
        (dict(frames=0), 'frames=0'),
        (dict(val_fraction=1.0), r'val_fraction=1\.0'),
        (dict(modalities=['sound']), 'modalities'),
        (dict(flow_method='tvl1'), "flow_method='tvl1'.*'dis'"),
        (dict(split='val', val_fraction=0.0), 'has no video'),
    ],
)
def test_an_unknown_choice_is_answered_with_the_possible_ones(made, given, match):
    with pytest.raises(ValueError, match=match):
        UCF101(made / 'videos', **{'split': 'train', **RAW, **given})


def test_selection_on_test_is_asked_for_and_announced(made, caplog):
    data = UCF101(made / 'videos', 'val', validation='test', **RAW)
    assert data.ids == UCF101(made / 'videos', 'test', **RAW).ids
    assert any(
        r.levelno == logging.WARNING and 'on the test split' in r.message for r in caplog.records
    )
    assert len(UCF101(made / 'videos', 'train', validation='test', **RAW)) == 24


def test_another_seed_holds_out_other_groups(made):
    drawn = {tuple(UCF101(made / 'videos', 'val', split_seed=s, **RAW).ids) for s in range(5)}
    assert len(drawn) > 1


@pytest.mark.parametrize('name', ['base_conv', 'calib_conv', 'base_seq', 'calib_seq', 'clcr'])
def test_a_config_takes_a_step_on_files(made, name):
    cfg = config.load(str(CONFIGS / f'{name}_ucf101.py'), root=str(made / 'mmaction2'))
    cfg.model.head.num_classes = 3
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate([data[index] for index in range(3)])
    for modality, channels in (('rgb', 3), ('flow', 2)):
        assert batch['inputs'][modality].x.shape == (3, 3, channels, 224, 224)
    small = {m: s._replace(x=s.x[..., ::4, ::4]) for m, s in batch['inputs'].items()}
    model = MODELS.build(cfg.model)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = model(small, batch['target'], mode='loss')
    sum(losses.values()).backward()
    optimiser.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2 and all(loss.isfinite() for loss in losses.values())
