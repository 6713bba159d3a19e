"""The comparison as people start it: killed, started twice, with failures, and without patience."""

import csv
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import mini_project
import pytest

PATH = Path(__file__).parents[2] / 'tools' / 'compare.py'
TOOL = runpy.run_path(str(PATH))
GRID = ['--calibrator', 'Identity', 'NormOnly', '--seeds', '2', '--jobs', '2']
TIMES = {'epoch_s', 'inference_ms', 'commit'}  # and others commit while tests run

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return mini_project.make(tmp_path_factory.mktemp('project'), epochs=4)


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', PATH, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def rows(out):
    with (out / 'table.csv').open() as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@pytest.fixture(scope='module')
def whole(config, tmp_path_factory):
    out = tmp_path_factory.mktemp('whole')
    code, table, err = finish(start(config, *GRID, '--out', out))
    assert code == 0, err
    return out, table, err


def test_the_table_has_a_row_per_method_and_every_seed_counts(whole):
    out, table, err = whole
    assert '[4/4]' in err
    assert (out / 'table.md').read_text().strip() == table.strip()
    assert [row['n'] for row in rows(out)] == ['2', '2']
    assert all((out / f'table.{kind}').stat().st_size for kind in ('tex', 'html'))
    assert not list(out.glob('*/epoch_*.pth')) and len(list(out.glob('*/best_*.pth'))) == 4


def test_a_grid_that_is_killed_three_times_ends_with_the_same_table(whole, config, tmp_path):
    pause = random.Random(time.time_ns())
    seen = set()
    for _ in range(3):
        killed = start(config, *GRID, '--jobs', '1', '--out', tmp_path)
        while not set(tmp_path.glob('*/epoch_*.pth')) - seen and killed.poll() is None:
            time.sleep(0.02)  # until a run has got further than the last time
        time.sleep(pause.uniform(0, 0.3))
        assert killed.poll() is None, 'it ended before it was killed'
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        seen |= set(tmp_path.glob('*/epoch_*.pth'))
    assert len(list(tmp_path.glob('*/test.json'))) < 4
    code, _, err = finish(start(config, *GRID, '--out', tmp_path))
    assert code == 0, err
    assert rows(tmp_path) == rows(whole[0])


def test_two_grids_at_once_do_every_run_once(whole, config, tmp_path):
    both = [start(config, *GRID, '--out', tmp_path) for _ in range(2)]
    assert [finish(process)[0] for process in both] == [0, 0]
    assert rows(tmp_path) == rows(whole[0])
    for log in tmp_path.glob('*/output.txt'):
        assert log.read_text().count('Epoch(test) [2/2]') == 1


def test_a_failure_is_listed_and_the_rest_is_done(whole, config, tmp_path):
    options = ['--set', 'optim_wrapper.optimizer.lr=0.1,oops', '--seeds', '1', '--jobs', '2']
    code, table, err = finish(start(config, *options, '--out', tmp_path))
    assert code == 1
    assert 'FAILED: ' in err and 'lr=oops' in err and 'lr=oops-seed0: `TypeError' in table
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_all_to_go_on_with(config, tmp_path, number):
    stopped = start(config, *GRID, '--out', tmp_path)
    while not list(tmp_path.glob('*/epoch_1.pth')):
        time.sleep(0.05)
        assert stopped.poll() is None
    os.kill(stopped.pid, number)
    code, _, err = finish(stopped)
    assert code == 130 and 'goes on from here' in err


def test_a_typing_error_is_told_before_anything_runs(config, tmp_path, capsys):
    assert TOOL['main']([str(config), '--calibrator', 'VGRM', '--out', str(tmp_path)]) == 2
    assert "did you mean 'VGMR'" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_dry_run_prints_the_commands(config, tmp_path, capsys):
    assert TOOL['main']([str(config), *GRID, '--out', str(tmp_path), '--dry-run']) == 0
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out.splitlines()[3] == (
        f'python tools/train.py {config} --calibrator NormOnly --seed 1'
    )


def test_a_job_of_a_cluster_does_the_same(whole, config, tmp_path):
    pytest.importorskip('submitit')
    alone = ['--calibrator', 'NormOnly', '--seeds', '1']
    code, _, err = finish(
        start(config, *alone, '--out', tmp_path, '--slurm', 'cluster=local', 'timeout_min=5')
    )
    assert code == 0, err
    assert rows(tmp_path)[0]['values'] == rows(whole[0])[1]['values'].split()[0]


@pytest.mark.parametrize(
    ('given', 'meant'),
    [('5', [0, 1, 2, 3, 4]), ('10-12', [10, 11, 12]), ('1', [0])],
)
def test_seeds(given, meant):
    assert TOOL['seeds'](given) == meant


@pytest.mark.parametrize('given', ['0', '3-1', 'x', '-2', '1-'])
def test_no_seeds(given, config, capsys):
    with pytest.raises(SystemExit):
        TOOL['parse']([str(config), f'--seeds={given}'])
    assert f"'{given}' is given; 5 (0 to 4) and 10-14 are possible" in capsys.readouterr().err


def test_no_jobs(config, capsys):
    with pytest.raises(SystemExit):
        TOOL['parse']([str(config), '--jobs', '0'])
    assert "'0' is given; a whole number from 1 on is possible" in capsys.readouterr().err


def test_axes():
    assert TOOL['axes'](['a.b=1e-3,x', 'c=[1]']) == {'a.b': [0.001, 'x'], 'c': [1]}
    for wrong in ('a', 'a=', '=1'):
        with pytest.raises(ValueError, match='KEY=V,W is possible'):
            TOOL['axes']([wrong])
