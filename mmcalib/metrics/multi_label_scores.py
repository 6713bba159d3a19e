"""mAP and F1 of any number of labels per sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from sklearn.metrics import average_precision_score, f1_score

from mmcalib.registry import METRICS


@METRICS.register_module()
class MultiLabelScores(BaseMetric):
    """Score logits (C,) against labels (C,) in [0, 1], with scikit-learn.

    `mAP`: unweighted mean, over classes that occur among targets, of the average precision.
    `micro_f1`: F1 of all pairs of sample and class together. `macro_f1`: unweighted mean of the F1
    of every class that occurs among targets or predictions. A class is predicted at a probability
    of `threshold` or more, and true at a label of 1/2 or more. All in [0, 1]; 0 without any label.

    Args:
        threshold: in (0, 1).
        collect_device: 'cpu' or 'gpu', where results of several processes meet.
    """

    default_prefix = ''

    def __init__(self, threshold: float = 0.5, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        if not 0 < threshold < 1:
            raise ValueError(f'MultiLabelScores(threshold={threshold}); it lies in (0, 1)')
        self.threshold = threshold

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        for sample in data_samples:
            scores = sample['prediction'].double().sigmoid().cpu().numpy()
            self.results.append((scores, sample['target'].cpu().numpy() >= 0.5))

    def compute_metrics(self, results: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        scores, targets = (np.stack(column) for column in zip(*results, strict=True))
        predicted = scores >= self.threshold
        occur = (targets | predicted).any(axis=0)
        average = [
            average_precision_score(targets[:, c], scores[:, c])
            for c in np.flatnonzero(targets.any(axis=0))
        ]
        per_class = [f1_score(targets[:, c], predicted[:, c]) for c in np.flatnonzero(occur)]
        return {
            'mAP': mean(average),
            'micro_f1': float(f1_score(targets.ravel(), predicted.ravel(), zero_division=0.0)),
            'macro_f1': mean(per_class),
        }


def mean(values: Sequence[float]) -> float:
    """0 of nothing."""
    return float(np.mean(values)) if values else 0.0
