"""Do all runs of a grid, so many at a time, whatever happens to some."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from mmcalib.comparison.execute import State, refuse_others, state
from mmcalib.comparison.grid import Run

POLL_S = 0.2  # between two looks at the folders of running jobs


class Job(Protocol):
    """What is running."""

    def done(self) -> bool: ...
    def cancel(self) -> None: ...
    def wait(self) -> None: ...


class Executor(Protocol):
    """What starts runs."""

    def submit(self, run: Run) -> Job: ...


def do_all(runs: Sequence[Run], executor: Executor, at_once: int) -> dict[str, State]:
    """Start what is not done, wait for all, and say by name how each ended.

    A run that failed earlier is tried once more. One that another process is at is waited for, and
    begun again should that process give up. Ctrl-C asks the running ones to save, waits for them,
    and comes through.

    Raises:
        ValueError: a folder holds a run of other settings; nothing is started then.
    """
    for run in runs:
        refuse_others(run)
    ended = {run.name: State('done') for run in runs if state(run).name == 'done'}
    waiting = [run for run in runs if run.name not in ended]
    show = Progress(len(runs), len(ended))
    jobs: list[tuple[Run, Job]] = []
    try:
        while waiting or jobs:
            for run in list(waiting):
                if len(jobs) == at_once:  # there may be hundreds, and a look takes four calls
                    break
                now = state(run)
                if now.name == 'done':
                    waiting.remove(run)
                    ended[run.name] = now
                    show.ended(run, now)
                elif now.name != 'running':
                    waiting.remove(run)
                    jobs.append((run, executor.submit(run)))
                    show.started(run)
            for run, job in [pair for pair in jobs if pair[1].done()]:
                jobs.remove((run, job))
                now = state(run)
                if now.name == 'running':  # another process was quicker
                    waiting.append(run)
                    continue
                if now.name == 'waiting':
                    now = State('failed', f'it ended without a result; see {run.folder}')
                ended[run.name] = now
                show.ended(run, now)
            show.update(len(jobs), len(waiting))
            time.sleep(POLL_S)
    except BaseException:
        for _, job in jobs:
            job.cancel()
        for _, job in jobs:
            job.wait()
        raise
    finally:
        show.close()
    return ended


class Progress:
    """Lines for a log, and on a terminal a line that is always the last."""

    def __init__(
        self,
        total: int,
        done: int,
        to: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.before, self.to, self.clock = total, done, to or sys.stderr, clock
        self.since = clock()
        self.counts: Counter[str] = Counter()
        self.begun: dict[str, float] = {}
        self.shown = ''
        if done:
            self.say(f'{done} of {total} runs are done already')

    def started(self, run: Run) -> None:
        self.begun[run.name] = self.clock()

    def ended(self, run: Run, how: State) -> None:
        self.counts[how.name] += 1
        took = self.clock() - self.begun.get(run.name, self.clock())
        number = self.before + sum(self.counts.values())
        word = {'done': 'done', 'failed': f'FAILED: {how.error}'}[how.name]
        self.say(f'[{number}/{self.total}] {run.name}: {word} in {duration(took)}')

    def update(self, running: int, waiting: int) -> None:
        if not self.to.isatty():
            return
        finished = sum(self.counts.values())
        text = f'{self.before + self.counts["done"]} done, {running} running, {waiting} waiting'
        if self.counts['failed']:
            text += f', {self.counts["failed"]} failed'
        if finished:
            each = (self.clock() - self.since) / finished
            text += f'; about {duration(each * (running + waiting))} to go'
        if text != self.shown:
            self.to.write(f'\r\033[K{text}')
            self.to.flush()
            self.shown = text

    def say(self, line: str) -> None:
        finished = sum(self.counts.values())
        if finished and not self.to.isatty():
            left = self.total - self.before - finished
            each = (self.clock() - self.since) / finished
            line += f'; about {duration(each * left)} to go' if left else ''
        clear = '\r\033[K' if self.to.isatty() else ''
        self.to.write(f'{clear}{line}\n')
        self.to.flush()
        self.shown = ''

    def close(self) -> None:
        if self.to.isatty():
            self.to.write('\r\033[K')
            self.to.flush()


def duration(seconds: float) -> str:
    """For people: 40 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60} s'
    return f'{whole // 3600} h {whole % 3600 // 60} min'
