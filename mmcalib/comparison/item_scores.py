"""What every test item adds to a metric, and whether two runs were tested on the same items."""

from collections.abc import Callable, Sequence

import numpy as np

from mmcalib.comparison.result import Result


def item_scores(result: Result, metric: str) -> np.ndarray | None:
    """(n,) scores by id whose mean is the metric; None if the metric is no mean over items.

    Items that the metric leaves out are left out here too.

    Raises:
        ValueError: the mean is further from the recorded metric than one item can take it.
    """
    if metric not in SCORES:
        return None
    order = by_id(result)
    scores = SCORES[metric](result.prediction[order], result.target[order])
    if scores is None or not len(scores):
        return None
    mean, recorded = float(scores.mean()), result.test[metric]
    # Logits that differ in their last bit may be a tie of probabilities, which is what is scored.
    if abs(mean - recorded) > (1 + 1e-6) / len(scores):
        raise ValueError(
            f'{result.folder}: test.json says {metric} {recorded:.6f}, but predictions.npz gives '
            f'{mean:.6f}; both must come from the same run'
        )
    return scores


def by_id(result: Result) -> np.ndarray:
    """(N,) places that put the items in order of their ids."""
    return np.argsort(result.id, kind='stable')


def check_same_items(results: Sequence[Result]) -> None:
    """Raise ValueError unless all runs were tested on the same ids with the same targets."""
    if not results:
        return
    first, at = results[0], by_id(results[0])
    for other in results[1:]:
        here = by_id(other)
        both = f'{first.folder} and {other.folder}'
        if not np.array_equal(first.id[at], other.id[here]):
            apart = np.setxor1d(first.id, other.id)
            raise ValueError(
                f'{both} were tested on {len(at)} and {len(here)} items, {len(apart)} ids are in '
                f'one only{" such as " + repr(str(apart[0])) if len(apart) else ""}; runs of one '
                'table need the same test items'
            )
        a, b = first.target[at], other.target[here]
        if a.shape != b.shape or not np.array_equal(a, b, equal_nan=a.dtype.kind == 'f'):
            raise ValueError(
                f'{both} have other targets for the same ids; runs of one table need the same'
            )


def accuracy(prediction: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """1 where the highest logit is the target's."""
    if prediction.ndim != 2 or target.ndim != 1:
        return None
    return (prediction.argmax(axis=1) == target).astype(float)


def segment_accuracy(prediction: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """Share of an item's segments that are right; logits are (N, C, S)."""
    target = target.argmax(axis=-1) if target.ndim == 3 else target
    if prediction.ndim != 3 or target.ndim != 2:
        return None
    return (prediction.argmax(axis=1) == target).mean(axis=1)


def sentiment(
    score: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray | None]:
    """A score of one number per item."""

    def scored(prediction: np.ndarray, target: np.ndarray) -> np.ndarray | None:
        if prediction.size != len(prediction) or target.size != len(target):
            return None
        return score(prediction.reshape(-1).astype(float), target.reshape(-1).astype(float))

    return scored


def rounded(values: np.ndarray, bound: int) -> np.ndarray:
    """The nearest whole number in [-bound, bound]."""
    return np.round(np.clip(values, -bound, bound))


# Metrics of mmcalib/metrics that are a mean over items; F1, mAP and correlations are none.
SCORES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray | None]] = {
    'accuracy': accuracy,
    'segment_accuracy': segment_accuracy,
    'MAE': sentiment(lambda p, y: np.abs(p - y)),
    'acc7': sentiment(lambda p, y: (rounded(p, 3) == rounded(y, 3)).astype(float)),
    'acc5': sentiment(lambda p, y: (rounded(p, 2) == rounded(y, 2)).astype(float)),
    'acc2_has0': sentiment(lambda p, y: ((p >= 0) == (y >= 0)).astype(float)),
    'acc2_non0': sentiment(lambda p, y: ((p > 0) == (y > 0))[y != 0].astype(float)),
}
