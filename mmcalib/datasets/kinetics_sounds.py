"""Kinetics-Sounds, in the layouts in which code bases keep it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmcalib.media import MediaError
from mmcalib.media.cache import open_files
from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.film import Film, Folder, Video
from mmcalib.media.hdf5_pictures import Hdf5Pictures
from mmcalib.media.items import report_absent
from mmcalib.media.kinetics_folders import CLASSES, LAYOUTS, SPLITS, Labels, recognise, video_id
from mmcalib.media.recordings import MODALITIES, Recordings
from mmcalib.media.spectrograms import usual_shape
from mmcalib.media.splits import digest, stratified, warn_of_test
from mmcalib.registry import DATASETS

STORED = ('.npy', '.pkl')  # filter banks, not sound
CHOICES = {
    'split': SPLITS,
    'layout': ('auto', *LAYOUTS),
    'validation': ('train', 'test'),
    'on_error': ('missing', 'raise'),
}
GUIDE = 'docs/datasets/kinetics_sounds.md describes the layouts'


@DATASETS.register_module()
class KineticsSounds(Recordings):
    """Ten seconds of a video: sound and pictures of one of 31 actions that can be heard and seen.

    Arandjelovic and Zisserman, "Look, Listen and Learn", ICCV 2017, arXiv:1705.08168, a subset of
    Kinetics (arXiv:1705.06950). An item's audio is one token, x (1, ...), its visual one per frame,
    x (frames, ...). What cannot be read is zeros with a mask that is all False; `unreadable` says
    why.

    Args:
        root: folder of the data set, in one of `LAYOUTS`, with its lists.
        split: 'train', 'val' or 'test'.
        visual: transform configs for frames (T, H, W, 3) uint8.
        audio: transform configs for a waveform (samples,) float32 in [-1, 1]. Where filter banks
            are stored there is no waveform: there, `fbank` applies instead.
        fbank: transform configs for a stored filter bank (1, windows, bins) float32.
        frames: pictures per sample, one from each of as many equal parts of the clip.
        rate_hz: samples per second of the waveform.
        modalities: which to read, in this order.
        layout: one of `LAYOUTS`, for a folder that holds several; 'auto' takes the only one.
        classes: 'kinetics' (the 31), 'auto' (as the folder has them, numbers by value), or names in
            the order of the targets. Where lists have numbers, these are places among names.
        validation: 'train' takes `val` from its own list, or else from train; 'test' makes `val`
            the test split, as most published results select.
        val_fraction: of the training clips of each class to `val`, unless there is a list for it; 0
            for no validation split.
        split_seed: of what is drawn.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
        random_times: a random frame of each part instead of the middle one; None: in train only.
        media: `fps`, `side` and `cache`: which frames there are, how large, and where they lie
            decoded (docs/cache.md).

    Raises:
        FileNotFoundError: the root, a list, or more than half of the files are not there.
        ValueError: no layout or several, an unknown choice, a line that is not understood, a label
            of no class, or a clip that two lists name.
    """

    METAINFO: Mapping[str, Any] = {'name': 'KineticsSounds', 'modalities': MODALITIES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        visual: Sequence[Mapping[str, Any]],
        audio: Sequence[Mapping[str, Any]],
        fbank: Sequence[Mapping[str, Any]] = (),
        frames: int = 3,
        rate_hz: int = 16_000,
        modalities: Sequence[str] = MODALITIES,
        layout: str = 'auto',
        classes: str | Sequence[str] = 'kinetics',
        validation: str = 'train',
        val_fraction: float = 0.1,
        split_seed: int = 0,
        on_error: str = 'missing',
        random_times: bool | None = None,
        media: Mapping[str, Any] = {},
    ) -> None:
        given = {'split': split, 'layout': layout, 'validation': validation, 'on_error': on_error}
        check_choices('KineticsSounds', given, CHOICES)
        check_modalities('KineticsSounds', modalities, MODALITIES)
        if frames < 1 or rate_hz < 1 or not 0 <= val_fraction < 1:
            raise ValueError(
                f'KineticsSounds(frames={frames}, rate_hz={rate_hz}, val_fraction={val_fraction}); '
                'at least 1, at least 1, and within [0, 1)'
            )
        found = recognise(Path(root), layout, modalities, GUIDE)
        given['layout'], self.paths = found.name, found.files
        names = _class_names(found.lists, classes, found.classes)
        splits = _splits(found.lists, validation, val_fraction, split_seed)
        if not splits[split]:
            raise ValueError(
                f'KineticsSounds(split={split!r}, val_fraction={val_fraction}) has no clip'
            )
        banks = _banks(root, list(self.paths.get('audio', {}).values()))
        configs = {'audio': fbank if banks else audio, 'visual': visual}
        ids = sorted(splits[split])
        super().__init__(
            ids=ids,
            targets=[_target(clip, splits[split][clip], names) for clip in ids],
            files=open_files(root, **media),
            transforms={m: configs[m] for m in modalities},
            frames=frames,
            random_times=split == 'train' if random_times is None else random_times,
            rate_hz=rate_hz,
            bank=usual_shape(banks) if banks else None,
            on_error=on_error,
        )
        self.found = {m: self._find(m) for m in modalities}
        counts = _count(splits)
        counts |= {f'{m}_absent': self._count_absent(m, split) for m in modalities}
        counts['same_file'] = self._count_shared(split)
        self.metainfo = {**self.METAINFO, **given, 'modalities': tuple(modalities)}
        self.metainfo.update(classes=names, val_fraction=val_fraction, split_seed=split_seed)
        self.metainfo['ids_sha256'] = digest(self.ids)
        self.metainfo.update(shapes=self.shapes, bank=self.bank, counts=counts)

    def read(self, modality: str, sample: int, generator: np.random.Generator) -> np.ndarray:
        clip = self.ids[sample]
        path = self.found[modality].get(clip)
        if path is None:
            raise MediaError(f'{clip}: no such file for {modality}')
        if modality == 'audio':
            return self._sound(path)
        film: Film = Folder(path)
        if path.suffix == '.hdf5':
            film = Hdf5Pictures(path)
        elif path.is_file():
            film = Video(path, fps=self.files.fps)
        return self._pictures(film, generator)

    def _find(self, modality: str) -> dict[str, Path]:
        """The file of each clip, under the name of the list or of the video alone."""
        files = self.paths[modality]
        names = {clip: clip if clip in files else video_id(clip) for clip in self.ids}
        return {clip: files[name] for clip, name in names.items() if name in files}

    def _count_absent(self, modality: str, split: str) -> int:
        absent = [clip for clip in self.ids if clip not in self.found[modality]]
        where, what = f'KineticsSounds {split}', f'clips have no {modality}'
        return report_absent(where, what, absent, len(self), self.on_error, GUIDE)

    def _count_shared(self, split: str) -> int:
        """How many clips have the file of another, since both are cut from one video."""
        readers: dict[Path, set[str]] = {}
        for files in self.found.values():
            for clip, path in files.items():
                readers.setdefault(path, set()).add(clip)
        shared = {path: clips for path, clips in readers.items() if len(clips) > 1}
        count = len(set().union(*shared.values()))
        if shared:
            path, clips = min(shared.items())
            text = f'KineticsSounds {split}: {count} clips have no file of their own, but that of '
            text += f'their video, which others have too, first {", ".join(sorted(clips))}: {path}'
            print_log(text, logger='current', level=logging.WARNING)
        return count


def _splits(
    lists: Mapping[str, Labels], validation: str, fraction: float, seed: int
) -> dict[str, Labels]:
    train, test = lists['train'], lists['test']
    if validation == 'test':
        warn_of_test('KineticsSounds')
        return {'train': train, 'val': test, 'test': test}
    if 'val' in lists:
        return dict(lists)
    held = stratified(train, fraction, seed, 'val')
    val = {clip: label for clip, label in train.items() if clip in held}
    return {'train': {c: train[c] for c in train if c not in held}, 'val': val, 'test': test}


def _class_names(
    lists: Mapping[str, Labels], classes: str | Sequence[str], told: Sequence[str] | None
) -> tuple[str, ...]:
    if classes == 'kinetics':
        return CLASSES
    if not isinstance(classes, str):
        return tuple(classes)
    if classes != 'auto':
        raise ValueError(
            f"KineticsSounds(classes={classes!r}); possible are 'kinetics', 'auto' or the names"
        )
    labels = {label for part in lists.values() for label in part.values()}
    return tuple(told or sorted(labels, key=lambda name: (not name.isdigit(), name.zfill(4))))


def _banks(root: str | Path, sounds: Sequence[Path]) -> list[Path]:
    """All of the files, if they are filter banks; none, if they are sound."""
    banks = [path for path in sounds if path.suffix in STORED]
    if not banks or len(banks) == len(sounds):
        return banks
    other = next(path for path in sounds if path not in banks)
    raise ValueError(
        f'KineticsSounds(root={str(root)!r}) has {len(banks)} filter banks, such as {banks[0]}, '
        f'and {len(sounds) - len(banks)} files of sound, such as {other}; possible is one kind'
    )


def _target(clip: str, label: str, names: tuple[str, ...]) -> int:
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < len(names):
        return int(label)
    raise ValueError(
        f'KineticsSounds: the label {label!r} of {clip} is none of the {len(names)} classes '
        f"{names[:3]} ...; classes='auto' takes those of the folder"
    )


def _count(splits: Mapping[str, Labels]) -> dict[str, int]:
    counts = {f'{split}_clips': len(labels) for split, labels in splits.items()}
    videos = {split: {video_id(clip) for clip in labels} for split, labels in splits.items()}
    counts['videos_in_train_and_test'] = len(videos['train'] & videos['test'])
    if shared := counts['videos_in_train_and_test']:
        text = f'KineticsSounds: {shared} videos are in train and in test'
        print_log(text, logger='current', level=logging.WARNING)
    return counts
