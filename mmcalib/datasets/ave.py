"""AVE, and anybody's own videos in its layout."""

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from mmcalib.contract import Draw
from mmcalib.media import MediaError
from mmcalib.media.cache import open_files
from mmcalib.media.film import Video
from mmcalib.media.items import gather, report_absent, transformed
from mmcalib.registry import DATASETS, TRANSFORMS

# fmt: off
CLASSES = (  # in the order in which the official Annotations.txt first names them
    'Church bell', 'Male speech, man speaking', 'Bark', 'Fixed-wing aircraft, airplane',
    'Race car, auto racing', 'Female speech, woman speaking', 'Helicopter', 'Violin, fiddle',
    'Flute', 'Ukulele', 'Frying (food)', 'Truck', 'Shofar', 'Motorcycle', 'Acoustic guitar',
    'Train horn', 'Clock', 'Banjo', 'Goat', 'Baby cry, infant cry', 'Bus', 'Chainsaw', 'Cat',
    'Horse', 'Toilet flush', 'Rodents, rats, mice', 'Accordion', 'Mandolin',
)
# fmt: on
MODALITIES = ('audio', 'visual')
SPLITS = ('train', 'val', 'test')
CHOICES = {
    'split': SPLITS,
    'span': ('event', 'clip'),
    'duplicates': ('first', 'keep'),
    'on_error': ('missing', 'raise'),
}
SUFFIXES = ('.mp4', '.mkv', '.avi', '.mpg', '.flv', '.wav', '.mp3', '.ogg')  # first found wins
MIN_EVENT_S = 0.1  # the official lists hold one event of no duration
WANTED = 'Category&VideoID&Quality&StartTime&EndTime'
GUIDE = 'docs/datasets/ave.md describes the layout'


class Event(NamedTuple):
    label: str
    id: str
    start_s: float
    end_s: float
    line: str  # where it stands, for messages


@DATASETS.register_module()
class AVE(Dataset):
    """Videos with one labelled audio-visual event each, decoded from their files.

    Tian et al., "Audio-Visual Event Localization in Unconstrained Videos", ECCV 2018,
    arXiv:1803.08842; used here to classify the event, one label per video. An item's audio is one
    token, x (1, ...), its visual one per frame, x (frames, ...). A modality that cannot be read is
    zeros with a mask that is all False; `unreadable` says why.

    Args:
        root: folder of `AVE/<id>.mp4` (or another suffix) and `{train,val,test}Set.txt`.
        split: 'train', 'val' or 'test'.
        visual: transform configs for frames (T, H, W, 3) uint8.
        audio: transform configs for a waveform (samples,) float32 in [-1, 1].
        frames: pictures per sample, one from each of as many equal parts of the span.
        rate_hz: samples per second of the waveform.
        modalities: which to read, in this order.
        classes: 'ave' (the official 28), 'auto' (the sorted labels of Annotations.txt, else of
            the three lists), or the names.
        span: 'event' reads the labelled part, 'clip' the whole file.
        context_s: seconds added on both sides of an event, once it has at least 0.1 s.
        duplicates: of a video that a list names again with another label, 'first' keeps the first
            line, as published results do, 'keep' every line.
        drop_leaks: leave out videos that a later split (in the order train, val, test) also names.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
        random_times: a random frame of each part instead of the middle one; None: in train only.
        media: `fps`, `side` and `cache`: which frames there are, how large, and where they lie
            decoded (docs/cache.md).

    Raises:
        FileNotFoundError: parts of the layout, or more than half of the videos, are not there.
        ValueError: an unknown choice, a line that is not understood, or a label of no class.
    """

    METAINFO: Mapping[str, Any] = {'name': 'AVE', 'modalities': MODALITIES, 'classes': CLASSES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        visual: Sequence[Mapping[str, Any]],
        audio: Sequence[Mapping[str, Any]],
        frames: int = 1,
        rate_hz: int = 16_000,
        modalities: Sequence[str] = MODALITIES,
        classes: str | Sequence[str] = 'ave',
        span: str = 'event',
        context_s: float = 0.0,
        duplicates: str = 'first',
        drop_leaks: bool = False,
        on_error: str = 'missing',
        random_times: bool | None = None,
        media: Mapping[str, Any] = {},
    ) -> None:
        given = {'split': split, 'span': span, 'duplicates': duplicates, 'on_error': on_error}
        for name, value in given.items():
            if value not in CHOICES[name]:
                raise ValueError(f'AVE({name}={value!r}); possible are {CHOICES[name]}')
        if not modalities or not set(modalities) <= set(MODALITIES):
            raise ValueError(f'AVE(modalities={modalities}); possible are {MODALITIES}')
        if frames < 1 or context_s < 0:
            raise ValueError(f'AVE(frames={frames}, context_s={context_s}); at least 1 and 0')
        root, self.folder = Path(root), Path(root, 'AVE')
        needed = (root, self.folder, root / f'{split}Set.txt')
        if absent := [str(path) for path in needed if not path.exists()]:
            raise FileNotFoundError(f'AVE(root={str(root)!r}) needs {", ".join(absent)}; {GUIDE}')
        self.files = open_files(root, **media)
        self.frames, self.rate_hz = frames, rate_hz
        self.span, self.context_s, self.on_error = span, context_s, on_error
        self.random_times = split == 'train' if random_times is None else random_times
        configs = {'audio': audio, 'visual': visual}
        self.transforms = {m: [TRANSFORMS.build(c) for c in configs[m]] for m in modalities}
        names = _class_names(classes, root)
        self.events, counts = _select(root, split, duplicates, drop_leaks)
        self.targets = [_target(event, names) for event in self.events]
        found = list(self.folder.iterdir())
        self.videos = {f.stem: f for s in SUFFIXES[::-1] for f in found if f.suffix.lower() == s}
        counts['absent'] = self._count_absent(split)
        self.shapes = {m: self._shape(m) for m in modalities}
        self.metainfo = {**self.METAINFO, **given, 'modalities': tuple(modalities)}
        self.metainfo.update(classes=names, context_s=context_s, drop_leaks=drop_leaks)
        self.metainfo.update(shapes=self.shapes, counts=counts)

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key])
        event = self.events[draw.sample]

        def load(modality: str) -> Tensor:
            generator = draw.generator(stream=MODALITIES.index(modality))
            return self._transform(modality, self._read(modality, event, generator), generator)

        given = gather(self.shapes, load, self.on_error, event.id)
        target = torch.tensor(self.targets[draw.sample])
        return {**given._asdict(), 'target': target, 'id': event.id}

    def _read(self, modality: str, event: Event, generator: np.random.Generator) -> np.ndarray:
        path = self.videos.get(event.id)
        if path is None:
            raise MediaError(f'{self.folder / event.id}.*: no such file')
        start_s, end_s = 0.0, inf
        if self.span == 'event':
            widen_s = self.context_s + max(0.0, MIN_EVENT_S - (event.end_s - event.start_s)) / 2
            start_s, end_s = max(0.0, event.start_s - widen_s), event.end_s + widen_s
        if modality == 'audio':
            return self.files.sound(path, self.rate_hz, start_s, end_s)
        film = Video(path, start_s, end_s, self.files.fps)
        return self.files.pictures(film, self.frames, generator if self.random_times else None)

    def _transform(self, modality: str, array: np.ndarray, draws: np.random.Generator) -> Tensor:
        return transformed(array, self.transforms[modality], draws, whole=modality == 'audio')

    def _shape(self, modality: str) -> tuple[int, ...]:
        """The shape that the transforms make of silence or of a black clip."""
        silence, black = np.zeros(self.rate_hz, 'f4'), np.zeros((self.frames, 256, 256, 3), 'u1')
        array = silence if modality == 'audio' else black
        return tuple(self._transform(modality, array, np.random.default_rng(0)).shape)

    def _count_absent(self, split: str) -> int:
        absent = [event.id for event in self.events if event.id not in self.videos]
        if absent:
            text = f'AVE {split}: {len(absent)} of {len(self)} videos are not on disk'
            text += f' in {self.folder}, first five: {", ".join(absent[:5])}'
            report_absent(text, len(absent), len(self), self.on_error, GUIDE)
        return len(absent)


def _read_list(path: Path) -> list[Event]:
    events: list[Event] = []
    text = path.read_text(encoding='utf-8-sig', errors='replace') if path.exists() else ''
    for number, row in enumerate(text.splitlines(), start=1):
        fields = [' '.join(field.split()) for field in row.rsplit('&', 4)]  # also joins U+00A0
        if fields == [''] or fields[1:2] == ['VideoID']:
            continue
        line = f'{path}, line {number}'
        try:
            label, name, _, start, end = fields
            events.append(Event(label, name, float(start), float(end), line))
        except ValueError:
            raise ValueError(f'{line}: {row!r} is not {WANTED}') from None
        if not 0 <= events[-1].start_s <= events[-1].end_s < inf:
            raise ValueError(f'{line}: an event from {start} s to {end} s; needs 0 <= start <= end')
    return events


def _select(
    root: Path, split: str, duplicates: str, drop_leaks: bool
) -> tuple[list[Event], dict[str, int]]:
    """The events of a split, and how many were listed, named again, shared, and left out."""
    lists = {s: _read_list(root / f'{s}Set.txt') for s in SPLITS}
    ids = {s: {event.id for event in events} for s, events in lists.items()}
    events, notes = lists[split], []
    counts = {'listed': len(events), 'again': len(events) - len(ids[split])}
    if counts['again']:
        notes.append(f'{counts["again"]} lines name a video again (duplicates={duplicates!r})')
    if duplicates == 'first':
        first = {event.id: event for event in reversed(events)}
        events = [event for event in events if first[event.id] is event]
    shared = {s: both for s in SPLITS if s != split and (both := ids[split] & ids[s])}
    for other, both in shared.items():
        notes.append(f'{len(both)} videos are also in {other} (drop_leaks={drop_leaks})')
    later = SPLITS[SPLITS.index(split) + 1 :]
    leaks = set().union(*(shared.get(s, ()) for s in later)) if drop_leaks else set()
    kept = [event for event in events if event.id not in leaks]
    counts |= {'shared': len(set().union(*shared.values())), 'dropped': len(events) - len(kept)}
    if notes:
        text = f'AVE {split}: {"; ".join(notes)}; {len(kept)} of {len(lists[split])} lines are used'
        print_log(text, logger='current', level=logging.WARNING)
    return kept, counts


def _class_names(classes: str | Sequence[str], root: Path) -> tuple[str, ...]:
    if classes == 'ave' or not isinstance(classes, str):
        return tuple(' '.join(name.split()) for name in (CLASSES if classes == 'ave' else classes))
    if classes != 'auto':
        raise ValueError(f"AVE(classes={classes!r}); possible are 'ave', 'auto' or a list of names")
    whole = (root / 'Annotations.txt').exists()
    lists = ['Annotations.txt'] if whole else [f'{split}Set.txt' for split in SPLITS]
    return tuple(sorted({event.label for name in lists for event in _read_list(root / name)}))


def _target(event: Event, names: tuple[str, ...]) -> int:
    if event.label in names:
        return names.index(event.label)
    close = get_close_matches(event.label, names, n=1, cutoff=0.0)
    text = f'{event.line}: {event.label!r} is none of the {len(names)} classes, the closest is'
    raise ValueError(f"{text} {close}; classes='auto' takes the labels from the lists")
