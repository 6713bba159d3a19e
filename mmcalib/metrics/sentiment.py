"""Errors and accuracies of a sentiment between -3 and 3."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from sklearn.metrics import f1_score

from mmcalib.registry import METRICS


@METRICS.register_module()
class Sentiment(BaseMetric):
    """Score one number per sample against a sentiment in [-3, 3], as on CMU-MOSI and CMU-MOSEI.

    The definitions are those of MMSA (Mao et al., "M-SENA: An Integrated Platform for Multimodal
    Sentiment Analysis", ACL 2022 demos, arXiv:2203.12441), with prediction p and target y:
    `MAE`: mean |p - y|. `corr`: Pearson's correlation; 0 where one of the two is constant.
    `acc7`, `acc5`: share with round(clip(p)) = round(clip(y)), clipped to 3 and to 2; halves are
    rounded to even. `acc2_has0`: share with (p >= 0) = (y >= 0). `acc2_non0`: share with
    (p > 0) = (y > 0) where y is not 0; 0 if there is no such sample. `f1_has0`, `f1_non0`: F1 of
    both classes, weighted by how often each is the target's.

    Args:
        collect_device: 'cpu' or 'gpu', where results of several processes meet.
    """

    default_prefix = ''

    def __init__(self, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        for sample in data_samples:
            self.results.append((float(sample['prediction']), float(sample['target'])))

    def compute_metrics(self, results: list[tuple[float, float]]) -> dict[str, float]:
        predicted, targets = np.array(results).T
        moved = targets != 0
        scores = {
            'MAE': np.abs(predicted - targets).mean(),
            'corr': correlation(predicted, targets),
            'acc7': classes_agree(predicted, targets, 3),
            'acc5': classes_agree(predicted, targets, 2),
            **signs(predicted >= 0, targets >= 0, 'has0'),
            **signs(predicted[moved] > 0, targets[moved] > 0, 'non0'),
        }
        return {name: float(score) for name, score in scores.items()}


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's; 0 where one of the two is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def classes_agree(predicted: np.ndarray, targets: np.ndarray, bound: int) -> float:
    """Share with the same whole number in [-bound, bound]."""
    pair = (np.round(np.clip(values, -bound, bound)) for values in (predicted, targets))
    return float(np.equal(*pair).mean())


def signs(predicted: np.ndarray, targets: np.ndarray, name: str) -> dict[str, float]:
    """Accuracy and weighted F1 of two classes."""
    if not len(targets):
        return {f'acc2_{name}': 0.0, f'f1_{name}': 0.0}
    return {
        f'acc2_{name}': (predicted == targets).mean(),
        f'f1_{name}': f1_score(targets, predicted, average='weighted', zero_division=0.0),
    }
