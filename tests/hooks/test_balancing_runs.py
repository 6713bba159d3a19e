"""Balancing methods in mmengine's own training: resumed amid an epoch, and on two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook

from mmcalib.contract import Draw, Signal
from mmcalib.engine.runner import Runner
from mmcalib.registry import DATASETS, HOOKS, METRICS

METHODS = [
    {'type': 'OGMGE', 'alpha': 0.5},
    {'type': 'AGM'},
    {'type': 'PMR'},
    {'type': 'GradientBlending', 'super_epoch': 1, 'train_batches': 1},
    {'type': 'MMPareto'},
    {'type': 'MLA'},
    {'type': 'Relearning', 'every': 1},
    {'type': 'ARL', 'begin': 0},
]
NAMES = [method['type'] for method in METHODS]
DIMS = {'audio': 3, 'visual': 4}


@DATASETS.register_module(force=True)
class Clouds(torch.utils.data.Dataset):
    """Three classes, noise of the draw, and modalities that are missing now and then."""

    METAINFO = metainfo = {'name': 'Clouds', 'classes': ['a', 'b', 'c']}

    def __init__(self, first=0):
        self.first = first  # so that validation hears other noise

    def __len__(self):
        return 12

    def __getitem__(self, draw):
        draw = draw if isinstance(draw, Draw) else Draw(draw)
        inputs = {}
        for stream, (m, dim) in enumerate(DIMS.items()):
            x = draw.generator(self.first + stream).normal(draw.sample % 3, 1, (2, dim))
            there = (draw.sample + stream) % 5 > 0
            inputs[m] = Signal(torch.tensor(x).float(), torch.tensor([there, there]))
        return {'inputs': inputs, 'target': draw.sample % 3, 'id': str(draw.sample)}


@METRICS.register_module(force=True)
class Nothing(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [0] * len(data_samples)

    def compute_metrics(self, results):
        return {'count': len(results)}


@HOOKS.register_module(force=True)
class StopAt(Hook):
    """Save after an iteration, and stop there as a kill would."""

    priority = 'VERY_LOW'

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            runner.save_checkpoint(runner.work_dir, 'stop.pth', by_epoch=False)
            raise KeyboardInterrupt


def config(work_dir, method, stop=None, **more):
    loader = {'dataset': {'type': 'Clouds'}, 'batch_size': 4, 'num_workers': 0}
    loader['collate_fn'] = {'type': 'mmcalib.collate'}
    train = {**loader, 'sampler': {'type': 'EpochSampler', 'shuffle': True}}
    val = {**loader, 'sampler': {'type': 'EpochSampler', 'shuffle': False}}
    val['dataset'] = {'type': 'Clouds', 'first': 2}
    encoders = {
        m: {'type': 'Transformer', 'in_dim': dim, 'width': 4, 'depth': 1, 'heads': 2}
        for m, dim in DIMS.items()
    }
    return Config(
        {
            'default_scope': 'mmcalib',
            'work_dir': str(work_dir),
            'model': {
                'type': 'MultimodalModel',
                'encoders': encoders,
                'calibrator': {'type': 'VGMR', 'width': 4},
                'fuser': {'type': 'Concat'},
                'head': {'type': 'Classify', 'num_classes': 3},
            },
            'train_dataloader': train,
            'val_dataloader': val,
            'val_evaluator': {'type': 'Nothing'},
            'train_cfg': {'type': 'EpochLoop', 'max_epochs': 3},
            'val_cfg': {},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
            'default_hooks': {'checkpoint': None, 'step_seed': {'type': 'StepSeed'}},
            'custom_hooks': [method, *([{'type': 'StopAt', 'iteration': stop}] if stop else [])],
            'randomness': {'seed': 7},
            'log_level': 'WARNING',
            **more,
        }
    )


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    monkeypatch.setattr(mmengine.runner.runner, 'collect_env', dict)  # it runs compilers


@pytest.mark.parametrize('method', METHODS, ids=NAMES)
def test_a_run_stopped_amid_its_second_epoch_goes_on_as_if_it_had_not(tmp_path, method):
    whole = Runner.from_cfg(config(tmp_path / 'whole', method))
    expected = whole.train().state_dict()
    plain = Runner.from_cfg(config(tmp_path / 'plain', {'type': 'StepSeed'})).train().state_dict()
    assert any((expected[n] != v).any() for n, v in plain.items()), 'it does something'
    with pytest.raises(KeyboardInterrupt):
        Runner.from_cfg(config(tmp_path / 'parts', method, stop=5)).train()
    saved = str(tmp_path / 'parts' / 'stop.pth')
    state = torch.load(saved, weights_only=True)
    assert method['type'] in {
        'OGMGE',
        'ARL',
        *state.get('balancing', ()),
    }  # the first two need none
    resumed = config(tmp_path / 'parts', method, resume=True, load_from=saved)
    for name, value in Runner.from_cfg(resumed).train().state_dict().items():
        assert torch.equal(value, expected[name]), name


def train_rank(rank, port, folder):
    """One of two processes; what each method ends with goes to a file."""
    os.environ.update(MASTER_ADDR='localhost', MASTER_PORT=port, WORLD_SIZE='2')
    os.environ.update(RANK=rank, LOCAL_RANK=rank)
    torch.set_num_threads(1)
    mmengine.runner.runner.collect_env = dict
    for name, method in zip(NAMES, METHODS, strict=True):
        runner = Runner.from_cfg(config(Path(folder, name), method, launcher='pytorch'))
        runner.train()
        parameters = {n: p.detach() for n, p in runner.model.module.named_parameters()}
        torch.save(parameters, Path(folder, name, f'rank_{rank}.pth'))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder in which two processes have trained with every method."""
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = str(free.getsockname()[1])
    folder = tmp_path_factory.mktemp('two')
    command = [sys.executable, '-W', 'ignore', __file__]
    ranks = [subprocess.Popen([*command, rank, port, folder]) for rank in '01']
    try:
        assert [rank.wait(240) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('method', NAMES)
def test_two_processes_end_with_the_same_weights(trained, method):
    one, other = (torch.load(trained / method / f'rank_{rank}.pth') for rank in (0, 1))
    for name, value in one.items():
        assert value.isfinite().all() and torch.equal(value, other[name]), name


if __name__ == '__main__':
    train_rank(*sys.argv[1:])
