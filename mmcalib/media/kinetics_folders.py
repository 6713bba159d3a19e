"""Kinetics-Sounds in the layouts in which code bases keep it: lists, and where the files lie."""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log

SPLITS = ('train', 'val', 'test')
# fmt: off
CLASSES = (  # in the order of the numbers 0 to 30 of OGM-GE's lists; from BML's KS.json
    'blowing_nose', 'blowing_out_candles', 'bowling', 'chopping_wood', 'dribbling_basketball',
    'laughing', 'mowing_lawn', 'playing_accordion', 'playing_bagpipes', 'playing_bass_guitar',
    'playing_clarinet', 'playing_drums', 'playing_guitar', 'playing_harmonica', 'playing_keyboard',
    'playing_organ', 'playing_piano', 'playing_saxophone', 'playing_trombone', 'playing_trumpet',
    'playing_violin', 'playing_xylophone', 'ripping_paper', 'shoveling_snow', 'shuffling_cards',
    'singing', 'stomping_grapes', 'tap_dancing', 'tapping_guitar', 'tapping_pen', 'tickling',
)
# fmt: on
VIDEOS = ('.mp4', '.mkv', '.webm', '.avi', '.mov', '.flv')
FOLDERS = ('', '*/', '*/*/')  # where clips may lie below the root
LISTS = {part: (f'my_{part}.txt', f'{part}.txt', f'{part}.csv') for part in SPLITS}
JSONS = ('KS_train_val.json', 'KS.json')
SUBSETS = {'training': 'train', 'validation': 'val', 'testing': 'test'}
PARTS = {'train': ('train_img', 'train'), 'test': ('val_img', 'test')}  # of ARL's folders
SOUNDS = ('.wav', '.npy')  # of ARL; filter banks win over the sound that they were made from
LAYOUTS = ('ogm', 'balancebenchmark', 'bml', 'arl')
WANTED = '<clip>[,<seconds>],<label>'

Files = dict[str, dict[str, Path]]  # by modality and clip
Labels = dict[str, str]  # class by clip


class Layout(NamedTuple):
    """A layout that was found."""

    name: str
    files: Files
    lists: dict[str, Labels]  # by split
    classes: tuple[str, ...] | None  # in order, where the folder tells


def recognise(root: Path, layout: str, modalities: Sequence[str], guide: str) -> Layout:
    """The one layout of a folder.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no layout, or several, or a list that is not understood.
    """
    asked = f'KineticsSounds(root={str(root)!r}, layout={layout!r})'
    if not root.is_dir():
        raise FileNotFoundError(f'{asked}: no such folder; {guide}')
    looked: list[str] = []
    found: dict[str, Files] = {}
    for name, look in LOOKS.items():
        files = {m: look(root, m) for m in modalities}
        looked.append(f'{name}: {", ".join(f"{len(f)} {m}" for m, f in files.items())}')
        if all(files.values()) and layout in ('auto', name):
            found[name] = files
    if len(found) > 1:
        found.pop('ogm', None)  # the others were made from the clips, which are still there
    if len(found) != 1:
        what = f'the folder has several layouts, {list(found)}' if found else 'no layout is there'
        has = sorted(path.name for path in root.iterdir())[:10]
        raise ValueError(
            f'{asked}: {what}. Clips found: {"; ".join(looked)}. The folder holds {has}; {guide}'
        )
    name, files = next(iter(found.items()))
    lists, classes = READS[name](root)
    for first, second in (('train', 'test'), ('val', 'test'), ('train', 'val')):
        if both := sorted(lists.get(first, {}).keys() & lists.get(second, {}).keys()):
            text = f'{asked}: {len(both)} clips are in {first} and in {second}'
            raise ValueError(f'{text}, first five: {", ".join(both[:5])}')
    return Layout(name, files, lists, classes)


def video_id(clip: str) -> str:
    """The video that a clip was cut from: eleven characters, before start and end."""
    match = re.fullmatch(r'([\w-]{11})(_\d+(\.\d+)?){0,2}', clip)
    return match[1] if match else clip


def _videos(root: Path, modality: str) -> dict[str, Path]:
    paths = [p for folder in FOLDERS for p in root.glob(f'{folder}*') if p.suffix in VIDEOS]
    return {path.stem: path for path in sorted(paths)}


def _banks(root: Path, modality: str) -> dict[str, Path]:
    if modality == 'audio':
        return {path.stem: path for path in root.glob('audio/*.npy')}
    return {path.name: path for path in root.glob('visual/*') if any(path.glob('*.jpg'))}


def _hdf5(root: Path, modality: str) -> dict[str, Path]:
    suffix = '.pkl' if modality == 'audio' else '.hdf5'
    return {p.stem: p for folder in FOLDERS for p in sorted(root.glob(f'{folder}*{suffix}'))}


def _arl(root: Path, modality: str) -> dict[str, Path]:
    if modality == 'visual':
        return {p.name: p for p in root.glob('visual/*_img/Image-01-FPS/*/*') if p.is_dir()}
    paths = [p for suffix in SOUNDS for p in root.glob(f'audio/*/*/*{suffix}')]
    return {path.stem: path for path in paths}


def _read_lists(root: Path) -> tuple[dict[str, Labels], None]:
    lists = {}
    for part, names in LISTS.items():
        found = [root / name for name in names if (root / name).is_file()]
        if len(found) > 1:
            raise ValueError(f'{root} has several lists for {part}, {[p.name for p in found]}')
        if found:
            lists[part] = _read_list(found[0])
    _require(root, lists, f'{LISTS["train"]} and {LISTS["test"]}')
    return lists, None


def _read_list(path: Path) -> Labels:
    labels: Labels = {}
    first: list[str] = []
    for number, row in enumerate(_text(path).splitlines(), start=1):
        fields = [field for field in re.split(r'[,\s]+', row.strip()) if field]
        if not fields:
            continue
        first = first or fields
        if why := _misfit(fields, first):
            raise ValueError(f'{path}, line {number}: {row!r} {why}; a line is {WANTED}')
        clip = _clip(fields)
        if labels.setdefault(clip, fields[-1]) != fields[-1]:
            text = f'{path}, line {number}: {clip} is {fields[-1]}, but {labels[clip]} before'
            raise ValueError(text)
    if not labels:
        raise ValueError(f'{path} names no clip; a line is {WANTED}')
    if len(first) == 2:
        text = f'{path} has two fields a line, read as <clip>,<label>: {_clip(first)} is {first[1]}'
        print_log(text, logger='current', level=logging.WARNING)
    return labels


def _misfit(fields: Sequence[str], first: Sequence[str]) -> str | None:
    """What is wrong with the fields of a line, itself or beside those of the first line."""
    if len(fields) not in (2, 3, 4):
        return f'is not {WANTED}'
    if len(fields) != len(first):
        return f'has {len(fields)} fields, but the first line {len(first)}'
    if len(fields) == 2 and fields[0] in CLASSES:
        return 'begins with a class'
    if fields[-1].isdecimal() != first[-1].isdecimal():
        return f'has the label {fields[-1]!r}, but the first line {first[-1]!r}'
    return None


def _clip(fields: Sequence[str]) -> str:
    return re.sub(r'\.\w{2,4}$', '', fields[0])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8: {error.reason} at byte {error.start}') from None


def _read_json(root: Path) -> tuple[dict[str, Labels], tuple[str, ...]]:
    found = [root / name for name in JSONS if (root / name).is_file()]
    if not found:
        raise FileNotFoundError(f'{root} has none of {JSONS}')
    try:
        told = json.loads(found[0].read_text())
        classes = tuple(map(str, told['labels']))
        lists: dict[str, Labels] = {}
        for clip, entry in told['database'].items():
            lists.setdefault(SUBSETS[entry['subset']], {})[clip] = str(entry['label'])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f'{found[0]} is not {{"labels": [...], "database": {{id: {{subset, label}}}}}}'
        raise ValueError(f'{text} with the subsets {list(SUBSETS)}: {error!r}') from None
    for labels in lists.values():  # a label may be a place in the list
        for clip, label in labels.items():
            if label not in classes and label.isdigit() and int(label) < len(classes):
                labels[clip] = classes[int(label)]
    _require(found[0], lists, 'training and testing')
    return lists, classes


def _read_folders(root: Path) -> tuple[dict[str, Labels], tuple[str, ...] | None]:
    lists: dict[str, Labels] = {}
    for part, (pictures, sounds) in PARTS.items():
        folders = [p for p in root.glob(f'visual/{pictures}/Image-01-FPS/*/*') if p.is_dir()]
        files = [p for p in root.glob(f'audio/{sounds}/*/*') if p.suffix in SOUNDS]
        if labels := _labels(files, folders):
            lists[part] = labels
    _require(root, lists, str(list(PARTS.values())))
    path = root / 'class.txt'
    if not path.is_file():
        return lists, None
    # One line of names between commas, as ARL has it, or a line each; ARL joins words by '_'.
    named = [name.strip() for name in re.split(r'[,\n]', _text(path)) if name.strip()]
    if not named:
        raise ValueError(f'{path} names no class; it holds <class>, <class>, ...')
    return lists, tuple(name.replace(' ', '_') for name in named)


def _labels(files: Sequence[Path], folders: Sequence[Path]) -> Labels:
    """The class of each clip, the folder that its file of sound and its pictures are in."""
    labels: Labels = {}
    for path, clip in [(p, p.stem) for p in sorted(files)] + [(p, p.name) for p in sorted(folders)]:
        label = path.parent.name
        if labels.setdefault(clip, label) != label:
            text = f'{path}: {clip} is in {label}, but also in {labels[clip]}'
            raise ValueError(f'{text}; sound and pictures of a clip are in folders of one class')
    return labels


def _require(where: Path, lists: Mapping[str, Labels], wanted: str) -> None:
    if absent := [part for part in ('train', 'test') if part not in lists]:
        raise FileNotFoundError(f'{where}: nothing for {" and ".join(absent)}; needs {wanted}')


LOOKS: dict[str, Callable[[Path, str], dict[str, Path]]] = dict(
    zip(LAYOUTS, (_videos, _banks, _hdf5, _arl), strict=True)
)
Read = Callable[[Path], tuple[dict[str, Labels], tuple[str, ...] | None]]
READS: dict[str, Read] = dict(
    zip(LAYOUTS, (_read_lists, _read_lists, _read_json, _read_folders), strict=True)
)
