"""RunRecord keeps what was said to every sample, once and in order, in any number of processes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmcalib.hooks import run_record
from mmcalib.hooks.run_record import RunRecord


def outputs(*names):
    return [
        dict(id=name, target=torch.tensor(k), prediction=torch.full((2,), k + 0.5))
        for k, name in enumerate(names)
    ]


def runner(folder, items, rank=0):
    loader = SimpleNamespace(dataset=range(items))
    return SimpleNamespace(work_dir=str(folder), rank=rank, test_dataloader=loader)


def examine(hook, run, *batches):
    hook.before_test_epoch(run)
    for k, batch in enumerate(batches):
        hook.before_test_iter(run, k)
        hook.after_test_iter(run, k, outputs=batch)
    hook.after_test_epoch(run)


def test_samples_of_one_name_are_all_kept(tmp_path):
    hook, run = RunRecord(), runner(tmp_path, 3)
    for _ in range(2):  # a second test starts anew
        examine(hook, run, outputs('b', 'a'), outputs('a'))
    with np.load(tmp_path / 'predictions.npz') as found:
        assert found['id'].tolist() == ['b', 'a', 'a']
        assert found['target'].tolist() == [0, 1, 0]
        assert found['prediction'].tolist() == [[0.5, 0.5], [1.5, 1.5], [0.5, 0.5]]


def test_the_turns_of_two_processes_are_the_order_of_the_data_set(tmp_path, monkeypatch):
    hook = RunRecord()
    other = [(x['id'], x['target'].numpy(), x['prediction'].numpy()) for x in outputs('b', 'a')]
    monkeypatch.setattr(run_record, 'all_gather_object', lambda mine: [mine, other])
    examine(hook, runner(tmp_path, 3), outputs('a', 'c'))  # `a` once more fills the last turn
    with np.load(tmp_path / 'predictions.npz') as found:
        assert found['id'].tolist() == ['a', 'b', 'c']
    (tmp_path / 'predictions.npz').unlink()
    examine(hook, runner(tmp_path, 3, rank=1), outputs('a', 'c'))
    assert not list(tmp_path.iterdir())


def test_times_are_medians_and_a_resumed_epoch_counts_for_none(tmp_path, monkeypatch):
    clock = iter([0, 10, 11, 20, 23, 30, 30.2, 40, 40.6, 50, 50.4])
    monkeypatch.setattr(run_record, 'now', lambda: next(clock))
    hook = RunRecord()
    assert hook.epoch_s is None and hook.inference_ms is None
    for epoch, start in ((1, 6), (2, 8), (3, 12)):  # 4 batches each; the first resumes at its third
        run = SimpleNamespace(iter=start, epoch=epoch, train_dataloader=range(4))
        hook.before_train_epoch(run)
        hook.after_train_epoch(run)
    assert hook.epoch_s == pytest.approx((1 + 3) / 2)
    examine(hook, runner(tmp_path, 6), outputs(*'ab'), outputs(*'cd'), outputs(*'ef'))
    assert hook.inference_ms == pytest.approx(1000 * 0.4 / 2)
