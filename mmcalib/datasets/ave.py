"""AVE, and anybody's own videos in its layout."""

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from mmcalib.media import MediaError
from mmcalib.media.ave_folders import SOURCES, class_names, draw_val, read_lists, recognise
from mmcalib.media.cache import open_files
from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.event_list import AVE_CLASSES, SPLITS, class_of, select
from mmcalib.media.film import Film, Folder, Video
from mmcalib.media.items import report_absent
from mmcalib.media.recordings import MODALITIES, Recordings
from mmcalib.media.spectrograms import usual_shape
from mmcalib.registry import DATASETS

CHOICES = {
    'split': SPLITS,
    'layout': ('auto', *SOURCES),
    'span': ('event', 'clip'),
    'duplicates': ('first', 'keep'),
    'validation': ('train', 'test'),
    'on_error': ('missing', 'raise'),
}
MIN_EVENT_S = 0.1  # the official lists hold one event of no duration
GUIDE = 'docs/datasets/ave.md describes the layouts'


@DATASETS.register_module()
class AVE(Recordings):
    """Videos with one labelled audio-visual event each, in the layouts in which they are kept.

    Tian et al., "Audio-Visual Event Localization in Unconstrained Videos", ECCV 2018,
    arXiv:1803.08842; used here to classify the event, one label per video. An item's audio is one
    token, x (1, ...), its visual one per frame, x (frames, ...). A modality that cannot be read is
    zeros with a mask that is all False; `unreadable` says why. Which files are read is seen from
    the folder; docs/datasets/ave.md tells the layouts.

    Args:
        root: folder of one of the layouts, with its lists.
        split: 'train', 'val' or 'test'.
        visual: transform configs for frames (T, H, W, 3) uint8.
        audio: transform configs for a waveform (samples,) float32 in [-1, 1]. A layout that keeps
            spectrograms has no waveform: there, `spectrogram` applies instead.
        spectrogram: transform configs for a stored spectrogram (1, frequencies, steps) float32.
        frames: pictures per sample, one from each of as many equal parts of the span or folder.
        rate_hz: samples per second of the waveform.
        modalities: which to read, in this order.
        layout: 'official' (videos), 'pmr' or 'ogm' (stored spectrograms and pictures); 'auto' takes
            the only one, and stored files before the videos they were made from.
        classes: 'ave' (the official 28), 'auto' (stat.txt of 'ogm', else the sorted labels of
            Annotations.txt, else of the lists), or the names.
        span: of videos, 'event' reads the labelled part, 'clip' the whole file.
        context_s: seconds added on both sides of an event, once it has at least 0.1 s; of videos.
        duplicates: of a video that a list names again with another label, 'first' keeps the first
            line, as published results do, 'keep' every line.
        drop_leaks: leave out videos that a later split (in the order train, val, test) also names.
        validation: of 'ogm', which has no list for it: 'train' takes `val` from the training
            videos, 'test' makes `val` the test split and leaves all else to train.
        val_fraction: of the training videos of each class, what goes to such a `val`.
        split_seed: of that draw.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
        random_times: a random frame of each part instead of the middle one; None: in train only.
        media: `fps`, `side` and `cache`: which frames there are, how large, and where they lie
            decoded (docs/cache.md).

    Raises:
        FileNotFoundError: no layout, a list, or more than half of the files are not there.
        ValueError: several layouts, an unknown choice, a line that is not understood, a label of no
            class, or a span of what is no video.
        MediaError: none of the stored spectrograms can be read.
    """

    METAINFO: Mapping[str, Any] = {'name': 'AVE', 'modalities': MODALITIES, 'classes': AVE_CLASSES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        visual: Sequence[Mapping[str, Any]],
        audio: Sequence[Mapping[str, Any]],
        spectrogram: Sequence[Mapping[str, Any]] = (),
        frames: int = 1,
        rate_hz: int = 16_000,
        modalities: Sequence[str] = MODALITIES,
        layout: str = 'auto',
        classes: str | Sequence[str] = 'ave',
        span: str = 'event',
        context_s: float = 0.0,
        duplicates: str = 'first',
        drop_leaks: bool = False,
        validation: str = 'train',
        val_fraction: float = 0.1,
        split_seed: int = 0,
        on_error: str = 'missing',
        random_times: bool | None = None,
        media: Mapping[str, Any] = {},
    ) -> None:
        given = {'split': split, 'layout': layout, 'span': span, 'duplicates': duplicates}
        given |= {'validation': validation, 'on_error': on_error}
        check_choices('AVE', given, CHOICES)
        check_modalities('AVE', modalities, MODALITIES)
        if frames < 1 or rate_hz < 1 or context_s < 0 or not 0 <= val_fraction < 1:
            raise ValueError(
                f'AVE(frames={frames}, rate_hz={rate_hz}, context_s={context_s}, '
                f'val_fraction={val_fraction}); at least 1, 1 and 0, and within [0, 1)'
            )
        root = Path(root)
        self.layout, self.paths = recognise(root, layout, modalities, GUIDE)
        given['layout'] = self.layout
        self._refuse_what_is_not_there(span, context_s, validation)
        self.span, self.context_s = span, context_s
        lists = read_lists(root, self.layout, split)
        names = class_names(classes, root, self.layout, lists)
        if self.layout == 'ogm':
            lists = draw_val(lists, validation, val_fraction, split_seed)
        listed = 'test' if validation == 'test' and split == 'val' else split
        if self.layout == 'ogm' and not lists[listed]:
            raise ValueError(f'AVE(split={split!r}, val_fraction={val_fraction}) has no video')
        places, counts = select(lists, listed, duplicates, drop_leaks)
        self.events = [lists[listed][place] for place in places]
        stored = self.layout != 'official' and 'audio' in modalities
        configs = {'audio': spectrogram if stored else audio, 'visual': visual}
        super().__init__(
            ids=[event.id for event in self.events],
            targets=[class_of(event, names) for event in self.events],
            files=open_files(root, **media),
            transforms={m: configs[m] for m in modalities},
            frames=frames,
            random_times=split == 'train' if random_times is None else random_times,
            rate_hz=rate_hz,
            bank=usual_shape(self.paths['audio'].values()) if stored else None,
            on_error=on_error,
        )
        counts |= self._count_absent(split)
        self.metainfo = {**self.METAINFO, **given, 'modalities': tuple(modalities)}
        self.metainfo.update(classes=names, context_s=context_s, drop_leaks=drop_leaks)
        self.metainfo.update(val_fraction=val_fraction, split_seed=split_seed)
        self.metainfo.update(shapes=self.shapes, bank=self.bank, counts=counts)

    def read(self, modality: str, sample: int, generator: np.random.Generator) -> np.ndarray:
        event = self.events[sample]
        path = self.paths[modality].get(event.id)
        if path is None:
            raise MediaError(f'{event.id}: no such file for {modality}')
        start_s, end_s = 0.0, inf
        if self.span == 'event':
            widen_s = self.context_s + max(0.0, MIN_EVENT_S - (event.end_s - event.start_s)) / 2
            start_s, end_s = max(0.0, event.start_s - widen_s), event.end_s + widen_s
        if modality == 'audio':
            return self._sound(path, start_s, end_s)
        videos = self.layout == 'official'
        film: Film = Video(path, start_s, end_s, self.files.fps) if videos else Folder(path)
        return self._pictures(film, generator)

    def _count_absent(self, split: str) -> dict[str, int]:
        videos = self.layout == 'official'
        asked = {'': next(iter(self.paths.values()))} if videos else self.paths
        counts = {}
        for modality, paths in asked.items():
            absent = [event.id for event in self.events if event.id not in paths]
            what = f'videos have no {modality}' if modality else 'videos are not'
            counts[f'{modality}_absent'.removeprefix('_')] = report_absent(
                f'AVE {split}', what, absent, len(self), self.on_error, GUIDE
            )
        return counts

    def _refuse_what_is_not_there(self, span: str, context_s: float, validation: str) -> None:
        if self.layout != 'official' and (span != 'event' or context_s):
            raise ValueError(
                f'AVE(span={span!r}, context_s={context_s}) cuts videos, but the layout '
                f"{self.layout!r} holds what was cut before; possible are span='event', context_s=0"
            )
        if self.layout != 'ogm' and validation != 'train':
            raise ValueError(
                f'AVE(validation={validation!r}) is for a layout without a list of val, but '
                f"{self.layout!r} has one; possible is 'train'"
            )
