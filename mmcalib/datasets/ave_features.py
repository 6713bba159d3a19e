"""AVE as its authors' features: ten segments of one second, already encoded."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from mmcalib.contract import Draw
from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.event_list import AVE_CLASSES, SPLITS, Event, read_events, select
from mmcalib.media.h5_rows import H5Rows
from mmcalib.media.items import gather, transformed
from mmcalib.registry import DATASETS, TRANSFORMS

MODALITIES = ('audio', 'visual')
FILES = {'audio': 'audio_feature.h5', 'visual': 'visual_feature.h5'}
AXES = {'audio': '(N, segments, D)', 'visual': '(N, segments, H, W, D)'}
LABELS = ('right_labels.h5', 'labels.h5')  # the first that is there
KEY, ORDER_KEY = 'avadataset', 'order'
BACKGROUND = 'background'
CHOICES = {
    'split': SPLITS,
    'target': ('clip', 'segments'),
    'pool': ('mean', 'none'),
    'on_error': ('missing', 'raise'),
}
GUIDE = 'docs/datasets/ave.md describes the files'


@DATASETS.register_module()
class AVEFeatures(Dataset):
    """The features of AVE's ten segments per video, and the event of the video or of each segment.

    Tian et al., "Audio-Visual Event Localization in Unconstrained Videos", ECCV 2018,
    arXiv:1803.08842: VGGish of each second's sound, VGG-19 of its pictures. An item's audio is x
    (segments, 128), its visual x (segments, 512). Features are read from their files one video at a
    time. Damaged ones are zeros with a mask that is all False; `unreadable` says why.

    Args:
        root: folder of audio_feature.h5, visual_feature.h5, right_labels.h5 or labels.h5, and
            {train,val,test}_order.h5; Annotations.txt beside them tells which video a row is.
        split: 'train', 'val' or 'test'.
        modalities: which to read, in this order; the others' files need not be there.
        target: 'clip' is the event of the video, one of 28, and leaves out videos without one;
            'segments' is (segments,), of each the event or background, 28, for the head `Localize`.
        pool: 'mean' averages a segment's 7 x 7 places into one token; 'none' keeps them, 49 tokens
            per segment, segment by segment.
        audio: transform configs for (tokens, 128) float32.
        visual: the same for (tokens, 512).
        drop_leaks: leave out videos that a later split (in the order train, val, test) also names;
            only Annotations.txt tells.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.

    Raises:
        FileNotFoundError: files are not there.
        MediaError: a file is no HDF5, cut off, or lacks its array.
        ValueError: an unknown choice, arrays that do not fit together, or labels that are not
            one-hot or not those of Annotations.txt.
    """

    METAINFO: Mapping[str, Any] = {'name': 'AVEFeatures', 'modalities': MODALITIES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        modalities: Sequence[str] = MODALITIES,
        target: str = 'clip',
        pool: str = 'mean',
        audio: Sequence[Mapping[str, Any]] = (),
        visual: Sequence[Mapping[str, Any]] = (),
        drop_leaks: bool = False,
        on_error: str = 'missing',
    ) -> None:
        given = {'split': split, 'target': target, 'pool': pool, 'on_error': on_error}
        check_choices('AVEFeatures', given, CHOICES)
        check_modalities('AVEFeatures', modalities, MODALITIES)
        root = Path(root)
        self.pool, self.on_error = pool, on_error
        labels = next((name for name in LABELS if (root / name).is_file()), LABELS[-1])
        _refuse_absent(root, [*(FILES[m] for m in modalities), labels])
        classes = _read_labels(root / labels)  # (N, segments)
        if target == 'clip':
            _refuse_several(root / labels, classes)
        self.features = {m: H5Rows(root / FILES[m], KEY) for m in modalities}
        for modality, held in self.features.items():
            _refuse_shape(modality, held, classes.shape)
        events = _read_events(root, classes)
        rows, counts = _select(root, split, events, len(classes), drop_leaks)
        clip = _events_of(classes)
        self.rows = rows if target == 'segments' else [row for row in rows if clip[row] >= 0]
        counts |= {'relabelled': len(_relabelled(events, clip))}
        counts |= {'without_event': len(rows) - len(self.rows)}
        if counts['without_event'] and target == 'clip':
            text = f'AVEFeatures {split}: {counts["without_event"]} videos without an event are out'
            print_log(text, logger='current', level=logging.WARNING)
        self.ids = [events[row].id if events else f'row {row}' for row in self.rows]
        self.targets = (clip if target == 'clip' else classes)[self.rows]
        configs = {'audio': audio, 'visual': visual}
        self.transforms = {m: [TRANSFORMS.build(c) for c in configs[m]] for m in modalities}
        self.shapes = {m: self._shape(m) for m in modalities}
        names = (*AVE_CLASSES, BACKGROUND) if target == 'segments' else AVE_CLASSES
        self.metainfo = {**self.METAINFO, **given, 'modalities': tuple(modalities)}
        self.metainfo.update(classes=names, labels=labels, drop_leaks=drop_leaks)
        self.metainfo.update(shapes=self.shapes, counts=counts)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key])

        def load(modality: str) -> Tensor:
            generator = draw.generator(stream=MODALITIES.index(modality))
            row = self.features[modality].row(self.rows[draw.sample])
            return self._tokens(modality, row, generator)

        given = gather(self.shapes, load, self.on_error, self.ids[draw.sample])
        target = torch.tensor(self.targets[draw.sample])
        return {**given._asdict(), 'target': target, 'id': self.ids[draw.sample]}

    def _tokens(self, modality: str, row: np.ndarray, draws: np.random.Generator) -> Tensor:
        """(segments, D) or (segments, H, W, D) -> (L, D)."""
        if row.ndim == 4 and self.pool == 'mean':
            row = row.mean(axis=(1, 2))
        return transformed(row.reshape(-1, row.shape[-1]), self.transforms[modality], draws)

    def _shape(self, modality: str) -> tuple[int, ...]:
        zeros = np.zeros(self.features[modality].shape[1:], np.float32)
        return tuple(self._tokens(modality, zeros, np.random.default_rng(0)).shape)


def _refuse_absent(root: Path, names: Sequence[str]) -> None:
    needed = [root / name for name in (*names, *(f'{split}_order.h5' for split in SPLITS))]
    if absent := [str(path) for path in needed if not path.is_file()]:
        text = f'AVEFeatures(root={str(root)!r}) needs {", ".join(absent)}'
        raise FileNotFoundError(f'{text}; {GUIDE}')


def _refuse_shape(modality: str, rows: H5Rows, wanted: tuple[int, ...]) -> None:
    if len(rows.shape) != AXES[modality].count(',') + 1 or rows.shape[:2] != wanted:
        raise ValueError(
            f'{rows.path} holds {rows.shape}, needed is {AXES[modality]} with N, segments = '
            f'{wanted}, as the labels are'
        )


def _read_labels(path: Path) -> np.ndarray:
    """The class of each segment, (N, segments) int64; the last one is background."""
    labels = H5Rows(path, KEY).all()
    count = len(AVE_CLASSES) + 1
    if labels.ndim != 3 or labels.shape[-1] != count:
        raise ValueError(f'{path} holds {labels.shape}, needed is (N, segments, {count})')
    hot = (np.isin(labels, (0, 1)).all(axis=2) & (labels.sum(axis=2) == 1)).all(axis=1)
    if not hot.all():
        row = int(np.flatnonzero(~hot)[0])
        raise ValueError(f'{path}: row {row} is not one class per segment')
    return np.asarray(labels.argmax(axis=2))


def _refuse_several(path: Path, classes: np.ndarray) -> None:
    known = _events_of(classes)[:, np.newaxis]
    if (wrong := ((classes != known) & (classes < len(AVE_CLASSES))).any(axis=1)).any():
        row = int(np.flatnonzero(wrong)[0])
        has = sorted({*classes[row].tolist()})
        text = f"{path}: row {row} has several events, {has}; target='clip' needs one"
        raise ValueError(f"{text}, possible is 'segments'")


def _events_of(classes: np.ndarray) -> np.ndarray:
    """The event of each video, (N,) int64; -1 where all is background."""
    return np.where(classes < len(AVE_CLASSES), classes, -1).max(axis=1)


def _read_order(path: Path, count: int) -> list[int]:
    """The rows of a split."""
    order = H5Rows(path, ORDER_KEY).all()
    rows = [int(row) for row in order.ravel()]
    if order.ndim != 1 or order.dtype.kind not in 'iu' or not rows:
        raise ValueError(f'{path} holds {order.shape} {order.dtype}, needed are row numbers (n,)')
    if len(set(rows)) < len(rows) or not 0 <= min(rows) <= max(rows) < count:
        raise ValueError(f'{path}: the rows are not different ones of 0 to {count - 1}')
    return rows


def _select(
    root: Path, split: str, events: Sequence[Event], count: int, drop_leaks: bool
) -> tuple[list[int], dict[str, int]]:
    """The rows of a split, and what `select` counts."""
    orders = {s: _read_order(root / f'{s}_order.h5', count) for s in SPLITS}
    if drop_leaks and not events:
        text = f'AVEFeatures(drop_leaks=True) needs {root / "Annotations.txt"}'
        raise FileNotFoundError(f'{text}, which tells the video of a row; {GUIDE}')
    named = events or [Event('', str(row), 0.0, 0.0, '') for row in range(count)]
    lists = {s: [named[row] for row in order] for s, order in orders.items()}
    places, counts = select(lists, split, 'keep', drop_leaks, 'AVEFeatures')
    return [orders[split][place] for place in places], counts


def _read_events(root: Path, classes: np.ndarray) -> list[Event]:
    """The line of Annotations.txt for each row; none without the file."""
    events = read_events(root / 'Annotations.txt')
    if events and len(events) != len(classes):
        text = f'{root / "Annotations.txt"} has {len(events)} events, but the features'
        raise ValueError(f'{text} are of {len(classes)} videos')
    clip = _events_of(classes)
    if differ := _relabelled(events, clip):
        text = f'{len(differ)} of {len(clip)} labels are not those of Annotations.txt, the first: '
        text += differ[0].line
        if 2 * len(differ) > len(clip):
            raise ValueError(f'{text}; rows or classes are in another order')
        print_log(f'AVEFeatures: {text}', logger='current', level=logging.WARNING)
    return events


def _relabelled(events: Sequence[Event], clip: np.ndarray) -> list[Event]:
    """Events whose label is not that of their row."""
    pairs = zip(events, clip.tolist(), strict=False)  # there may be no events
    return [event for event, c in pairs if c >= 0 and event.label != AVE_CLASSES[c]]
