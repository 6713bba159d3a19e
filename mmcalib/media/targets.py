"""Targets of a table: labels to their numbers, or numbers as they are."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from math import isnan
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmcalib.media import MediaError
from mmcalib.media.features import as_tokens
from mmcalib.media.table import Row

TASKS = ('classification', 'multilabel', 'regression')
BETWEEN_LABELS = '|'


class Targets(NamedTuple):
    by_split: dict[str, list[Tensor | None]]  # one per row; None where there is none
    classes: tuple[str, ...]  # none in a regression


def read_targets(
    splits: Mapping[str, Sequence[Row]],
    column: str,
    task: str,
    classes: Sequence[str] | None = None,
) -> Targets:
    """The targets of all splits, so that a mistake in the test split shows before training.

    'classification': () int64. 'multilabel': (classes,) float32 of zeros and ones, from labels
    joined by '|', a list of labels, or a row of a matrix of zeros and ones. 'regression': () or
    (outputs,) float32, None for NaN.

    Args:
        splits: rows by split.
        column: which of their cells.
        task: one of `TASKS`.
        classes: the labels in the order of their numbers; None: the sorted labels of split 'train',
            whole numbers by value. Where they are names and all targets are whole numbers, these
            are places in the list.

    Raises:
        ValueError: a cell that is no target, a label that is no class, or no labels in 'train'.
    """
    cells = {split: [row.cells.get(column) for row in rows] for split, rows in splits.items()}

    def each(read: Callable[[Any], Any], values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        return {split: _each(splits[split], column, read, values[split]) for split in splits}

    if task == 'regression':
        return Targets(each(_numbers, cells), ())
    many = task == 'multilabel'
    labels = each(partial(_labels, many=many), cells)
    known = {split: {label for row in rows for label in row} for split, rows in labels.items()}
    names = _names(classes, known)
    places = {name: place for place, name in enumerate(names)}
    every = set().union(*known.values())
    if not any(map(str.isdecimal, names)) and all(map(str.isdecimal, every)):
        places = {str(place): place for place in range(len(names))}
    return Targets(each(partial(_many_hot if many else _one, places=places), labels), names)


def _names(classes: Sequence[str] | None, known: Mapping[str, set[str]]) -> tuple[str, ...]:
    if classes is None:
        train = known.get('train')
        if not train:
            raise ValueError(
                "classes=None takes the labels of split 'train', but the splits are "
                f'{list(known)}, and no label is there; name the classes'
            )
        classes = sorted(train, key=int if all(map(str.isdecimal, train)) else str)
    names = tuple(map(str, classes))
    if len(set(names)) < len(names):
        raise ValueError(f'classes={list(names)} names a class more than once')
    return names


def _each(
    rows: Sequence[Row], column: str, read: Callable[[Any], Any], values: Sequence[Any]
) -> list[Any]:
    """`read` of each value; what goes wrong says where."""
    found = []
    for row, value in zip(rows, values, strict=True):
        try:
            found.append(read(value))
        except ValueError as error:
            raise ValueError(f'{row.place}: {column} {error}') from None
    return found


def _numbers(cell: Any) -> Tensor | None:
    """() or (outputs,); None for no number or NaN."""
    if cell is None:
        return None
    try:
        values = torch.from_numpy(as_tokens(cell, '')).flatten()
    except MediaError:
        raise ValueError(f'is {str(cell)[:40]!r}, not a number') from None
    if values.isinf().any():
        raise ValueError(f'is {cell!r}; a number is finite')
    if values.isnan().any():
        return None
    return values.squeeze(0) if len(values) == 1 else values


def _labels(cell: Any, many: bool) -> list[str]:
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return []
    if not many and isinstance(cell, list | dict | np.ndarray):
        raise ValueError(f"is {str(cell)[:40]!r}; several labels need task='multilabel'")
    if isinstance(cell, np.ndarray):  # a row of a matrix of zeros and ones
        if not np.isin(cell, (0, 1)).all():
            raise ValueError(f'is {str(cell)[:40]}; a row of a matrix holds zeros and ones')
        return [str(place) for place in np.flatnonzero(cell)]
    if many and isinstance(cell, str):
        return [part.strip() for part in cell.split(BETWEEN_LABELS) if part.strip()]
    labels = cell if isinstance(cell, list) else [cell]
    whole = [int(x) if isinstance(x, float) and x.is_integer() else x for x in labels]
    return [str(label) for label in whole]


def _place(label: str, places: Mapping[str, int]) -> int:
    if label in places:
        return places[label]
    close = get_close_matches(label, places, n=1, cutoff=0.0)
    raise ValueError(f'{label!r} is none of the {len(places)} classes, the closest is {close}')


def _one(labels: Sequence[str], places: Mapping[str, int]) -> Tensor | None:
    """() int64; None without a label."""
    return torch.tensor(_place(labels[0], places)) if labels else None


def _many_hot(labels: Sequence[str], places: Mapping[str, int]) -> Tensor:
    """(classes,) float32 of zeros and ones."""
    hot = torch.zeros(len(places))
    for label in labels:
        hot[_place(label, places)] = 1.0
    return hot
