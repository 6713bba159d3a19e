"""Runner: errors of the registries, its surroundings, and what it saves."""

import os
import sys

import pytest
import torch
from engine_project import NoisyLine, config, diary, train
from mmengine.config import Config

from mmcalib.engine.runner import Runner
from mmcalib.registry import UnknownComponent


def changed(work_dir, path, value):
    cfg = config(work_dir)
    *parents, key = path.split('.')
    place = cfg
    for parent in parents:
        place = place[parent]
    place[key] = value
    return cfg


@pytest.mark.parametrize(
    ('path', 'value', 'error', 'message'),
    [
        ('model.type', 'Plain', UnknownComponent, r"no model 'Plain'.*did you mean 'Plane'"),
        ('model.widht', 3, TypeError, r"Plane takes no argument 'widht'.*'width'"),
        ('train_dataloader.dataset.type', 'NoisyLin', UnknownComponent, r"'NoisyLine'"),
        ('train_dataloader.dataset.nois', 1, TypeError, r"no argument 'nois'.*'noise'"),
        ('train_dataloader.sampler.type', 'EpochSample', UnknownComponent, r"'EpochSampler'"),
        ('default_hooks.interrupt.type', 'Interupt', UnknownComponent, r"'Interrupt'"),
    ],
)
def test_a_mistake_in_a_config_is_explained(tmp_path, path, value, error, message):
    with pytest.raises(error, match=message):
        train(changed(tmp_path, path, value))


def test_a_data_set_is_not_copied(tmp_path, monkeypatch):
    def refuse(self, memo):
        raise AssertionError('a data set may be large')

    monkeypatch.setattr(NoisyLine, '__deepcopy__', refuse, raising=False)
    loader = config(tmp_path).train_dataloader
    assert len(Runner.build_dataloader(loader, seed=1).dataset) == 22


def test_a_torchvision_that_does_not_fit_does_not_end_the_run(tmp_path, monkeypatch):
    folder = tmp_path / 'site' / 'torchvision'
    folder.mkdir(parents=True)
    text = "raise RuntimeError('operator torchvision::nms does not exist')"
    (folder / '__init__.py').write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / 'site'))
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)

    def report():
        import importlib

        try:
            importlib.import_module('torchvision')
        except ModuleNotFoundError:
            return {'TorchVision': 'absent'}

    monkeypatch.setattr('mmengine.runner.runner.collect_env', report)
    Runner.from_cfg(config(tmp_path / 'run'))
    assert 'torchvision' not in sys.modules


def test_runs_of_one_second_share_nothing(tmp_path):
    runners = [Runner.from_cfg(config(tmp_path / str(i))) for i in range(3)]
    assert len({r.experiment_name for r in runners}) == 3
    assert len({id(r.message_hub) for r in runners}) == 3


def test_a_plain_save_is_atomic_too(tmp_path, monkeypatch):
    moved, replace = [], os.replace
    monkeypatch.setattr(os, 'replace', lambda a, b: (moved.append(b.name), replace(a, b)))
    hooks = {'checkpoint': {'type': 'CheckpointHook', 'interval': 1}}
    train(config(tmp_path, epochs=1, default_hooks=hooks))
    assert moved == ['epoch_1.pth']


def test_workers_leave_ctrl_c_to_their_owner(tmp_path):
    import signal

    loader = Runner.build_dataloader(config(tmp_path).train_dataloader, seed=1)
    loader.worker_init_fn(0)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_launchers_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match=r"'slurm' needs CUDA.*'pytorch'"):
        Runner.from_cfg(config(tmp_path, launcher='slurm'))


def test_the_checkpoint_says_which_data_the_weights_saw(tmp_path):
    train(config(tmp_path, epochs=1))
    meta = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['meta']
    assert "type='NoisyLine'" in meta['cfg'].replace(' ', '')
    assert meta['seed'] == 7 and len(diary(tmp_path)) == 10


def test_the_text_of_the_config_is_the_config_and_no_formatter_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.config.config.FormatCode', None)
    given = config(tmp_path, epochs=1)
    before = given.to_dict()
    train(given)
    assert given.to_dict() == before
    text = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['meta']['cfg']
    (tmp_path / 'again.py').write_text(text)
    assert Config.fromfile(str(tmp_path / 'again.py')).to_dict() == before
