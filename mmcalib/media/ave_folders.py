"""The folders in which code bases keep AVE, told apart by what is in them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mmcalib.media.event_list import (
    AVE_CLASSES,
    SPLITS,
    WANTED,
    WANTED_PAIR,
    Event,
    read_events,
    read_names,
    read_pairs,
)
from mmcalib.media.splits import stratified, warn_of_test

Lists = dict[str, list[Event]]  # by split
Look = Callable[[Path], tuple[Path, ...]]

SUFFIXES = ('.mp4', '.mkv', '.avi', '.mpg', '.flv', '.wav', '.mp3', '.ogg')  # first found wins
VIDEOS = tuple(f'AVE/*{suffix}' for suffix in SUFFIXES)
SOURCES: Mapping[
    str, Mapping[str, tuple[str, ...]]
] = {  # where the files of a modality lie; a pattern without a suffix means folders
    'official': {'audio': VIDEOS, 'visual': VIDEOS},
    'pmr': {'audio': ('Audio-1004-SE/*.pkl',), 'visual': ('Image-01-FPS-SE/*',)},
    'ogm': {
        'audio': ('AVE/audio_spec/*.pkl', 'audio_spec/*.pkl'),
        'visual': ('AVE/visual/*', 'visual/*'),
    },
}
PAIRS = {'train': 'my_train.txt', 'test': 'my_test.txt'}  # of 'ogm'
NAMES = 'stat.txt'
PLACES = ('', 'AVE')  # of these three, below the root


class Found(NamedTuple):
    layout: str
    paths: dict[str, dict[str, Path]]  # by modality, by id


def recognise(root: Path, layout: str, modalities: Sequence[str], guide: str) -> Found:
    """The layout of a folder, and the file or folder of each video.

    Raises:
        FileNotFoundError: no layout is there, or not the one that was asked for.
        ValueError: several.
    """

    @cache
    def look(folder: Path) -> tuple[Path, ...]:
        return tuple(folder.iterdir()) if folder.is_dir() else ()

    asked = [name for name in SOURCES if layout in ('auto', name)]
    found = {name: {m: _all(root, SOURCES[name][m], look) for m in modalities} for name in asked}
    complete = [name for name, files in found.items() if all(files.values())]
    if {'official', 'pmr'} <= set(complete):
        complete.remove('official')  # the others were made from the videos, which are still there
    if len(complete) == 1:
        return Found(complete[0], found[complete[0]])
    counts = [
        f'{name} {m} {SOURCES[name][m][0]}: {len(found[name][m])}'
        for name in asked
        for m in modalities
    ]
    what = f'the folder has several layouts, {complete}' if complete else 'no layout is there'
    text = f'AVE(root={str(root)!r}, layout={layout!r}): {what}. Looked for and found: '
    text += f'{", ".join(counts)}. The folder {_contents(root)}; {guide}'
    raise (ValueError if complete else FileNotFoundError)(text)


def read_lists(root: Path, layout: str, split: str) -> Lists:
    """The events of every split for which there is a list; of 'ogm', there is none for val.

    Raises:
        FileNotFoundError: the list of the split is not there; of 'ogm', one of the two.
        ValueError: a line that is not understood, or a list in use has none.
    """
    if layout != 'ogm':
        if not (path := root / f'{split}Set.txt').is_file():
            raise FileNotFoundError(f'AVE(root={str(root)!r}, split={split!r}) needs {path}')
        lists = {s: read_events(root / f'{s}Set.txt') for s in SPLITS}
        if not lists[split]:
            raise ValueError(f'{path} names no video; a line is {WANTED}')
        return lists
    paths = {s: _find(root, name) for s, name in PAIRS.items()}
    if absent := [PAIRS[s] for s, path in paths.items() if path is None]:
        raise FileNotFoundError(
            f'AVE(root={str(root)!r}, layout={layout!r}) needs {" and ".join(absent)}, there or in '
            f'{root / "AVE"}'
        )
    lists = {s: read_pairs(path) for s, path in paths.items() if path is not None}
    if empty := [paths[s] for s, events in lists.items() if not events]:
        raise ValueError(f'{empty[0]} names no video; a line is {WANTED_PAIR}')
    return lists


def draw_val(lists: Lists, validation: str, fraction: float, seed: int) -> Lists:
    """Two lists as three: val of the same fraction of every class of train, or none.

    Args:
        lists: of train and test.
        validation: 'train'; with 'test', val is left empty, for test stands in for it.
        fraction: of the videos of each class.
        seed: another seed, another part.
    """
    if validation == 'test':
        warn_of_test('AVE')
        return {**lists, 'val': []}
    labels = {event.id: event.label for event in reversed(lists['train'])}
    drawn = stratified(labels, fraction, seed, 'val')
    return {
        'train': [event for event in lists['train'] if event.id not in drawn],
        'val': [event for event in lists['train'] if event.id in drawn],
        'test': lists['test'],
    }


def class_names(
    classes: str | Sequence[str], root: Path, layout: str, lists: Lists
) -> tuple[str, ...]:
    """The official classes for 'ave', what the folder says for 'auto', else the names themselves.

    Raises:
        ValueError: another word, or a line that is not understood.
    """
    if isinstance(classes, str) and classes not in ('ave', 'auto'):
        raise ValueError(f"AVE(classes={classes!r}); possible are 'ave', 'auto' or a list of names")
    if classes == 'auto':
        return _own_classes(root, layout, lists)
    return tuple(' '.join(name.split()) for name in (AVE_CLASSES if classes == 'ave' else classes))


def _own_classes(root: Path, layout: str, lists: Lists) -> tuple[str, ...]:
    """The order of stat.txt, or the sorted labels of Annotations.txt, else of the lists."""
    if layout == 'ogm' and (path := _find(root, NAMES)):
        return read_names(path)
    whole = {event.label for event in read_events(root / 'Annotations.txt')}
    return tuple(sorted(whole or {e.label for events in lists.values() for e in events}))


def _all(root: Path, patterns: Sequence[str], look: Look) -> dict[str, Path]:
    """By id; of several, the first pattern's."""
    files: dict[str, Path] = {}
    for pattern in reversed(patterns):
        place, _, name = pattern.rpartition('/')
        suffix = name.removeprefix('*')
        for path in look(root / place):
            if path.suffix.lower() == suffix if suffix else path.is_dir():
                files[path.stem if suffix else path.name] = path
    return files


def _find(root: Path, name: str) -> Path | None:
    return next((path for place in PLACES if (path := root / place / name).is_file()), None)


def _contents(root: Path) -> str:
    if not root.is_dir():
        return 'is not there'
    return f'holds {sorted(path.name for path in root.iterdir())[:10]}'
