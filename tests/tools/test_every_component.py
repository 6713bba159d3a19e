"""`tools/train.py` with every calibrator, every fuser and every balancing method, on tiny clips."""

import json
import math
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny import LOADERS, NO_PICTURES

from mmcalib.engine.balancing import Balancing
from mmcalib.registry import CALIBRATORS, FUSERS, HOOKS
from mmcalib.samples.ave import generate

ROOT = Path(__file__).parents[2]
TINY = ['train_cfg.max_epochs=1', 'data.audio.0.length_s=0.5', *NO_PICTURES]
TINY += [f'model.encoders.{m}.base_channels=16' for m in ('audio', 'visual')]
TINY += LOADERS
NARROW = {'Bottleneck': ['model.fuser.width=48', 'model.fuser.depth=2', 'model.fuser.separate=1']}
NEEDED = runpy.run_path(str(ROOT / 'tools' / 'benchmark.py'))['NEEDED']

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = generate(tmp_path_factory.mktemp('data') / 'ave', train=8, val=4, test=4, processes=1)
    (root / 'sample.json').unlink()  # from here on it passes for real data
    return root


def names(registry, kind=object):
    registry.import_from_location()
    return sorted(n for n, c in registry.module_dict.items() if issubclass(c, kind))


@pytest.fixture
def train(root, tmp_path, monkeypatch):
    """Run the tool in this process; the log of its training steps."""

    def run(*flags, options=()):
        flags = [str(ROOT / 'configs' / 'base_conv_ave.py'), '--data-root', str(root), *flags]
        flags += ['--work-dir', str(tmp_path), '--cfg-options', *TINY, *options]
        monkeypatch.setattr(sys, 'argv', ['train.py', *flags])
        runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
        record = json.loads((tmp_path / 'test.json').read_text())
        assert 0 <= record['test']['accuracy'] <= 1
        logged = next(tmp_path.glob('*/vis_data/scalars.json')).read_text().splitlines()
        steps = [row for row in map(json.loads, logged) if 'loss' in row]
        assert steps and all(math.isfinite(row['loss']) for row in steps)
        return steps

    return run


@pytest.mark.parametrize('name', names(CALIBRATORS))
def test_a_calibrator_trains_and_is_tested(name, train, tmp_path):
    train('--calibrator', name, options=needed(name))
    assert written(tmp_path).model.calibrator.type == name
    weights = saved(tmp_path)
    assert all(value.isfinite().all() for value in weights.values() if value.is_floating_point())


@pytest.mark.parametrize('name', names(FUSERS))
def test_a_fuser_trains_and_is_tested(name, train, tmp_path):
    train(options=[f'model.fuser.type={name}', *needed(name), *NARROW.get(name, [])])
    assert written(tmp_path).model.fuser.type == name


@pytest.mark.parametrize('calibrator', ['Identity', 'VGMR'])
@pytest.mark.parametrize('name', names(HOOKS, Balancing))
def test_a_balancing_method_trains_and_is_tested(name, calibrator, train, tmp_path):
    train('--calibrator', calibrator, '--balancing', name)
    cfg = written(tmp_path)
    assert cfg.model.calibrator.type == calibrator and cfg.custom_hooks[-1].type == name
    weights = saved(tmp_path)
    assert all(value.isfinite().all() for value in weights.values() if value.is_floating_point())


def needed(name):
    """As on a command line."""
    options = NEEDED.get(name, {}).items()
    return [f'{k}={",".join(v) if isinstance(v, list) else v}' for k, v in options]


def written(folder):
    return Config.fromfile(str(folder / 'base_conv_ave.py'))


def saved(folder):
    path = next(folder.glob('best_accuracy_*.pth'))
    return torch.load(path, map_location='cpu', weights_only=True)['state_dict']
