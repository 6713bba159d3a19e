"""Share of segments whose class is right, and a table per class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmcalib.registry import METRICS


@METRICS.register_module()
class SegmentAccuracy(BaseMetric):
    """Score logits (C, S) of S segments against one class each: `segment_accuracy` in [0, 1].

    The measure of supervised localisation by Tian et al., "Audio-Visual Event Localization in
    Unconstrained Videos", ECCV 2018, arXiv:1803.08842: over all segments of all samples, background
    included as a class. The target is (S,), or (S, C), of which the highest counts.

    Args:
        table: also log, for every class that occurs among targets, its segments and the share of
            them that is right.
        collect_device: 'cpu' or 'gpu', where results of several processes meet.
    """

    default_prefix = ''

    def __init__(self, table: bool = False, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        self.table = table

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        for sample in data_samples:
            predicted = sample['prediction'].argmax(dim=0).cpu().numpy()
            target = sample['target']
            target = target.argmax(dim=-1) if target.ndim == 2 else target
            self.results.append((predicted, target.cpu().numpy()))

    def compute_metrics(self, results: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        predicted, targets = (np.stack(column) for column in zip(*results, strict=True))
        right = predicted == targets
        if self.table:
            names = (self.dataset_meta or {}).get('classes', ())
            print_log('per class\n' + table(right, targets, names), logger='current')
        return {'segment_accuracy': float(right.mean())}


def table(right: np.ndarray, targets: np.ndarray, names: Sequence[str]) -> str:
    """Name, number of segments and the share of them that is right, one line per class."""
    called = {c: names[c] if c < len(names) else str(c) for c in np.unique(targets)}
    width = max(5, *map(len, called.values()))
    lines = [
        f'{name:{width}} {(targets == c).sum():5}{right[targets == c].mean():11.3f}'
        for c, name in called.items()
    ]
    return '\n'.join([f'{"class":{width}}     n   accuracy', *lines])
