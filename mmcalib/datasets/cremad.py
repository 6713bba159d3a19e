"""CREMA-D, in the layouts in which code bases keep it."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmcalib.media import MediaError
from mmcalib.media.cache import open_files
from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.film import Folder, Video
from mmcalib.media.items import report_absent
from mmcalib.media.recordings import MODALITIES, Recordings
from mmcalib.media.spectrograms import usual_shape
from mmcalib.media.splits import digest, stratified, warn_of_test, whole_groups
from mmcalib.registry import DATASETS

ORDERS = {
    'ogm': ('NEU', 'HAP', 'SAD', 'FEA', 'DIS', 'ANG'),
    'alphabetical': ('ANG', 'DIS', 'FEA', 'HAP', 'NEU', 'SAD'),
}
SPELLINGS = {
    **{code.lower(): code for code in ORDERS['ogm']},
    **{'neutral': 'NEU', 'disgust': 'DIS', 'anger': 'ANG', 'angry': 'ANG', 'fear': 'FEA'},
    **{'happy': 'HAP', 'happiness': 'HAP', 'sad': 'SAD', 'sadness': 'SAD', 'fearful': 'FEA'},
}
SPLITS = ('train', 'val', 'test')
WAVES = ('AudioWAV/*.wav', 'Audio/*.wav', 'audio/*.wav')
LAYOUTS: Mapping[
    str, Mapping[str, tuple[str, ...]]
] = {  # where the files of a modality lie; a pattern without a suffix means folders
    'ogm': {'audio': WAVES, 'visual': ('Image-01-FPS/*',)},
    'raw': {'audio': WAVES, 'visual': ('VideoFlash/*.flv',)},
    'balancebenchmark': {'audio': ('audio/*.pt',), 'visual': ('visual/*',)},
    'mla': {
        'audio': ('audio/train_fbank/*.npy', 'audio/test_fbank/*.npy'),
        'visual': tuple(f'visual/{part}_imgs/Image-01-FPS/*' for part in ('train', 'test')),
    },
}
LISTS = {
    'train': ('train.csv', 'my_train_cre.txt'),
    'test': ('test.csv', 'my_test_cre.txt'),
    'val': ('val.csv',),
    'own': ('my_train.csv',),  # train.csv without val.csv
}
LIST_FOLDERS = ('', 'annotations')
CHOICES = {
    'split': SPLITS,
    'layout': ('auto', *LAYOUTS),
    'protocol': ('random', 'speaker'),
    'validation': ('train', 'test'),
    'on_error': ('missing', 'raise'),
}
NAME = re.compile(r'(\d+)_[A-Z]+_([A-Z]+)_[A-Z]+')  # actor, sentence, emotion, level
WANTED = '<actor>_<sentence>_<emotion>_<level>,<label>'
TEST_FRACTION = 0.1  # 744 of 7442
GUIDE = 'docs/datasets/cremad.md describes the layouts'

Labels = dict[str, str]  # emotion by clip


@DATASETS.register_module()
class CREMAD(Recordings):
    """Actors who speak one of 12 sentences in one of 6 emotions: sound, face, emotion.

    Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Transactions on
    Affective Computing 2014. An item's audio is one token, x (1, ...), its visual one per frame,
    x (frames, ...). A modality that cannot be read is zeros with a mask that is all False;
    `unreadable` says why. Which files are read is seen from the folder.

    Args:
        root: folder of one of the `LAYOUTS`, with its lists or without.
        split: 'train', 'val' or 'test'.
        visual: transform configs for frames (T, H, W, 3) uint8.
        audio: transform configs for a waveform (samples,) float32 in [-1, 1]. A layout that
            keeps filter banks has no waveform: there, `fbank` applies instead.
        fbank: transform configs for a stored filter bank (1, windows, bins) float32.
        frames: pictures per sample, one from each of as many equal parts of the clip.
        rate_hz: samples per second of the waveform.
        modalities: which to read, in this order.
        layout: one of `LAYOUTS`, for a folder that holds several; 'auto' takes the only one.
        classes: the order of the targets: 'ogm', 'alphabetical', or six names.
        protocol: 'random' takes the lists, as published results do, though every actor is in all of
            them; 'speaker' keeps all clips of an actor in one split.
        validation: 'train' takes `val` from the training clips; 'test' makes `val` the test split,
            as most published results select, and leaves all else to train.
        val_fraction: of the training clips of each class ('random') or actors ('speaker') to `val`,
            unless there is a list for it; 0 for no validation split.
        split_seed: of whatever split is drawn.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
        random_times: a random frame of each part instead of the middle one; None: in train only.
        media: `fps`, `side` and `cache`: which frames there are, how large, and where they lie
            decoded (docs/cache.md).

    Raises:
        FileNotFoundError: the root, a list of two, or more than half of the files are not there.
        ValueError: no layout or several, an unknown choice, a line that is not understood, a label
            of no class, or a clip that two lists name.
    """

    METAINFO: Mapping[str, Any] = {'name': 'CREMAD', 'modalities': MODALITIES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        visual: Sequence[Mapping[str, Any]],
        audio: Sequence[Mapping[str, Any]],
        fbank: Sequence[Mapping[str, Any]] = (),
        frames: int = 1,
        rate_hz: int = 22_050,
        modalities: Sequence[str] = MODALITIES,
        layout: str = 'auto',
        classes: str | Sequence[str] = 'ogm',
        protocol: str = 'random',
        validation: str = 'train',
        val_fraction: float = 0.1,
        split_seed: int = 0,
        on_error: str = 'missing',
        random_times: bool | None = None,
        media: Mapping[str, Any] = {},
    ) -> None:
        given = {'split': split, 'layout': layout, 'protocol': protocol}
        given |= {'validation': validation, 'on_error': on_error}
        check_choices('CREMAD', given, CHOICES)
        check_modalities('CREMAD', modalities, MODALITIES)
        if frames < 1 or rate_hz < 1 or not 0 <= val_fraction < 1:
            raise ValueError(
                f'CREMAD(frames={frames}, rate_hz={rate_hz}, val_fraction={val_fraction}); '
                'at least 1, at least 1, and within [0, 1)'
            )
        names, root = _class_names(classes), Path(root)
        given['layout'], self.paths = _recognise(root, layout, modalities)
        clips = set().union(*self.paths.values())
        lists = _read_lists(root, validation)
        splits = _splits(lists, clips, protocol, validation, val_fraction, split_seed)
        if not splits[split]:
            raise ValueError(f'CREMAD(split={split!r}, val_fraction={val_fraction}) has no clip')
        stored = LAYOUTS[given['layout']]['audio'] is not WAVES and 'audio' in modalities
        configs = {'audio': fbank if stored else audio, 'visual': visual}
        ids = sorted(splits[split])
        super().__init__(
            ids=ids,
            targets=[names.index(splits[split][clip]) for clip in ids],
            files=open_files(root, **media),
            transforms={m: configs[m] for m in modalities},
            frames=frames,
            random_times=split == 'train' if random_times is None else random_times,
            rate_hz=rate_hz,
            bank=usual_shape(self.paths['audio'].values()) if stored else None,
            on_error=on_error,
        )
        counts = _count(splits, protocol)
        counts |= {f'{m}_absent': self._count_absent(m, split) for m in modalities}
        counts['unlisted'] = len(clips.difference(*splits.values()))
        self.metainfo = {**self.METAINFO, **given, 'modalities': tuple(modalities)}
        self.metainfo.update(classes=names, val_fraction=val_fraction, split_seed=split_seed)
        self.metainfo.update(lists=lists.files, ids_sha256=digest(self.ids))
        self.metainfo.update(shapes=self.shapes, bank=self.bank, counts=counts)

    def read(self, modality: str, sample: int, generator: np.random.Generator) -> np.ndarray:
        clip = self.ids[sample]
        path = self.paths[modality].get(clip)
        if path is None:
            raise MediaError(f'{clip}: no such file for {modality}')
        if modality == 'audio':
            return self._sound(path)
        film = Video(path, fps=self.files.fps) if path.suffix == '.flv' else Folder(path)
        return self._pictures(film, generator)

    def _count_absent(self, modality: str, split: str) -> int:
        absent = [clip for clip in self.ids if clip not in self.paths[modality]]
        where, what = f'CREMAD {split}', f'clips have no {modality}'
        return report_absent(where, what, absent, len(self), self.on_error, GUIDE)


def _recognise(
    root: Path, layout: str, modalities: Sequence[str]
) -> tuple[str, dict[str, dict[str, Path]]]:
    """The layout of a folder, and the file or folder of each clip."""
    asked = f'CREMAD(root={str(root)!r}, layout={layout!r})'
    if not root.is_dir():
        raise FileNotFoundError(f'{asked}: no such folder; {GUIDE}')
    patterns = {p: None for sources in LAYOUTS.values() for m in modalities for p in sources[m]}
    found = {pattern: _find(root, pattern) for pattern in patterns}
    complete = [
        name
        for name, sources in LAYOUTS.items()
        if layout in ('auto', name) and all(any(found[p] for p in sources[m]) for m in modalities)
    ]
    if 'ogm' in complete and 'raw' in complete:
        complete.remove('raw')  # the pictures were made from the videos, which are still there
    if len(complete) != 1:
        what = f'the folder has several layouts, {complete}' if complete else 'no layout is there'
        looked = ', '.join(f'{pattern}: {len(clips)}' for pattern, clips in found.items())
        has = sorted(path.name for path in root.iterdir())[:10]
        raise ValueError(
            f'{asked}: {what}. Clips found for {tuple(modalities)}: {looked}. '
            f'The folder holds {has}; {GUIDE}'
        )
    sources = LAYOUTS[complete[0]]
    files = {m: {c: f for p in sources[m] for c, f in found[p].items()} for m in modalities}
    return complete[0], files


def _find(root: Path, pattern: str) -> dict[str, Path]:
    suffix = Path(pattern).suffix
    named = {path.stem: path for path in root.glob(pattern) if NAME.fullmatch(path.stem)}
    return named if suffix else {clip: path for clip, path in named.items() if path.is_dir()}


class Lists(NamedTuple):
    files: tuple[str, ...]
    labels: dict[str, Labels]  # by part: train, test, val, own


def _splits(
    lists: Lists, clips: Iterable[str], protocol: str, validation: str, fraction: float, seed: int
) -> dict[str, Labels]:
    """The clips of each split, with their emotions."""
    labels = {clip: label for part in lists.labels.values() for clip, label in part.items()}
    labels = labels or {clip: _emotion(clip) for clip in clips}
    if protocol == 'speaker':
        test, val = _by_actor(labels, fraction, seed)
    elif lists.labels:
        test, val = set(lists.labels['test']), _listed_val(lists.labels, fraction, seed)
    else:
        text = 'CREMAD has no lists: a seeded tenth of the clips is test, not the published split'
        print_log(text, logger='current', level=logging.WARNING)
        test = stratified(labels, TEST_FRACTION, seed, 'test')
        val = stratified({c: labels[c] for c in labels if c not in test}, fraction, seed, 'val')
    if validation == 'test':
        warn_of_test('CREMAD')
        val = test
    parts = {'train': set(labels) - val - test, 'val': val, 'test': test}
    return {part: {clip: labels[clip] for clip in names} for part, names in parts.items()}


def _by_actor(labels: Labels, fraction: float, seed: int) -> tuple[set[str], set[str]]:
    actors = {clip: _actor(clip) for clip in labels}
    if len(set(actors.values())) < 3:
        given = sorted(set(actors.values()))
        raise ValueError(f"CREMAD(protocol='speaker') needs 3 actors or more, but has {given}")
    test = whole_groups(actors, TEST_FRACTION, seed, 'test')
    rest = {clip: actor for clip, actor in actors.items() if clip not in test}
    return test, whole_groups(rest, fraction, seed, 'val')


def _listed_val(labels: Mapping[str, Labels], fraction: float, seed: int) -> set[str]:
    """The clips of val.csv, else those of train.csv that my_train.csv leaves out, else drawn."""
    if 'val' in labels:
        return set(labels['val'])
    if 'own' in labels:
        return set(labels['train']) - set(labels['own'])
    return stratified(labels['train'], fraction, seed, 'val')


def _read_lists(root: Path, validation: str) -> Lists:
    """All lists of a folder; none is a result too."""
    paths = {}
    for part, names in LISTS.items():
        found = [p for f in LIST_FOLDERS for name in names if (p := root / f / name).is_file()]
        if len(found) > 1:
            raise ValueError(f'CREMAD: several lists for {part}, {list(map(str, found))}; keep one')
        if found:
            paths[part] = found[0]
    if paths and (missing := [part for part in ('train', 'test') if part not in paths]):
        raise FileNotFoundError(
            f'CREMAD(root={str(root)!r}) has the lists {[p.name for p in paths.values()]}, but for '
            f'{" and ".join(missing)} none of {[n for part in missing for n in LISTS[part]]}'
        )
    labels = {part: _read_list(path) for part, path in paths.items()}
    if validation == 'test':
        labels.pop('val', None)
        labels.pop('own', None)
    for part in set(labels) - {'test'}:
        if both := sorted(labels[part].keys() & labels['test'].keys()):
            raise ValueError(
                f'{paths[part]} and {paths["test"]} share {len(both)} clips, first five: '
                f"{', '.join(both[:5])}; only validation='test' selects on test clips"
            )
    return Lists(tuple(paths[part].relative_to(root).as_posix() for part in labels), labels)


def _read_list(path: Path) -> Labels:
    labels: Labels = {}
    text = path.read_text(encoding='utf-8-sig', errors='replace')
    for number, row in enumerate(text.splitlines(), start=1):
        fields = [field.strip('"') for field in re.split(r'[,;\s]+', row.strip()) if field]
        if not fields or (number == 1 and [f.lower() for f in fields] == ['name', 'label']):
            continue
        place = f'{path}, line {number}'
        clip = re.sub(r'\.(flv|wav|mp3|mp4)$', '', fields[0])
        if len(fields) != 2 or not NAME.fullmatch(clip):
            raise ValueError(f'{place}: {row!r} is not {WANTED}')
        label = SPELLINGS.get(fields[1].lower())
        if label is None:
            raise ValueError(f'{place}: {fields[1]!r} is none of {sorted(SPELLINGS)}')
        if labels.setdefault(clip, label) != label:
            raise ValueError(f'{place}: {clip} is {label}, but an earlier line says {labels[clip]}')
    if not labels:
        raise ValueError(f'{path} names no clip; a line is {WANTED}')
    return labels


def _count(splits: Mapping[str, Labels], protocol: str) -> dict[str, int]:
    actors = {split: {_actor(clip) for clip in labels} for split, labels in splits.items()}
    counts = {f'{split}_clips': len(labels) for split, labels in splits.items()}
    shared = len(actors['train'] & actors['test'])
    if shared:
        text = f'CREMAD: {shared} actors are in train and in test (protocol={protocol!r})'
        print_log(text, logger='current', level=logging.INFO)
    labels = {clip: label for part in splits.values() for clip, label in part.items()}
    other = sum(label != SPELLINGS.get(_part(clip, 2).lower()) for clip, label in labels.items())
    if other:
        text = f'CREMAD: {other} labels of the lists are not those of the file names; the lists win'
        print_log(text, logger='current', level=logging.WARNING)
    return counts | {'actors_in_train_and_test': shared, 'relabelled': other}


def _part(clip: str, group: int) -> str:
    match = NAME.fullmatch(clip)
    assert match is not None
    return match[group]


def _actor(clip: str) -> str:
    return _part(clip, 1)


def _emotion(clip: str) -> str:
    if _part(clip, 2) not in ORDERS['ogm']:
        raise ValueError(f'CREMAD: the name {clip} says none of the emotions {ORDERS["ogm"]}')
    return _part(clip, 2)


def _class_names(classes: str | Sequence[str]) -> tuple[str, ...]:
    given = ORDERS.get(classes, ()) if isinstance(classes, str) else classes
    names = tuple(SPELLINGS.get(name.lower(), name) for name in given)
    if sorted(names) != sorted(ORDERS['ogm']):
        raise ValueError(
            f'CREMAD(classes={classes!r}); possible are {sorted(ORDERS)} or the six names '
            f'{ORDERS["ogm"]} in any order'
        )
    return names
