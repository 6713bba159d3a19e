"""Counts, targets and numbers of a data set as lines of text."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from mmcalib.verification.facts import Facts, Record

ROWS = 40  # classes that a table shows
BINS = 10  # of a histogram
BAR = 40  # characters of its longest bar
SAMPLE = 500  # items per split whose numbers are averaged


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Aligned columns, the first to the left and the others to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        rest = ''.join(f'  {c:>{w}}' for c, w in zip(row[1:], widths[1:], strict=True))
        lines.append(f'  {row[0]:<{widths[0]}}{rest}'.rstrip())
    return lines


def class_counts(targets: np.ndarray, classes: int) -> np.ndarray:
    """(classes,) how often each is a target: of items, of segments, or among several labels."""
    several = targets.ndim == 2 and targets.dtype.kind == 'f'
    if several:
        return (targets > 0.5).sum(axis=0)
    return np.bincount(targets.astype(int).ravel(), minlength=classes)


def class_table(targets: Mapping[str, np.ndarray], classes: Sequence[str]) -> list[str]:
    """One row per class that has items, and the share of the most frequent one of each split."""
    counts = {split: class_counts(t, len(classes)) for split, t in targets.items()}
    total = np.sum(list(counts.values()), axis=0)
    used = np.flatnonzero(total)
    notes = []
    if len(used) < len(classes):
        notes.append(f'  {len(classes) - len(used)} of {len(classes)} classes have no item')
    if len(used) > ROWS:
        by_size = used[np.argsort(-total[used], kind='stable')]
        used = np.concatenate([by_size[: ROWS // 2], by_size[-ROWS // 2 :]])
        notes.append(f'  of {len(by_size)} classes, the {ROWS // 2} largest and smallest are shown')
    rows: list[list[object]] = [['class', *counts]]
    rows += [[classes[k], *(count[k] for count in counts.values())] for k in used.tolist()]
    shares = [f'{c.max() / max(len(targets[s]), 1):.1%}' for s, c in counts.items()]
    if any(t.ndim > 1 and t.dtype.kind != 'f' for t in targets.values()):  # one per segment
        shares = [f'{c.max() / max(c.sum(), 1):.1%}' for c in counts.values()]
    return [*table([*rows, ['majority', *shares]]), *notes]


def histogram(targets: Mapping[str, np.ndarray]) -> list[str]:
    """Of numbers to predict: mean and spread per split, and bars of all splits together."""
    lines: list[str] = []
    columns = {split: t.reshape(len(t), -1).astype(np.float64) for split, t in targets.items()}
    for k in range(next(iter(columns.values())).shape[1]):
        rows: list[list[object]] = [['target', 'mean', 'spread', 'min', 'max']]
        for split, values in columns.items():
            v = values[:, k]
            rows.append([split, *(f'{n:.3f}' for n in (v.mean(), v.std(), v.min(), v.max()))])
        counts, edges = np.histogram(np.concatenate([v[:, k] for v in columns.values()]), BINS)
        bars = ['#' * round(BAR * count / counts.max()) for count in counts]
        lines += table(rows)
        spans = [f'{low:8.2f} to {high:6.2f}' for low, high in pairwise(edges)]
        lines += [f'  {s} {c:6d} {b}'.rstrip() for s, c, b in zip(spans, counts, bars, strict=True)]
    return lines


def numbers(records: Sequence[Record], seed: int = 0) -> list[str]:
    """Per modality and split: shape, type, and moments over at most `SAMPLE` items."""
    rows: list[list[object]] = [
        ['modality', 'split', 'shape', 'dtype', 'mean', 'std', 'min', 'max', 'constant']
    ]
    for modality, split, facts in _by_modality(records):
        seen = [f for f in facts if f.finite]
        if not seen:
            rows.append([modality, split, *['-'] * 7])
            continue
        if len(seen) > SAMPLE:
            chosen = np.random.default_rng(seed).choice(len(seen), SAMPLE, replace=False)
            seen = [seen[k] for k in np.sort(chosen)]
        weights = np.array([f.size for f in seen], dtype=np.float64)
        mean = np.average([f.mean for f in seen], weights=weights)
        square = np.average([f.square for f in seen], weights=weights)
        low, high = min(f.low for f in seen), max(f.high for f in seen)
        moments = (mean, np.sqrt(max(square - mean**2, 0.0)), low, high)
        dtype = '/'.join(sorted({f.dtype for f in seen}))
        constant = f'{sum(f.constant for f in facts)} of {len(facts)}'
        text = [f'{number:.4g}' for number in moments]
        rows.append([modality, split, shape_text([f.shape for f in seen]), dtype, *text, constant])
    return table(rows)


def shape_text(shapes: Sequence[tuple[int, ...]]) -> str:
    """The shape of all, an axis that varies as its span: (5..50, 74)."""
    if len({len(shape) for shape in shapes}) > 1:
        return ' or '.join(map(str, sorted(set(shapes), key=len)[:3]))
    axes = [(min(axis), max(axis)) for axis in zip(*shapes, strict=True)]
    return f'({", ".join(str(a) if a == b else f"{a}..{b}" for a, b in axes)})'


def lengths(records: Sequence[Record]) -> list[str]:
    """Per modality and split: real tokens of an item."""
    rows: list[list[object]] = [['tokens', 'split', 'min', 'median', 'max']]
    for modality, split, facts in _by_modality(records):
        if facts:
            rows.append([modality, split, *spread([f.length for f in facts])])
    return table(rows)


def spread(values: Sequence[float] | np.ndarray) -> list[str]:
    """Smallest, middle and largest."""
    return [f'{n:g}' for n in (min(values), np.round(np.median(values), 2), max(values))]


def _by_modality(records: Sequence[Record]) -> list[tuple[str, str, list[Facts]]]:
    """The facts of items that have the modality."""
    modalities = dict.fromkeys(m for r in records for m in r.facts)
    splits = dict.fromkeys(r.split for r in records)
    of: dict[tuple[str, str], list[Facts]] = {(m, s): [] for m in modalities for s in splits}
    for record in records:
        for modality, facts in record.facts.items():
            if facts.length:
                of[modality, record.split].append(facts)
    return [(modality, split, facts) for (modality, split), facts in of.items()]
