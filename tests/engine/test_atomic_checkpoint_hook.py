"""AtomicCheckpointHook: what is written, in which order, and after a crash in any step of it."""

import os
from pathlib import Path

import pytest
import torch
from engine_project import Error, config, diary, loader, train
from mmengine.runner.checkpoint import _load_checkpoint


def small(work_dir, **more):
    """Two iterations per epoch, whose steps are so large that every epoch improves."""
    more.setdefault('epochs', 3)
    wrapper = {'optimizer': {'type': 'AdamW', 'lr': 0.1}}
    train_loader = loader(work_dir, True, length=8)
    return config(work_dir, train_dataloader=train_loader, optim_wrapper=wrapper, **more)


def improving(work_dir):
    """Scores of the validations; it is what makes a best file obsolete."""
    scores = [float.fromhex(entry[2]) for entry in diary(work_dir) if entry[0] == 'val']
    assert scores == sorted(scores, reverse=True), 'the project no longer improves every epoch'
    return scores


def hook(**arguments):
    return {
        'checkpoint': {'type': 'AtomicCheckpointHook', 'interval': 1, **arguments},
        'step_seed': {'type': 'StepSeed'},
    }


def files(work_dir):
    kinds = ('.pth', '.tmp')
    return {
        p.name for p in Path(work_dir).iterdir() if p.suffix in kinds or p.name.startswith('last_')
    }


def last(work_dir):
    return _load_checkpoint(Path(work_dir, 'last_checkpoint').read_text())


class Killed(BaseException):
    """What a process that is killed does not notice."""


class Disk:
    """Counts what is done to files, and dies before or after the k-th deed, for good."""

    def __init__(self, monkeypatch, limit=None, after=False):
        self.count, self.limit, self.after, self.dead = 0, limit, after, False
        self.deeds = []
        deeds = [(os, 'fsync'), (os, 'replace'), (Path, 'unlink')]
        for owner, name in deeds:
            monkeypatch.setattr(owner, name, self.watch(name, getattr(owner, name)))

    def watch(self, name, deed):
        def watched(*arguments, **options):
            if self.dead:
                raise Killed
            self.count += 1
            self.deeds.append((name, str(arguments[-1] if name == 'replace' else arguments[0])))
            self.dead = self.count == self.limit
            if self.dead and not self.after:
                raise Killed
            deed(*arguments, **options)
            if self.dead:
                raise Killed

        return watched


def test_best_epoch_pointer_then_deletion(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    keep_one = hook(max_keep_ckpts=1, save_best='line/mse', rule='less')
    train(small(tmp_path, default_hooks=keep_one))
    order = [(n, Path(p).name) for n, p in disk.deeds if n != 'fsync' and 'interrupted' not in p]
    improving(tmp_path)
    expected = []
    for epoch in (1, 2, 3):
        expected += [('replace', f'best_line_mse_epoch_{epoch}.pth')]
        expected += [('replace', f'epoch_{epoch}.pth'), ('replace', 'last_checkpoint')]
        if epoch > 1:
            expected += [('unlink', f'best_line_mse_epoch_{epoch - 1}.pth')]
            expected += [('unlink', f'epoch_{epoch - 1}.pth')]
    assert order == expected


def test_an_epoch_file_names_the_best_of_its_own_validation(tmp_path):
    train(small(tmp_path))
    info = last(tmp_path)['message_hub']['runtime_info']
    assert info['best_score'] == improving(tmp_path)[-1]
    assert _load_checkpoint(info['best_ckpt'])['meta']['epoch'] == 3


@pytest.mark.parametrize('after', [False, True])
def test_a_kill_in_any_step_of_saving_loses_nothing(tmp_path, monkeypatch, same, after):
    two = {'epochs': 2}
    two['default_hooks'] = hook(max_keep_ckpts=1, save_best='line/mse', rule='less')
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        whole = train(small(tmp_path / 'whole', **two)).state_dict()
    improving(tmp_path / 'whole')
    assert disk.count > 15
    for k in range(1, disk.count + 1):
        work_dir = tmp_path / str(k)
        with monkeypatch.context() as patch:
            Disk(patch, k, after)
            with pytest.raises(Killed):
                train(small(work_dir, **two))
        if Path(work_dir, 'last_checkpoint').exists():
            last(work_dir)
        model = train(small(work_dir, **two, resume=True))
        same(diary(work_dir), diary(tmp_path / 'whole'))
        assert files(work_dir) == files(tmp_path / 'whole')
        for name, value in model.state_dict().items():
            assert torch.equal(value, whole[name])


def test_what_a_kill_left_half_written_is_cleared(tmp_path):
    for name in ('.epoch_9.pth.tmp', '.last_checkpoint.tmp'):
        (tmp_path / name).write_bytes(b'half')
    (tmp_path / 'notes.tmp').write_text('mine')
    train(small(tmp_path))
    assert [n for n in files(tmp_path) if n.endswith('.tmp')] == ['notes.tmp']


@pytest.mark.parametrize('without', ['interval', 'loop'])
def test_epochs_without_validation_are_saved_too(tmp_path, without):
    more = {'default_hooks': hook()}
    if without == 'interval':
        more['train_cfg'] = {'type': 'EpochLoop', 'max_epochs': 3, 'val_interval': 2}
    else:
        more |= {'val_dataloader': None, 'val_cfg': None, 'val_evaluator': None}
    train(small(tmp_path, **more))
    assert files(tmp_path) == {'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint'}


def test_the_last_epoch_is_saved_whatever_the_interval(tmp_path):
    train(small(tmp_path, default_hooks=hook(interval=2)))
    assert files(tmp_path) == {'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint'}


def test_every_metric_that_is_asked_for_has_its_own_best(tmp_path, monkeypatch):
    compute = Error.compute_metrics
    scores = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(
        Error,
        'compute_metrics',
        lambda self, results: {**compute(self, results), 'acc': next(scores)},
    )
    two = hook(save_best=['line/mse', 'line/acc'], rule=['less', 'greater'])
    train(small(tmp_path, default_hooks=two))
    best = {name for name in files(tmp_path) if name.startswith('best')}
    assert best == {'best_line_mse_epoch_3.pth', 'best_line_acc_epoch_1.pth'}


def test_a_metric_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"'acc', but validation gives \['line/mse'\]"):
        train(small(tmp_path, default_hooks=hook(save_best='acc', rule='greater')))


def test_intervals_of_iterations_resume_in_the_middle_of_an_epoch(tmp_path, uninterrupted, same):
    hooks = hook(by_epoch=False, interval=5, save_best='line/mse', rule='less')
    train(config(tmp_path / 'a', default_hooks=hooks))
    names = {n for n in files(tmp_path / 'a') if n.startswith('iter')}
    assert names == {f'iter_{i}.pth' for i in (5, 10, 15, 20, 24)}
    same(diary(tmp_path / 'a'), uninterrupted)
    start = str(tmp_path / 'a' / 'iter_10.pth')
    train(config(tmp_path / 'b', default_hooks=hooks, resume=True, load_from=start))
    same(
        diary(tmp_path / 'b'),
        [e for e in uninterrupted if e[1] >= 10 or (e[0] == 'val' and e[1] > 1)],
    )


def test_a_loop_that_does_not_announce_epochs_is_refused(tmp_path):
    cfg = small(tmp_path, train_cfg={'type': 'EpochBasedTrainLoop', 'max_epochs': 1})
    with pytest.raises(TypeError, match=r"EpochBasedTrainLoop does not.*type='EpochLoop'"):
        train(cfg)


def test_published_files_hold_the_keys_that_are_asked_for(tmp_path):
    train(small(tmp_path, default_hooks=hook(published_keys=['state_dict'])))
    [published] = [n for n in files(tmp_path) if n.startswith('epoch_3-')]
    assert _load_checkpoint(str(tmp_path / published)).keys() == {'state_dict'}
