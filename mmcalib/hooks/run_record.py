"""RunRecord: what a comparison needs to know of a run."""

import io
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook

from mmcalib.engine.atomic_backend import AtomicBackend
from mmcalib.registry import HOOKS

RECORD, PREDICTIONS = 'test.json', 'predictions.npz'  # what a finished run leaves


@HOOKS.register_module()
class RunRecord(Hook):
    """Time epochs and the test, and keep what the head says to every test sample.

    `tools/train.py` and `tools/compare.py` add it to every run. Testing writes `predictions.npz`
    into the work dir: `id` (N,), `target` (N, ...) and `prediction` (N, ...) float32, in the order
    of the data set. `epoch_s` is the median of the wall seconds of a training epoch, without its
    validation; `inference_ms` the median, over the batches of the test, of the time that model and
    metrics take per sample. Each is None before there is one.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.samples: list[float] = []
        self.rows: list[tuple[str, np.ndarray, np.ndarray]] = []
        self._whole, self._since = False, 0.0

    @property
    def epoch_s(self) -> float | None:
        """Seconds."""
        return statistics.median(self.epochs) if self.epochs else None

    @property
    def inference_ms(self) -> float | None:
        """Milliseconds per sample."""
        return 1000 * statistics.median(self.samples) if self.samples else None

    def before_train_epoch(self, runner: Any) -> None:
        # A resume in the middle of an epoch tells nothing of its length.
        self._whole = runner.iter == runner.epoch * len(runner.train_dataloader)
        self._since = now()

    def after_train_epoch(self, runner: Any) -> None:
        if self._whole:
            self.epochs.append(now() - self._since)

    def before_test_epoch(self, runner: Any) -> None:
        self.samples, self.rows = [], []

    def before_test_iter(
        self, runner: Any, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        self._since = now()

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        outputs = outputs or ()
        self.samples.append((now() - self._since) / max(1, len(outputs)))
        for sample in outputs:
            if 'id' in sample and 'target' in sample:
                prediction = sample['prediction'].float().cpu().numpy()
                target = torch.as_tensor(sample['target']).cpu().numpy()
                self.rows.append((str(sample['id']), target, prediction))

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        # Processes take turns, and the last round may repeat the first samples.
        ranks = zip_longest(*all_gather_object(self.rows))
        rows = [row for turn in ranks for row in turn if row is not None]
        rows = rows[: len(runner.test_dataloader.dataset)]
        if runner.rank or not rows:
            return
        names, targets, predictions = (np.stack(column) for column in zip(*rows, strict=True))
        file = io.BytesIO()
        np.savez(file, id=names, target=targets, prediction=predictions)
        AtomicBackend().put(file, Path(runner.work_dir, PREDICTIONS))


def now() -> float:
    """Seconds, once the GPU has done what it was told to."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
