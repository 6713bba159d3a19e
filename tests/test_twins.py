"""Every config on its generated stand-in: from files of the benchmark's own format to a metric."""

import json
import math
import runpy
import shutil
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tiny import NO_PICTURES

from mmcalib import config
from mmcalib.engine.runner import Runner
from mmcalib.registry import DATASETS
from mmcalib.samples.folder import is_sample

ROOT = Path(__file__).parents[1]
TINY = {  # arguments of the generator
    'ave': dict(train=12, val=4, test=4, processes=1),
    'cremad': dict(train=18, test=6, processes=1),
    'kinetics_sounds': dict(train=24, test=8, processes=1),
    'ucf101': dict(clips=1, processes=1),
    'mosi': dict(train=16, valid=4, test=4),
    'mosei': dict(train=16, valid=4, test=4),
}
FEWER = {'cremad': dict(train=6, test=2), 'kinetics_sounds': dict(train=4, test=2)}
PAIRS = [
    f'{kind}_{family}_{name}'
    for name in TINY
    for family in ('conv', 'seq')
    for kind in ('base', 'calib')
]
SYSTEMS = [
    'clcr_ave',
    'clcr_cremad',
    'clcr_ucf101',
    'clcr_mosi',
    'clcr_mosei',
    'mim_mosi',
    'mim_mosei',
]


def small(cfg):
    """Options that make a run tiny: one epoch, one process, narrow nets, pictures of 32 pixels."""
    options = ['train_cfg.max_epochs=1', *NO_PICTURES]
    for modality, encoder in cfg.model.encoders.items():
        at = f'model.encoders.{modality}'
        if encoder.type == 'Hierarchy':
            at, encoder = f'{at}.backbone', encoder.backbone
        if encoder.type == 'ResNet':
            options.append(f'{at}.base_channels=4')
    for loader in ('train', 'val', 'test'):
        options += [
            f'{loader}_dataloader.batch_size=4',
            f'{loader}_dataloader.num_workers=0',
            f'{loader}_dataloader.persistent_workers=False',
        ]
        given = cfg[f'{loader}_dataloader'].dataset
        for modality in ('visual', 'rgb', 'flow'):
            if modality in given:
                options.append(f'{loader}_dataloader.dataset.{modality}.0.size=32')
    return options


class Start(Hook):
    """The weights before the first step."""

    def before_train(self, runner):
        weights = runner.model.named_parameters()
        self.weights = {name: value.detach().clone() for name, value in weights}


@pytest.fixture
def start(monkeypatch):
    """A hook that the tool's run has, too."""
    hook, train = Start(), Runner.train

    def observed(runner):
        runner.register_hook(hook)
        return train(runner)

    monkeypatch.setattr(Runner, 'train', observed)
    return hook


@pytest.fixture(scope='module')
def stand_in(tmp_path_factory):
    """The folder of each tiny stand-in, generated once."""

    @cache
    def generate(name):
        folder = tmp_path_factory.mktemp('stand_ins') / name
        return import_module(f'mmcalib.samples.{name}').generate(folder, **TINY[name])

    return generate


def test_stored_flow_is_that_of_the_frames_and_trains(tmp_path, monkeypatch):
    from mmcalib.media.flow import flow_from_bytes, optical_flow
    from mmcalib.samples.ucf101 import Clip, film, generate

    root = generate(tmp_path / 'data', clips=1, corrupted=0.0, processes=1, layout='mmaction2')
    init_default_scope('mmcalib')
    data = DATASETS.build(dict(type='UCF101', root=root, split='test', frames=39, rgb=[], flow=[]))
    assert data.metainfo['layout'] == 'mmaction2'
    frames = film(Clip(0, 'HorseRiding', 1, 1))
    flow = optical_flow(frames[:-1], frames[1:])
    read = data[data.ids.index('v_HorseRiding_g01_c01')]['inputs']
    apart = np.abs(flow_from_bytes(read['flow'].x.numpy()) - flow.clip(-20, 20))
    moves = np.abs(flow) > 1
    assert moves.sum() > 1000 and apart[moves].mean() < 0.3  # JPEG; a step is 0.16 pixels
    assert np.abs(read['rgb'].x.numpy()[0].astype(float) - frames[0]).mean() < 8
    assert 0 <= accuracy('base_conv_ucf101', root, monkeypatch, 'model.head.num_classes=6') <= 1


def test_stored_pictures_are_those_of_each_second_and_train(tmp_path, monkeypatch):
    from mmcalib.samples.cremad import FPS, Clip, film, generate

    args = dict(train=18, test=6, corrupted=0.0, processes=1)
    root = generate(tmp_path / 'data', layout='ogm', **args)
    init_default_scope('mmcalib')
    clip = Clip(0, 20)
    count = round(clip.generator('length').uniform(1.6, 2.6) * FPS)
    frames = film(clip.emotion, clip.looks(), clip.generator('picture'), count, FPS)[::FPS]
    given = dict(type='CREMAD', root=root, split='test', visual=[], audio=[])
    data = DATASETS.build(dict(given, frames=len(frames)))
    assert data.metainfo['layout'] == 'ogm'
    read = data[data.ids.index(clip.id)]['inputs']['visual'].x.numpy()
    assert np.abs(read.astype(float) - frames).mean() < 8  # JPEG
    assert 0 <= accuracy('base_conv_cremad', root, monkeypatch) <= 1


def accuracy(name, root, monkeypatch, *options):
    """Of a tiny run of a config on a folder."""
    path, out = ROOT / 'configs' / f'{name}.py', root.parent / 'run'
    options = [*small(Config.fromfile(str(path), lazy_import=False)), *options]
    argv = ['train.py', path, '--data-root', root, '--work-dir', out]
    monkeypatch.setattr(sys, 'argv', [*map(str, argv), '--cfg-options', *options])
    runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
    return json.loads((out / 'test.json').read_text())['test']['accuracy']


@pytest.mark.slow
@pytest.mark.parametrize('name', [*PAIRS, *SYSTEMS])
def test_a_config_trains_on_its_stand_in(name, stand_in, start, tmp_path, monkeypatch):
    path = ROOT / 'configs' / f'{name}.py'
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(str(path), lazy_import=False)
    data = next(data for data in TINY if name.endswith(f'_{data}'))
    assert is_sample(shutil.copytree(stand_in(data), cfg.sample.root))
    args = TINY[data].items()
    options = [*small(cfg), *(f'sample.args.{key}={value}' for key, value in args)]
    monkeypatch.setattr(sys, 'argv', ['train.py', str(path), '--cfg-options', *options])
    runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
    work_dir = tmp_path / 'work_dirs' / f'{name}-sample'
    record = json.loads((work_dir / 'test.json').read_text())
    assert record['sample_data'] is True
    assert record['test'] and all(math.isfinite(v) for v in record['test'].values())
    logged = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    steps = [row for row in map(json.loads, logged) if 'loss' in row]
    assert steps and all(math.isfinite(row['loss']) for row in steps)
    saved = torch.load(next(work_dir.glob('epoch_1.pth')), weights_only=False)
    assert saved['message_hub']['runtime_info']['iter'] + 1 >= 3  # counted from 0
    trained = saved['state_dict']
    assert all(value.isfinite().all() for value in trained.values() if value.is_floating_point())
    moved = {key for key, value in start.weights.items() if not value.equal(trained[key])}
    stages = {key.split('.')[0] for key in start.weights}
    assert stages == {key.split('.')[0] for key in moved}
    assert {'head'} | ({'calibrator'} if name.startswith('calib') else set()) <= stages
    if 'encoders' in stages:
        encoders = {key.split('.')[1] for key in start.weights if key.startswith('encoders.')}
        assert encoders == {key.split('.')[1] for key in moved if key.startswith('encoders.')}


@pytest.mark.parametrize('name', ['cremad', 'kinetics_sounds', 'ucf101', 'mosi', 'mosei'])
def test_a_stand_in_is_a_function_of_its_arguments_and_left_alone_with_foreign_files(
    name, tmp_path
):
    module = import_module(f'mmcalib.samples.{name}')

    def contents(folder, **more):
        root = module.generate(tmp_path / folder, **{**TINY[name], **FEWER.get(name, {}), **more})
        return {
            p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob('*') if p.is_file()
        }

    first = contents('a')
    assert contents('a') == contents('b') == first
    other = contents('c', seed=7)
    assert other.keys() != first.keys() or other != first
    (tmp_path / 'a' / 'mine.txt').write_text('')
    assert not is_sample(tmp_path / 'a')
    with pytest.raises(FileExistsError, match=r"for example 'mine\.txt'"):
        contents('a', seed=9)
    with pytest.raises(ValueError, match='seed is at'):
        contents('d', seed=-1)


def features(data, modality):
    """A few numbers per item: means over blocks of the picture, the spectrum or the sequence."""
    rows = []
    for index in range(len(data)):
        x = data[index]['inputs'][modality].x.float()
        if x.ndim == 2:
            rows.append(x.mean(dim=0))
            continue
        pooled = torch.nn.functional.adaptive_avg_pool2d(x, 8)
        spread = pooled.std(dim=0) if len(pooled) > 1 else pooled.new_zeros(pooled.shape[1:])
        rows.append(torch.cat([pooled.mean(dim=0).flatten(), spread.flatten()]))
    return torch.stack(rows).numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'args', 'options', 'chance'),
    [
        ('ucf101', dict(clips=4, processes=1), {'data.frames': 6}, 1 / 6),
        ('mosi', dict(train=600, valid=8, test=200), {}, 0.6),
    ],
)
def test_every_modality_of_a_stand_in_tells_the_class(name, args, options, chance, tmp_path):
    root = import_module(f'mmcalib.samples.{name}').generate(
        tmp_path / 'data', corrupted=0.0, **args
    )
    cfg = config.load(str(ROOT / 'configs' / f'base_conv_{name}.py'), options, str(root))
    for loader in ('train', 'test'):
        given = cfg[f'{loader}_dataloader'].dataset
        for modality in ('visual', 'rgb', 'flow'):
            if modality in given:
                given[modality] = cfg.test_dataloader.dataset[modality]
                given[modality][0].size = 48
    train, test = (
        DATASETS.build(dict(cfg[f'{part}_dataloader'].dataset)) for part in ('train', 'test')
    )
    targets = [np.array([int(d[i]['target']) for i in range(len(d))]) for d in (train, test)]
    for modality in train.metainfo['modalities']:
        scaler = StandardScaler()
        x = scaler.fit_transform(features(train, modality))
        model = LogisticRegression(C=0.02, max_iter=500).fit(x, targets[0])
        score = model.score(scaler.transform(features(test, modality)), targets[1])
        assert score > chance + 0.08, (modality, score)
