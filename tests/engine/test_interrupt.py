"""Interrupt: the first signal saves and ends, the second one ends."""

import os
import signal
import socket
import time

import pytest
from engine_project import config, diary, train

from mmcalib.engine.interrupt import Interrupt


def continue_to_the_end(work_dir, uninterrupted, same):
    train(config(work_dir, resume=True))
    same(diary(work_dir), uninterrupted)
    assert sum(entry[0] == 'step' for entry in diary(work_dir)) == 24, 'no step is done twice'
    assert not (work_dir / 'interrupted.pth').exists()


@pytest.mark.parametrize(
    ('number', 'stage', 'workers'),
    [(signal.SIGINT, 'step', 0), (signal.SIGTERM, 'looked', 0), (signal.SIGINT, 'looked', 2)],
)
def test_a_signal_saves_and_ends_without_a_traceback(
    tmp_path, start, wait, uninterrupted, same, number, stage, workers
):
    output = tmp_path / 'output.txt'
    cfg = config(tmp_path, slow=0.1, workers=workers, log_level='INFO')
    child = start(cfg, output)
    wait(lambda: len(diary(tmp_path)) > 6 and diary(tmp_path)[-1][0] == stage)
    os.kill(child.pid, number)
    child.join(30)
    assert child.exitcode == 128 + number
    text = output.read_text()
    assert 'Traceback' not in text
    [line] = [line for line in text.splitlines() if '--resume' in line]
    assert signal.Signals(number).name in line
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'interrupted.pth')
    continue_to_the_end(tmp_path, uninterrupted, same)


def test_a_second_ctrl_c_ends_at_once_without_saving(tmp_path, start, wait):
    output = tmp_path / 'output.txt'
    child = start(config(tmp_path, slow=30, log_level='INFO'), output)
    wait(lambda: output.exists() and b'Checkpoints' in output.read_bytes())
    time.sleep(0.5)  # this hook is the last to begin
    os.kill(child.pid, signal.SIGINT)
    wait(lambda: b'once more' in output.read_bytes())
    assert child.is_alive()
    os.kill(child.pid, signal.SIGINT)
    child.join(10)
    assert child.exitcode == 1
    assert not (tmp_path / 'interrupted.pth').exists()


def test_averaged_weights_are_not_saved_as_the_trained_ones(tmp_path, start, wait, same):
    ema = [{'type': 'Diary'}, {'type': 'EMAHook'}]
    train(config(tmp_path / 'whole', custom_hooks=ema))
    child = start(config(tmp_path / 'part', slow=0.05, custom_hooks=ema))
    wait(lambda: [e[0] for e in diary(tmp_path / 'part')][-1:] == ['looked'])
    os.kill(child.pid, signal.SIGINT)
    child.join(30)
    assert child.exitcode == 130
    train(config(tmp_path / 'part', resume=True, custom_hooks=ema))
    same(diary(tmp_path / 'part'), diary(tmp_path / 'whole'))


@pytest.mark.parametrize('stage', ['step', 'looked'])
def test_ranks_stop_together_when_one_is_told_to(tmp_path, start, wait, same, stage):
    def both(slow, work_dir, **more):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        cfg = config(work_dir, slow=slow, launcher='pytorch', val_length=15, **more)
        common = {'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
        ranks = ({**common, 'RANK': r, 'LOCAL_RANK': r} for r in '01')
        return [start(cfg, tmp_path / 'output.txt', rank) for rank in ranks]

    def end(children):
        for child in children:
            child.join(60)
        return [child.exitcode for child in children]

    assert end(both(0, tmp_path / 'whole')) == [0, 0]
    children = both(0.1, tmp_path / 'part')
    wait(
        lambda: len(diary(tmp_path / 'part', 1)) > 4 and diary(tmp_path / 'part', 1)[-1][0] == stage
    )
    os.kill(children[1].pid, signal.SIGTERM)
    assert end(children) == [143, 143]
    assert end(both(0, tmp_path / 'part', resume=True)) == [0, 0]
    for rank in (0, 1):
        same(diary(tmp_path / 'part', rank), diary(tmp_path / 'whole', rank))


def test_handlers_are_given_back(tmp_path):
    def mine(number, frame):
        pass

    signal.signal(signal.SIGTERM, mine)
    before = signal.getsignal(signal.SIGINT)
    train(config(tmp_path, epochs=1))
    assert signal.getsignal(signal.SIGTERM) is mine
    assert signal.getsignal(signal.SIGINT) is before


def test_a_forked_child_leaves_ctrl_c_to_its_owner_and_obeys_sigterm(monkeypatch):
    hook, sent = Interrupt(), []
    hook._process = -1
    monkeypatch.setattr(os, 'kill', lambda pid, number: sent.append((pid, number)))
    hook._receive(signal.SIGINT, None)
    assert (hook._received, sent) == (0, [])
    hook._receive(signal.SIGTERM, None)
    assert (hook._received, sent) == (0, [(os.getpid(), signal.SIGTERM)])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interval_below_one_is_refused():
    with pytest.raises(ValueError, match=r'interval=0.*at least 1'):
        Interrupt(0)
