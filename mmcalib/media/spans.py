"""Which steps of a sequence of features are real, and what is usual of their numbers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

Arrays = Sequence[np.ndarray] | np.ndarray  # N of (T, D)


class Span(NamedTuple):
    """Where a modality of one utterance is real; `stop` is `start` where it is not there."""

    start: int
    stop: int
    not_finite: int = 0  # numbers among its steps, real or not
    problem: str | None = None  # why it is not there, if it should be


class Scale(NamedTuple):
    """Of each feature, over the real steps of train."""

    mean: np.ndarray
    std: np.ndarray  # 1 of a constant


def find_span(x: np.ndarray, length: int | None) -> Span:
    """From the first to the last step that is not all zero, or as the file tells."""
    if length is not None and not 0 <= length <= len(x):
        return Span(0, 0, 0, f'its length is {length} of {len(x)} steps')
    if x.ndim == 1:
        return Span(0, len(x) if length is None else length)
    finite = np.isfinite(x)
    dirty = x.size - int(finite.sum())
    real = np.flatnonzero((finite & (x != 0)).any(axis=1))
    if not len(real):
        return Span(0, 0, dirty, 'it has no finite number but zero' if dirty else None)
    start, stop = int(real[0]), int(real[-1]) + 1
    if length is None:
        return Span(start, stop, dirty)
    if stop > length and start >= len(x) - length:  # padding is in front
        return Span(len(x) - length, len(x), dirty)
    if start >= length:
        return Span(0, 0, dirty, f'its first {length} steps are zero, but not the later ones')
    return Span(0, length, dirty)


def find_scale(arrays: Arrays, spans: Sequence[Span]) -> Scale:
    """In two passes: features may be far from zero."""
    width = arrays[0].shape[1]
    count, total, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    for x in _real(arrays, spans):
        count += np.isfinite(x).sum(axis=0)
        total += np.nansum(x, axis=0)
    mean = total / np.maximum(count, 1)
    for x in _real(arrays, spans):
        squares += np.nansum((x - mean) ** 2, axis=0)
    std = np.sqrt(squares / np.maximum(count, 1))
    # Sums of equal float32 are exact in float64: the deviation of a constant is 0.
    return Scale(mean, np.where(std > 0, std, 1.0))


def _real(arrays: Arrays, spans: Sequence[Span]) -> Iterator[np.ndarray]:
    """The real steps of each utterance, NaN where a number is not finite."""
    for x, span in zip(arrays, spans, strict=True):
        if span.stop > span.start:
            steps = x[span.start : span.stop].astype(np.float64)
            yield np.where(np.isfinite(steps), steps, np.nan)
