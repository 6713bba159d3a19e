"""Processes of this machine."""

import multiprocessing
import os
import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from threading import Thread

from mmcalib.comparison.execute import execute
from mmcalib.comparison.grid import Run


class Job:
    """One process, and the GPU that it has to itself."""

    def __init__(self, process: BaseProcess, gpu: str | None) -> None:
        self.process, self.gpu = process, gpu

    def done(self) -> bool:
        """Has it ended, in whatever way?"""
        return not self.process.is_alive()

    def cancel(self) -> None:
        """Ask it to save and end."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, signal.SIGTERM)

    def wait(self) -> None:
        """Until it has ended."""
        self.process.join()


class Local:
    """Start each run in a fresh process, forked from one that has imported everything.

    Args:
        gpus: their indices; runs are spread over them. Without, runs use the CPU or whatever torch
            finds.
        threads: of each run.
    """

    def __init__(self, gpus: Sequence[str] = (), threads: int = 1) -> None:
        os.environ['OMP_NUM_THREADS'] = str(threads)  # of libraries that are not imported yet
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload(['mmcalib.comparison.warm'])
        self.users = dict.fromkeys(gpus, 0)
        self.jobs: list[Job] = []

    def submit(self, run: Run) -> Job:
        """Start a run."""
        for job in [job for job in self.jobs if job.done()]:
            self.jobs.remove(job)
            if job.gpu is not None:
                self.users[job.gpu] -= 1
        gpu = min(self.users, key=lambda name: self.users[name], default=None)
        if gpu is not None:
            self.users[gpu] += 1
        process = self.context.Process(target=_child, args=(run, gpu))
        process.start()
        self.jobs.append(job := Job(process, gpu))
        return job


def _child(run: Run, gpu: str | None) -> None:
    os.setpgrp()  # Ctrl-C reaches the grid, which passes it on once
    Thread(target=_follow, daemon=True).start()
    if gpu is not None:
        os.environ['CUDA_VISIBLE_DEVICES'] = gpu
    execute(run)


def _follow() -> None:
    """End, saved, where the grid is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
