"""Samples to a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import pad

from mmcalib.contract import Signal
from mmcalib.registry import FUNCTIONS


@FUNCTIONS.register_module()
def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Stack samples; signals of different lengths are padded with tokens that are not real.

    Args:
        items: B samples of a data set: `inputs` (signals without B: x (L, ...), mask (L,)),
            `target`, `id` and, where something could not be read, `unreadable`.

    Returns:
        `inputs` (x (B, L, ...), mask (B, L)), `target` (B, ...), `id` and `unreadable`, lists of B.

    Raises:
        ValueError: samples have different modalities, or shapes that differ in more than L.
    """
    modalities = list(items[0]['inputs'])
    for item in items:
        if list(item['inputs']) != modalities:
            raise ValueError(
                f'Samples of one batch need the same modalities: {items[0]["id"]} has '
                f'{modalities}, but {item["id"]} has {list(item["inputs"])}'
            )
    return {
        'inputs': {m: _stack(m, items) for m in modalities},
        'target': torch.stack([torch.as_tensor(item['target']) for item in items]),
        'id': [item['id'] for item in items],
        'unreadable': [dict(item.get('unreadable', {})) for item in items],
    }


def _stack(modality: str, items: Sequence[Mapping[str, Any]]) -> Signal:
    signals = [item['inputs'][modality] for item in items]
    shapes = {s.x.shape[1:]: item['id'] for s, item in zip(signals, items, strict=True)}
    if len(shapes) > 1:
        named = ', '.join(f'{name} has (L, {str(tuple(s))[1:]}' for s, name in shapes.items())
        raise ValueError(
            f'Samples of one batch may differ in their number of {modality} tokens L only: {named}'
        )
    length = max(len(signal.mask) for signal in signals)
    xs, masks = [], []
    for x, mask in signals:
        short = length - len(mask)
        xs.append(pad(x, (0, 0) * (x.ndim - 1) + (0, short)) if short else x)
        masks.append(pad(mask, (0, short)) if short else mask)
    return Signal(torch.stack(xs), torch.stack(masks))
