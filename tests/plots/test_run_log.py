"""Logs of runs: what is read, and which runs are one."""

import json

import numpy as np
import pytest

from mmcalib.plots.run_log import RunLog, band, group, read_run


def write(folder, stamp, rows, config=''):
    target = folder / stamp / 'vis_data'
    target.mkdir(parents=True)
    (target / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)) + '\n')
    (target / 'config.py').write_text(config)


def test_metrics_and_named_curves_are_read_and_the_trainers_own_log_is_not(tmp_path):
    rows = [
        {'lr': 0.1, 'loss': 2.0, 'loss_task': 1.0, 'time': 1.0, 'epoch': 1, 'iter': 5, 'step': 5},
        {'grad_norm/head': 3.0, 'step': 5},
        {'accuracy': 0.5, 'data_time': 0.1, 'time': 0.2, 'step': 1},
        {'loss/val': 0.7, 'step': 1},
    ]
    write(tmp_path / 'run', '20260101_000000', rows)
    run = read_run(tmp_path / 'run')
    assert run.series == {'grad_norm/head': {5: 3.0}, 'accuracy': {1: 0.5}, 'loss/val': {1: 0.7}}
    assert (run.name, run.sample_data) == ('run', False)


@pytest.mark.parametrize('text', ['sample_data = True', 'a = 1\nsample_data=True'])
def test_a_resumed_run_is_one_and_its_last_word_counts(tmp_path, text):
    write(tmp_path, '20260101_000000', [{'a/b': 1.0, 'step': 1}, {'a/b': 2.0, 'step': 2}])
    write(tmp_path, '20260102_000000', [{'a/b': 5.0, 'step': 2}, {'a/b': 6.0, 'step': 3}], text)
    run = read_run(tmp_path)
    assert run.series == {'a/b': {1: 1.0, 2: 5.0, 3: 6.0}} and run.sample_data


def test_what_is_no_run_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'has no \*/vis_data/scalars\.json'):
        read_run(tmp_path)
    write(tmp_path, '1', [])
    (tmp_path / '1' / 'vis_data' / 'scalars.json').write_text('{"a": 1, "step": 1}\n{"a": \n')
    with pytest.raises(ValueError, match=r'scalars\.json, line 2 is no JSON'):
        read_run(tmp_path)


def run(name, **series):
    return RunLog(name, series, False)


def test_runs_that_differ_in_their_seed_are_a_group():
    names = ['base_ave-seed0', 'base_ave-seed12', 'base_ave-VGMR-seed0-sample', 'base_ave']
    runs = [run(name) for name in names]
    assert {label: len(some) for label, some in group(runs).items()} == {
        'base_ave': 3,
        'base_ave-VGMR-sample': 1,
    }
    assert list(group(runs, separate=True)) == names


def test_a_band_is_over_the_steps_that_all_have():
    runs = [run('a', x={1: 1.0, 2: 3.0}), run('b', x={2: 5.0, 3: 9.0}), run('c', y={2: 0.0})]
    found = band(runs, 'x')
    assert found.steps.tolist() == [2] and found.mean.tolist() == [4.0]
    assert found.spread == pytest.approx([np.sqrt(2)])
    alone = band(runs[:1], 'x')
    assert alone.mean.tolist() == [1.0, 3.0] and alone.spread.tolist() == [0.0, 0.0]
    assert (
        band(runs, 'z') is None and band([run('a', x={1: 0.0}), run('b', x={2: 0.0})], 'x') is None
    )
