"""Read items once, and keep a few numbers of each instead of the item."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset
from tqdm import tqdm

from mmcalib.contract import Signal
from mmcalib.verification.durations import Clock
from mmcalib.verification.hashes import dhash, digest
from mmcalib.verification.splits import Split

QUICK = 200  # items per split
FLAT = 1e-6  # an input whose numbers differ by less is constant
WAVE = 1000  # samples from which on one token of sound is drawn as a wave
SOUNDING = ('audio', 'sound', 'speech', 'spec', 'fbank')


class Facts(NamedTuple):
    """One modality of one item."""

    shape: tuple[int, ...]  # (L, ...)
    dtype: str
    length: int  # real tokens; 0 means missing
    finite: bool
    constant: bool  # silent or black, all real tokens the same
    size: int  # numbers in real tokens
    mean: float
    square: float  # mean of the squares
    low: float
    high: float
    digest: bytes
    look: int | None  # the dHash of the middle picture


class Record(NamedTuple):
    """One item."""

    split: str
    place: int  # in the data set
    id: str
    target: np.ndarray | None  # None: the item cannot be read at all
    reasons: dict[str, str]  # why a modality is missing, by modality
    facts: dict[str, Facts]
    seconds: dict[str, float] = {}  # of 'sound' and 'video', where it is read


def kind(modality: str, shape: tuple[int, ...]) -> str:
    """What an input (L, ...) is, by its shape and name: what can be drawn and compared of it.

    Returns:
        'pictures' (L, 3, H, W), 'flow' (L, 2, H, W), 'map' (a spectrogram), 'wave' or 'tokens'.
    """
    sounding = any(word in modality.lower() for word in SOUNDING)
    if len(shape) == 4 and not sounding:
        channels = shape[1] if shape[1] <= 3 else shape[3]
        return {1: 'pictures', 2: 'flow', 3: 'pictures'}.get(channels, 'map')
    if len(shape) >= 3:
        return 'map'
    return 'wave' if sounding and len(shape) == 2 and shape[1] >= WAVE else 'tokens'


def channels_first(x: np.ndarray) -> np.ndarray:
    """Pictures (L, C, H, W), also where the channels came last."""
    return x if x.shape[1] <= 3 else x.transpose(0, 3, 1, 2)


def look_at(modality: str, signal: Signal) -> Facts:
    """The facts of x (L, ...) and its mask (L,); only real tokens count."""
    x = signal.x[signal.mask].numpy()
    head = (tuple(signal.x.shape), str(signal.x.dtype).removeprefix('torch.'), len(x))
    if not x.size:
        return Facts(*head, True, False, 0, 0.0, 0.0, 0.0, 0.0, b'', None)
    numbers = x.astype(np.float64)
    if not np.isfinite(numbers).all():
        return Facts(*head, False, False, x.size, 0.0, 0.0, 0.0, 0.0, digest(x), None)
    what = kind(modality, x.shape)
    seen = channels_first(x) if what in ('pictures', 'flow') else x[:, np.newaxis]
    look = dhash(seen[len(x) // 2]) if what == 'pictures' else None
    flat = np.ptp(np.moveaxis(seen, 1, 0).reshape(seen.shape[1], -1), axis=1).max() <= FLAT
    constant = bool(flat) and seen[:, 0].size > 1
    mean, square = numbers.mean(), np.square(numbers).mean()
    low, high = float(x.min()), float(x.max())
    return Facts(*head, True, constant, x.size, mean, square, low, high, digest(x), look)


class Reading(Dataset):
    """Some items of a split, as records; one that cannot be read is a record too."""

    def __init__(self, split: str, data: Any, places: np.ndarray) -> None:
        self.split, self.data, self.places = split, data, places
        self.clock = Clock(data.files) if hasattr(data, 'files') else None
        if self.clock:
            data.files = self.clock

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Record:
        place = int(self.places[number])
        seconds: dict[str, float] = {}
        if self.clock:
            self.clock.seconds = seconds
        try:
            item = self.data[place]
            facts = {m: look_at(m, signal) for m, signal in item['inputs'].items()}
        except Exception as error:  # whatever it is, the other items are still to be read
            reasons = {'item': f'{type(error).__name__}: {error}'}
            return Record(self.split, place, f'item {place}', None, reasons, {})
        target = np.asarray(torch.as_tensor(item['target']))
        reasons = dict(item.get('unreadable', {}))
        return Record(self.split, place, str(item['id']), target, reasons, facts, seconds)


def read(
    splits: Mapping[str, Split], quick: bool = False, workers: int = 0, seed: int = 0
) -> list[Record]:
    """The records of all items, or of a seeded sample of `QUICK` per split, with a progress bar."""
    parts = []
    for split, (_, data) in splits.items():
        places = np.arange(len(data))
        if quick and len(data) > QUICK:
            chosen = np.random.default_rng(seed).choice(len(data), QUICK, replace=False)
            places = np.sort(chosen)
        parts.append(Reading(split, data, places))
    everything: ConcatDataset = ConcatDataset(parts)
    loader = DataLoader(everything, batch_size=4, num_workers=workers, collate_fn=list)
    records: list[Record] = []
    with tqdm(total=len(everything), desc='Read', unit='item', disable=None) as bar:
        for some in loader:
            records += some
            bar.update(len(some))
    return records
