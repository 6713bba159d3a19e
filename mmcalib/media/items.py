"""What data sets of files share: items whose modalities may not be readable."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmcalib.contract import Signal, Signals
from mmcalib.media import MediaError


class Inputs(NamedTuple):
    """The modalities of one item."""

    inputs: Signals
    unreadable: dict[str, str]  # why a modality is missing that should be there


def gather(
    shapes: Mapping[str, tuple[int, ...]],
    load: Callable[[str], Tensor | None],
    on_error: str,
    place: str,
) -> Inputs:
    """Load each modality of an item; what cannot be loaded is zeros, and its mask all False.

    Args:
        shapes: of each modality when it is missing, (L, ...).
        load: of a modality x (L, ...), or None for one that the item does not have.
        on_error: 'missing', or 'raise' to raise MediaError where `load` does.
        place: the item, for that message.
    """
    inputs: Signals = {}
    unreadable: dict[str, str] = {}
    for modality, shape in shapes.items():
        x = None
        try:
            x = load(modality)
        except MediaError as error:
            if on_error == 'raise':
                raise MediaError(f'{place}: {error}') from None
            unreadable[modality] = str(error)
        there = x is not None
        x = torch.zeros(shape) if x is None else x
        inputs[modality] = Signal(x, torch.full((len(x),), there))
    return Inputs(inputs, unreadable)


def transformed(
    array: np.ndarray,
    transforms: Sequence[Callable[[np.ndarray, np.random.Generator], np.ndarray]],
    generator: np.random.Generator,
    whole: bool = False,
) -> Tensor:
    """An array through its transforms, as x (L, ...); if `whole`, it is one token."""
    for transform in transforms:
        array = transform(array, generator)
    x = torch.from_numpy(np.ascontiguousarray(array))
    return x.unsqueeze(0) if whole else x


def report_absent(
    where: str, what: str, absent: Sequence[str], total: int, on_error: str, hint: str
) -> int:
    """Warn of files that are not there; refuse if that is most of them, or any with 'raise'.

    Args:
        where: the data set and its split.
        what: is said of the absent, as 'clips have no audio'.
        absent: their names.
        total: how many there are with them.
        on_error: 'missing' or 'raise'.
        hint: what helps.

    Returns:
        How many are absent.

    Raises:
        FileNotFoundError: all that, and `hint`.
    """
    if absent:
        text = f'{where}: {len(absent)} of {total} {what} on disk, first five: '
        text += ', '.join(absent[:5])
        if on_error == 'raise' or 2 * len(absent) > total:
            raise FileNotFoundError(f'{text}; {hint}')
        print_log(text, logger='current', level=logging.WARNING)
    return len(absent)
