"""Say which files could not be read."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcalib.registry import HOOKS


@HOOKS.register_module()
class MediaReport(Hook):
    """Count samples whose modality could not be read, and so was treated as missing.

    Each file and modality is one warning per run, when it is first met (in another process of a
    distributed run: at the end of that epoch). Each epoch ends with the count over all processes.
    Nothing is said when everything could be read.
    """

    def __init__(self) -> None:
        self.told: set[tuple[str, str]] = set()  # (id, modality)
        self.untold: dict[tuple[str, str], str] = {}
        # By mode, since a run by iterations validates in the middle of its only epoch.
        self.samples: Counter[str] = Counter()
        self.unreadable: dict[str, Counter[str]] = {}

    def _before_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Mapping[str, Any] | None = None,
        mode: str = 'train',
    ) -> None:
        if not data_batch or 'unreadable' not in data_batch:
            return
        self.samples[mode] += len(data_batch['unreadable'])
        for name, reasons in zip(data_batch['id'], data_batch['unreadable'], strict=True):
            self.unreadable.setdefault(mode, Counter()).update(reasons.keys())
            for modality, reason in reasons.items():
                if (name, modality) not in self.told:
                    self.untold[name, modality] = reason
        if is_main_process():
            self._tell(runner)

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        samples, counts = self.samples.pop(mode, 0), self.unreadable.pop(mode, Counter())
        ranks = all_gather_object((samples, counts, self.untold))
        if not is_main_process():
            self.told.update(self.untold)
            self.untold = {}
            return
        total: Counter[str] = Counter()
        for _, counts, untold in ranks:
            total.update(counts)
            self.untold.update(untold)
        self._tell(runner)
        samples = sum(rank[0] for rank in ranks)
        for modality, count in sorted(total.items()):
            runner.logger.warning(f'{mode}: {modality} unreadable in {count} of {samples} samples')

    def _tell(self, runner: Runner) -> None:
        for (name, modality), reason in self.untold.items():
            if (name, modality) not in self.told:
                runner.logger.warning(f'{modality} of {name} is treated as missing: {reason}')
        self.told.update(self.untold)
        self.untold = {}
