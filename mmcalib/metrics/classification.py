"""Accuracy, macro-F1, mAP and a table per class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from mmcalib.registry import METRICS


@METRICS.register_module()
class Classification(BaseMetric):
    """Score logits against one label per sample, with scikit-learn.

    `accuracy`: share of correct samples. `macro_f1`: unweighted mean of the F1 of every class that
    occurs among targets or predictions. `mAP`: unweighted mean, over classes that occur among
    targets, of the average precision of the softmax scores. All in [0, 1].

    Args:
        table: also log precision, recall, F1 and average precision of every class.
        collect_device: 'cpu' or 'gpu', where results of several processes meet.
    """

    default_prefix = ''

    def __init__(self, table: bool = False, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        self.table = table

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        for sample in data_samples:
            scores = sample['prediction'].float().softmax(-1).cpu().numpy()
            self.results.append((scores, int(sample['target'])))

    def compute_metrics(self, results: list[tuple[np.ndarray, int]]) -> dict[str, float]:
        scores = np.stack([score for score, _ in results])
        targets = np.array([target for _, target in results])
        predicted = scores.argmax(-1)
        occur = np.union1d(targets, predicted)
        precision, recall, f1, _ = precision_recall_fscore_support(
            targets, predicted, labels=occur, zero_division=0.0
        )
        average = {c: average_precision_score(targets == c, scores[:, c]) for c in set(targets)}
        if self.table:
            names = (self.dataset_meta or {}).get('classes', range(scores.shape[1]))
            rows = [
                (str(names[c]), int((targets == c).sum()), p, r, f, average.get(c, np.nan))
                for c, p, r, f in zip(occur, precision, recall, f1, strict=True)
            ]
            print_log('per class\n' + table(rows), logger='current')
        return {
            'accuracy': float((predicted == targets).mean()),
            'macro_f1': float(f1.mean()),
            'mAP': float(np.mean(list(average.values()))),
        }


def table(rows: Sequence[tuple[str, int, float, float, float, float]]) -> str:
    """Name, count, precision, recall, F1 and average precision, one line per class."""
    width = max(len(row[0]) for row in rows)
    head = f'{"class":{width}}     n  precision  recall     F1     AP'
    lines = [f'{row[0]:{width}} {row[1]:5}' + _columns(row[2:]) for row in rows]
    return '\n'.join([head, *lines])


def _columns(values: Sequence[float]) -> str:
    return ''.join(f'{v:{w}.3f}' for v, w in zip(values, (11, 8, 7, 7), strict=True))
