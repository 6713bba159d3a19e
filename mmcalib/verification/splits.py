"""The data sets of a config, as training builds them, and the same without augmentation."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, init_default_scope

from mmcalib.config import plain_of_splits
from mmcalib.registry import DATASETS

STILL = {'random_times': False, 'training': False, 'on_error': 'missing'}


class Split(NamedTuple):
    """One split, twice."""

    data: Any  # as training reads it, without `Missing` around it
    still: Any  # the same items, through the transforms of the test split and without chance


class Selection(NamedTuple):
    """Which split selects checkpoints."""

    text: str
    wrong: bool  # it is the test split


def open_splits(cfg: Config) -> dict[str, Split]:
    """Build the data sets of every loader that a config has, in the order train, val, test."""
    cv2.setNumThreads(0)  # before a picture is read: workers are forked, and threads do not follow
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmcalib')
    given = plain_of_splits(cfg)
    data = {split: DATASETS.build(config) for split, config in given.items()}
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)  # what there is to warn of has just been said
    try:
        last = list(given.values())[-1]
        return {s: Split(data[s], DATASETS.build(still(given[s], last))) for s in given}
    finally:
        logger.setLevel(level)


def still(given: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's config with the transforms of `test`, nothing random, and nothing raised."""
    name = given['type']
    takes = inspect.signature(DATASETS.get(name) if isinstance(name, str) else name).parameters
    kept = {k: test[k] for k in given if k in test and _transforms(given[k], test[k])}
    return {**given, **kept, **{k: v for k, v in STILL.items() if k in takes}}


def _transforms(*values: Any) -> bool:
    return all(
        isinstance(value, Sequence) and all(isinstance(v, Mapping) and 'type' in v for v in value)
        for value in values
    )


def ids(data: Any) -> list[str] | None:
    """The names of all items, where a data set tells them without reading any."""
    holder: Any = data if hasattr(data, 'ids') else getattr(data, 'utterances', None)
    return [str(name) for name in holder.ids] if hasattr(holder, 'ids') else None


def targets(data: Any) -> np.ndarray | None:
    """(N, ...) of all items, where a data set tells them without reading any."""
    holder = data if hasattr(data, 'targets') else getattr(data, 'utterances', None)
    return None if holder is None else np.stack([np.asarray(t) for t in holder.targets])


def seconds(data: Any) -> np.ndarray:
    """(n,) lengths of the events whose ends a data set knows."""
    spans = [event.end_s - event.start_s for event in getattr(data, 'events', ())]
    return np.array([span for span in spans if np.isfinite(span)])


def is_test(meta: Mapping[str, Any], val: Sequence[str] | None, test: Sequence[str] | None) -> bool:
    """Does validation read the test split?

    Args:
        meta: `metainfo` of the validation set, or its arguments.
        val: its ids; None where they are not told.
        test: those of the test set.
    """
    same = bool(val and test and set(val) == set(test))
    return 'test' in (meta.get('split'), meta.get('validation')) or same


def selection(
    cfg: Config, names: Mapping[str, Sequence[str]], splits: Mapping[str, Split]
) -> Selection:
    """Which split selects checkpoints; the test split must not.

    Args:
        cfg: of the run.
        names: the ids of each split.
        splits: the data sets.
    """
    if 'val' not in splits:
        return Selection(
            'No split selects: without validation, the last checkpoint is tested.', False
        )
    best = cfg.get('default_hooks', {}).get('checkpoint', {}).get('save_best')
    how = f'save_best={best!r}' if best else 'no save_best: the last checkpoint is tested'
    if is_test(splits['val'].data.metainfo, names['val'], names.get('test')):
        text = '!!! THE TEST SPLIT SELECTS CHECKPOINTS !!! Test results will be too good.'
        return Selection(f'{text} ({how})', True)
    return Selection(f'The split val selects checkpoints ({how}).', False)
