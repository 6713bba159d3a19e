"""TensorBoard's embedding projector: pooled signals with labels and thumbnails."""

from typing import Any

import numpy as np
import torch

from mmcalib.plots.dump import Arrays, classes_of, group
from mmcalib.plots.style import finite_rows


def project(writer: Any, arrays: Arrays, epoch: int) -> None:
    """Write the fused vector, and each modality before and after calibration, of one dump.

    Args:
        writer: torch's SummaryWriter.
        arrays: of a dump.
        epoch: of the dump.
    """
    points = {'fused': arrays['fused']}
    for when in ('before', 'after'):
        points |= {f'{m}_{when}': values for m, values in group(arrays, when).items()}
    labels = label(arrays)
    for name, values in points.items():
        keep = finite_rows(values)
        if keep.sum() < 2:
            continue
        pictures = arrays['thumbnail'][keep] if 'thumbnail' in arrays else None
        writer.add_embedding(
            torch.from_numpy(values[keep]),
            metadata=[row for row, kept in zip(labels, keep, strict=True) if kept],
            metadata_header=['label', 'id', 'split'],
            label_img=None if pictures is None else chw(pictures),
            global_step=epoch,
            tag=f'features_{name}',
        )


def label(arrays: Arrays) -> list[list[str]]:
    """Class or target, id and split of every sample."""
    target, classes = classes_of(arrays)
    if target is not None:
        labels = [classes[k] if k >= 0 else 'none' for k in target]
    else:
        labels = [np.array2string(t, precision=3) for t in arrays.get('target', arrays['id'])]
    rows = zip(labels, arrays['id'], arrays['split'], strict=True)
    return [[' '.join(str(cell).split()) for cell in row] for row in rows]


def chw(pictures: np.ndarray) -> torch.Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [0, 1], as add_embedding wants them."""
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2) / 255.0).float()
