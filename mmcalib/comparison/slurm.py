"""Jobs of a cluster, through submitit."""

from pathlib import Path
from typing import Any

from mmcalib.comparison.execute import execute
from mmcalib.comparison.grid import Run


class Job:
    """One job of the cluster."""

    def __init__(self, job: Any) -> None:
        self.job = job

    def done(self) -> bool:
        """Has it ended, in whatever way?"""
        return self.job.done()

    def cancel(self) -> None:
        """Take it out of the queue, or end it."""
        self.job.cancel()

    def wait(self) -> None:
        """A job of a cluster outlives the grid."""


class Slurm:
    """Submit each run as a job.

    Args:
        folder: for submitit's files, on a disk that the nodes share.
        threads: CPUs of a job.
        cluster: 'slurm', or 'local' to try the same code on this machine.
        parameters: submitit's, as `slurm_partition`, `timeout_min`, `gpus_per_node`, `mem_gb`.

    Raises:
        ModuleNotFoundError: submitit is not installed.
    """

    def __init__(
        self, folder: Path, threads: int = 1, cluster: str = 'slurm', **parameters: Any
    ) -> None:
        try:
            import submitit
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "Jobs of a cluster need submitit: pip install 'mmcalib[slurm]'"
            ) from None
        self.executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        self.executor.update_parameters(name='mmcalib', cpus_per_task=threads, **parameters)

    def submit(self, run: Run) -> Job:
        """Queue a run."""
        return Job(self.executor.submit(execute, run))
