"""All runs come to an end, whatever happens to some."""

import fcntl
import io
from pathlib import Path

import pytest

from mmcalib.comparison import pool
from mmcalib.comparison.execute import ERROR, LOCK, state
from mmcalib.comparison.grid import expand


class Clockwork:
    """An executor whose jobs end after two looks, as `ends` says of a run's calibrator."""

    def __init__(self, ends):
        self.ends, self.started, self.running, self.most = ends, [], set(), 0
        self.cancelled = []

    def submit(self, run):
        self.started.append(run.name)
        self.running.add(run.name)
        self.most = max(self.most, len(self.running))
        run.folder.mkdir(parents=True, exist_ok=True)
        return Tick(self, run)


class Tick:
    def __init__(self, owner, run):
        self.owner, self.run, self.looks = owner, run, 0

    def done(self):
        self.looks += 1
        if self.looks < 2:
            return False
        if self.run.name in self.owner.running:
            self.owner.running.remove(self.run.name)
            self.owner.ends[self.run.calibrator](self.run)
        return True

    def cancel(self):
        self.owner.cancelled.append(self.run.name)

    def wait(self):
        self.owner.cancelled.append('waited')


def succeed(run):
    (run.folder / 'test.json').write_text('{}')


def fail(run):
    (run.folder / ERROR).write_text('Traceback\n  somewhere\nValueError: no such luck\n')


def vanish(run):
    pass


def interrupt(run):
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    monkeypatch.setattr(pool, 'POLL_S', 0)


def grid(out, *calibrators, seeds=3):
    return expand(['a.py'], out, calibrators, seeds=range(seeds))


def test_a_failed_run_stops_no_other_and_is_told_with_its_error(tmp_path):
    runs = grid(tmp_path, 'good', 'bad', 'gone')
    executor = Clockwork({'good': succeed, 'bad': fail, 'gone': vanish})
    ended = pool.do_all(runs, executor, 2)
    assert [ended[f'a-good-seed{k}'].name for k in range(3)] == ['done'] * 3
    assert [tuple(ended[f'a-bad-seed{k}']) for k in range(3)] == [
        ('failed', 'ValueError: no such luck')
    ] * 3
    assert ended['a-gone-seed0'].name == 'failed'
    assert 'ended without a result' in ended['a-gone-seed0'].error
    assert executor.most == 2


def test_what_is_done_is_not_done_again_and_what_failed_is_tried_again(tmp_path):
    runs = grid(tmp_path, 'good', 'bad')
    pool.do_all(runs, Clockwork({'good': succeed, 'bad': fail}), 1)
    again = Clockwork({'bad': succeed})
    assert {how.name for how in pool.do_all(runs, again, 1).values()} == {'done'}
    assert again.started == [f'a-bad-seed{k}' for k in range(3)]


def test_a_run_that_another_process_is_at_is_waited_for(tmp_path):
    runs = grid(tmp_path, 'good', 'other', seeds=1)
    other = runs[1].folder
    other.mkdir(parents=True)
    lock = (other / LOCK).open('w')
    fcntl.flock(lock, fcntl.LOCK_EX)

    def succeed_and_let_go(run):
        succeed(run)
        (other / 'test.json').write_text('{}')
        lock.close()

    executor = Clockwork({'good': succeed_and_let_go})
    ended = pool.do_all(runs, executor, 2)
    assert executor.started == ['a-good-seed0']
    assert {how.name for how in ended.values()} == {'done'}


def test_a_run_whose_process_was_second_to_another_is_waited_for(tmp_path, monkeypatch):
    (run,) = grid(tmp_path, 'late', seeds=1)
    locks = []

    def find_it_locked(run):
        if not locks:
            locks.append((run.folder / LOCK).open('w'))
            fcntl.flock(locks[0], fcntl.LOCK_EX)
        else:
            succeed(run)

    class LetGo(Clockwork):
        def submit(self, run):
            assert not self.started or locks[0].closed
            return super().submit(run)

    looks = []

    def look(run):
        looks.append(run)
        if len(looks) == 6:
            locks[0].close()
        return state(run)

    executor = LetGo({'late': find_it_locked})
    monkeypatch.setattr(pool, 'state', look)
    ended = pool.do_all([run], executor, 1)
    assert len(executor.started) == 2 and ended[run.name].name == 'done'


def test_ctrl_c_asks_all_that_run_to_save_and_waits(tmp_path):
    executor = Clockwork({'stop': interrupt, 'good': succeed})
    with pytest.raises(KeyboardInterrupt):
        pool.do_all(grid(tmp_path, 'stop', 'good', seeds=1), executor, 2)
    assert executor.cancelled[:2] == ['a-stop-seed0', 'a-good-seed0']
    assert executor.cancelled[2:] == ['waited', 'waited']


def test_the_remaining_time_is_the_mean_so_far_times_what_is_left():
    now, lines = [0.0], io.StringIO()
    show = pool.Progress(5, 1, lines, clock=lambda: now[0])
    one, other = expand(['a.py'], Path(), seeds=[0, 1])
    for run, at in ((one, 70.0), (other, 140.0)):
        show.started(run)
        now[0] = at
        show.ended(run, pool.State('done'))
    assert lines.getvalue().splitlines() == [
        '1 of 5 runs are done already',
        '[2/5] a-seed0: done in 1 min 10 s; about 3 min 30 s to go',
        '[3/5] a-seed1: done in 1 min 10 s; about 2 min 20 s to go',
    ]
    assert pool.duration(2 * 3600 + 5 * 60) == '2 h 5 min'
