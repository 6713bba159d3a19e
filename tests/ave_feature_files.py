"""The files of AVE's features, in small."""

from pathlib import Path

import h5py
import numpy as np

from mmcalib.media.event_list import AVE_CLASSES

N, SEGMENTS, BACKGROUND = 20, 10, 28
EVENT = np.arange(N) % 4 + 5  # the class of each video
CLASSES = np.where(np.arange(SEGMENTS) < 3, BACKGROUND, EVENT[:, np.newaxis])  # (N, SEGMENTS)
ORDERS = {'train': [7, 3, 0, 11, 12, 13, 14, 15], 'val': [1, 19, 2, 4], 'test': [5, 6, 8, 9, 10]}


def put(path: Path, array: np.ndarray, key: str = 'avadataset', **how) -> None:
    path.unlink(missing_ok=True)
    with h5py.File(path, 'w') as file:
        file.create_dataset(key, data=array, **how)


def one_hot(classes: np.ndarray) -> np.ndarray:
    return np.eye(BACKGROUND + 1)[classes]


def annotate(root: Path, ids: dict[int, str] | None = None, first: int = 0) -> None:
    ids = ids or {}
    rows = [
        f'{AVE_CLASSES[EVENT[(row + first) % N]]}&{ids.get(row, f"v{row}")}&good&3&10'
        for row in range(N)
    ]
    (root / 'Annotations.txt').write_text('\n'.join(rows) + '\n')


def make(root: Path, visual: np.ndarray, audio: np.ndarray) -> Path:
    put(root / 'visual_feature.h5', visual, chunks=(1, *visual.shape[1:]), compression=1)
    put(root / 'audio_feature.h5', audio)
    put(root / 'right_labels.h5', one_hot(CLASSES))
    for split, rows in ORDERS.items():
        put(root / f'{split}_order.h5', np.array(rows), 'order')
    return root
