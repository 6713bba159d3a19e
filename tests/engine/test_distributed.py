"""Two processes on CPUs: they train, and they count like one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from engine_project import config, diary

from mmcalib.engine.runner import Runner

LENGTH = 9
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The work dir of a training of two processes under torchrun."""
    work_dir = tmp_path_factory.mktemp('two')
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2']
    command += ['--rdzv-backend', 'c10d', '--rdzv-endpoint', 'localhost:0']
    script = Path(__file__).with_name('engine_project.py')
    run = subprocess.run(
        [*command, str(script), str(work_dir), '--launcher', 'pytorch'],
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return work_dir


def test_two_processes_share_the_data_and_the_weights_learn(trained):
    for epoch in range(4):
        steps = [
            [e for e in diary(trained, rank) if e[0] == 'step' and e[1] // 3 == epoch]
            for rank in (0, 1)
        ]
        ids = [int(i) for rank in steps for entry in rank for i in entry[4]]
        assert sorted(ids) == list(range(22)), '22 is even: nothing is seen twice'
    losses = [float.fromhex(e[2]) for e in diary(trained) if e[0] == 'step']
    assert sum(losses[-3:]) < sum(losses[:3])


def test_every_sample_counts_once_though_their_number_is_odd(trained):
    assert json.loads((trained / 'ids.json').read_text()) == [str(i) for i in range(LENGTH)]
    seen = [i for rank in (0, 1) for e in diary(trained, rank) if e[0] == 'looked' for i in e[2]]
    assert len(seen) == 4 * (LENGTH + 1), 'the ranks see one sample twice, the metric does not'


def test_both_ranks_and_one_process_agree_on_the_metric(trained):
    last = [float.fromhex(diary(trained, rank)[-1][2]) for rank in (0, 1)]
    assert last[0] == last[1]
    weights = str(trained / 'epoch_4.pth')
    one = Runner.from_cfg(config(trained / 'one', load_from=weights)).val()['line/mse']
    # The batches differ, and with them the order of float32 sums.
    assert one == pytest.approx(last[0], rel=1e-5)
