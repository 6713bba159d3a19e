"""Anybody's own data, named by one table."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from mmcalib.contract import Draw
from mmcalib.media import MediaError
from mmcalib.media.cache import open_files
from mmcalib.media.choices import check_choices
from mmcalib.media.features import as_tokens, read_features
from mmcalib.media.film import Video
from mmcalib.media.image import read_image
from mmcalib.media.items import gather, report_absent, transformed
from mmcalib.media.table import SPAN, Row, read_seconds, read_table
from mmcalib.media.targets import TASKS, read_targets
from mmcalib.registry import DATASETS, TRANSFORMS

NAMES = ('manifest.csv', 'manifest.tsv', 'manifest.jsonl', 'manifest.npz')
READS = {  # how a modality is read, and the suffixes by which that is recognised
    'audio': ('.wav', '.mp3', '.flac', '.ogg', '.opus', '.m4a', '.aac', '.wma'),
    'video': ('.mp4', '.mkv', '.avi', '.mov', '.webm', '.mpg', '.mpeg', '.flv', '.m4v'),
    'image': ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff'),
    'features': ('.npy', '.npz', '.pt', '.pth'),
    'inline': (),  # numbers in the cell itself
}
BY_SUFFIX = {suffix: read for read, suffixes in READS.items() for suffix in suffixes}
CHOICES = {
    'task': TASKS,
    'unlabelled': ('raise', 'drop'),
    'leaks': ('warn', 'raise'),
    'on_error': ('missing', 'raise'),
}
KEYS = ('id', 'target', 'split', *SPAN)
GUIDE = 'docs/your_data.md describes the table'
UNUSED = np.random.default_rng(0)


class Source(NamedTuple):
    """Where a modality comes from; its fields are what a config may say of one."""

    column: str = ''
    read: str = ''
    rate_hz: int = 16_000
    frames: int = 1
    key: str | None = None
    transforms: Sequence[Mapping[str, Any]] = ()
    train_transforms: Sequence[Mapping[str, Any]] | None = None


@DATASETS.register_module()
class Manifest(Dataset):
    """Samples of a table: their target, their split, and a file or numbers per modality.

    The table is CSV, JSON lines or NPZ (one array per column). It has the columns `id`, `target`,
    `split` and one per modality; paths are relative to its folder. `start_s` and `end_s`, where
    they are filled, cut sound and video. An item's sound is one token, x (1, ...), a picture too, a
    video one token per frame, x (frames, ...), features one per row, x (L, D).

    Missing: an empty cell is a missing modality; so is a file that is absent, corrupt, of another
    width than the others, or not finite, and `unreadable` says why. Both are counted.

    Args:
        root: the table, or a folder with one `manifest.{csv,tsv,jsonl,npz}`.
        split: one of the values of the column `split`.
        modalities: names in order, or names to what is particular about each: `column` (default:
            the name), `read` ('audio', 'video', 'image', 'features', 'inline'; default: what the
            suffixes say), `transforms`, `train_transforms` (instead of these, in training),
            `rate_hz` of sound (16 000), `frames` of a video (1), `key` within a feature file.
        task: 'classification' (one label), 'multilabel' (labels joined by '|', or a list; none is
            allowed) or 'regression' (a number, or several).
        classes: the labels in the order of their numbers; None: the sorted labels of split 'train',
            whole numbers by value. Where they are names and all targets are whole numbers, these
            are places in the list.
        columns: other names of `id`, `target`, `split`, `start_s`, `end_s`.
        group: a column, such as a speaker's name, whose values two splits must not share.
        unlabelled: a sample of this split without a target (or with NaN): 'raise', or 'drop' it.
        leaks: of ids, groups or files that other splits have too: 'warn' or 'raise'.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
        training: use `train_transforms` and a random frame of each part of a video; None: in split
            'train' only.
        media: `fps`, `side` and `cache`: which frames of videos there are, how large, and where
            they and sound lie decoded (docs/cache.md).

    Raises:
        FileNotFoundError: no table, or more than half of the files of a modality are absent.
        ValueError: an unknown choice, column, split or label; a line that is not understood; an id
            that a split has twice; a modality that nothing can be read of.
    """

    METAINFO: Mapping[str, Any] = {'name': 'Manifest'}

    def __init__(
        self,
        root: str | Path,
        split: str,
        modalities: Sequence[str] | Mapping[str, Mapping[str, Any]],
        task: str = 'classification',
        classes: Sequence[str] | None = None,
        columns: Mapping[str, str] = {},
        group: str | None = None,
        unlabelled: str = 'raise',
        leaks: str = 'warn',
        on_error: str = 'missing',
        training: bool | None = None,
        media: Mapping[str, Any] = {},
    ) -> None:
        chosen = {'task': task, 'unlabelled': unlabelled, 'leaks': leaks, 'on_error': on_error}
        check_choices('Manifest', chosen, CHOICES)
        if unknown := sorted(columns.keys() - set(KEYS)):
            raise ValueError(f'Manifest(columns=...) names {unknown}; possible are {KEYS}')
        self.path = _find(Path(root))
        self.files = open_files(self.path.parent, **media)
        self.on_error = on_error
        self.training = split == 'train' if training is None else training
        table = read_table(self.path)
        self.columns = dict(zip(KEYS, KEYS, strict=True)) | dict(columns)
        sources = _sources(modalities)
        needed = [self.columns[key] for key in ('id', 'target', 'split')]
        needed += [s.column for s in sources.values()] + list(columns.values())
        _require(self.path, [*needed, *([group] if group else [])], table.columns)
        self.sources = {m: self._recognise(m, s, table.rows) for m, s in sources.items()}
        splits = self._splits(table.rows)
        if split not in splits:
            closest = _closest(split, splits)
            raise ValueError(f'Manifest(split={split!r}); {self.path} has {list(splits)}{closest}')
        targets = read_targets(splits, self.columns['target'], task, classes)
        for row in table.rows:
            self._span(row)
        self._keep(split, splits[split], targets.by_split[split], unlabelled)
        self.transforms = {m: [TRANSFORMS.build(c) for c in self._configs(m)] for m in sources}
        counts: dict[str, Any] = {'listed': len(splits[split]), 'kept': len(self.rows)}
        counts['shared'] = self._check_leaks(split, splits, group, leaks)
        counts |= self._count(split)
        self.shapes = {m: self._shape(m, table.rows) for m in sources}
        self.metainfo = {**self.METAINFO, **chosen, 'split': split, 'modalities': tuple(sources)}
        self.metainfo.update(manifest=self.path.name, shapes=self.shapes, counts=counts)
        self.metainfo['reads'] = {m: source.read for m, source in self.sources.items()}
        if task != 'regression':
            self.metainfo['classes'] = targets.classes

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key])
        row = self.rows[draw.sample]
        name = self.ids[draw.sample]

        def load(modality: str) -> Tensor | None:
            if self.sources[modality].column not in row.cells:
                return None
            # By name, so that a modality is drawn alike whatever else is read. To seed a generator
            # takes as long as to read a vector, so only who draws gets one.
            draws = self.transforms[modality] or self.sources[modality].read == 'video'
            generator = draw.generator(stream=crc32(modality.encode())) if draws else UNUSED
            x = self._load(modality, row, generator)
            self._check(modality, x)
            return x

        given = gather(self.shapes, load, self.on_error, f'{name} ({row.place})')
        return {**given._asdict(), 'target': self.targets[draw.sample], 'id': name}

    def _load(self, modality: str, row: Row, generator: np.random.Generator) -> Tensor:
        source = self.sources[modality]
        array = self._read(source, row, generator)
        return transformed(array, self.transforms[modality], generator, source.read == 'audio')

    def _read(self, source: Source, row: Row, generator: np.random.Generator) -> np.ndarray:
        cell = row.cells[source.column]
        if source.read == 'inline':
            return as_tokens(cell, row.place)
        path = self.path.parent / cell
        if source.read == 'features':
            return read_features(path, source.key)
        if source.read == 'image':
            return read_image(path)[np.newaxis]
        start_s, end_s = self._span(row)
        if source.read == 'audio':
            return self.files.sound(path, source.rate_hz, start_s, end_s)
        film = Video(path, start_s, end_s, self.files.fps)
        return self.files.pictures(film, source.frames, generator if self.training else None)

    def _check(self, modality: str, x: Tensor) -> None:
        """Refuse what would stop a batch, or spoil it."""
        width, expected = tuple(x.shape[1:]), self.shapes[modality][1:]
        if self.sources[modality].read in ('features', 'inline') and width != expected:
            raise MediaError(f'its tokens have the shape {width}, but others {expected}')
        finite = np.isfinite(x.numpy())  # of a small array, a fifth of the time that PyTorch takes
        if not finite.all():
            count = int((~finite).sum())
            raise MediaError(f'{count} of its {x.numel()} values are NaN or infinite')

    def _configs(self, modality: str) -> Sequence[Mapping[str, Any]]:
        source = self.sources[modality]
        if self.training and source.train_transforms is not None:
            return source.train_transforms
        return source.transforms

    def _shape(self, modality: str, rows: Sequence[Row]) -> tuple[int, ...]:
        """Of an absent item: that of the table's first readable one, features with L = 1."""
        source, why = self.sources[modality], 'every cell is empty'
        for row in rows:
            if source.column not in row.cells:
                continue
            try:
                shape = tuple(self._load(modality, row, np.random.default_rng(0)).shape)
            except MediaError as error:
                why = f'the last reason is {error}'
            else:
                return (1, *shape[1:]) if source.read in ('features', 'inline') else shape
        raise ValueError(f'{self.path}: no {modality} of its {len(rows)} rows can be read; {why}')

    def _id(self, row: Row) -> str:
        return str(row.cells[self.columns['id']])

    def _recognise(self, modality: str, source: Source, rows: Sequence[Row]) -> Source:
        """The source, with how it is read, once every cell has been looked at."""
        found: dict[str, Row] = {}
        for row in rows:
            cell = row.cells.get(source.column)
            if cell is None:
                continue
            inline = not isinstance(cell, str) or _is_numbers(cell)
            read = 'inline' if inline else BY_SUFFIX.get(Path(cell).suffix.lower(), '')
            if source.read:
                fits = inline if source.read == 'inline' else isinstance(cell, str)
                read = source.read if fits else ''
            if not read:
                text = f'{row.place}: {modality} is {str(cell)[:60]!r}, with read={source.read!r}; '
                text += 'a cell is a path or numbers, and read=... is needed but for '
                raise ValueError(text + ', '.join(BY_SUFFIX))
            found.setdefault(read, row)
        if len(found) > 1:
            named = ', '.join(f'{read} ({row.place})' for read, row in found.items())
            raise ValueError(f'{modality} holds {named}; one modality is read in one way')
        return source._replace(read=source.read or next(iter(found), 'inline'))

    def _splits(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """The rows of each split, whose ids are checked."""
        splits: dict[str, list[Row]] = {}
        first: dict[tuple[str, str], Row] = {}
        for row in rows:
            for key in ('id', 'split'):
                if self.columns[key] not in row.cells:
                    raise ValueError(f'{row.place}: the cell {self.columns[key]!r} is empty')
            split, name = str(row.cells[self.columns['split']]), self._id(row)
            before = first.setdefault((split, name), row)
            if before is not row:
                again = f'the id {name!r} is in split {split!r} already, at {before.place}'
                raise ValueError(f'{row.place}: {again}')
            splits.setdefault(split, []).append(row)
        return splits

    def _keep(
        self, split: str, rows: list[Row], targets: list[Tensor | None], unlabelled: str
    ) -> None:
        """Store the samples of this split that have a target."""
        without = [row for row, target in zip(rows, targets, strict=True) if target is None]
        if without and unlabelled == 'raise':
            raise ValueError(
                f'{without[0].place}: no target, as in {len(without)} of {len(rows)} rows of split '
                f"{split!r}; unlabelled='drop' leaves them out"
            )
        both = [pair for pair in zip(rows, targets, strict=True) if pair[1] is not None]
        if not both:
            raise ValueError(f'{self.path}: no row of split {split!r} has a target')
        self.rows = [row for row, _ in both]
        self.targets = [target for _, target in both]
        self.ids = [self._id(row) for row in self.rows]
        shapes = {tuple(t.shape): row.place for row, t in both if t is not None}
        if len(shapes) > 1:
            raise ValueError(f'Targets of one shape are needed, but these are there: {shapes}')

    def _span(self, row: Row) -> tuple[float, float]:
        """Start and end in seconds; without cells, the whole file."""
        cells = {key: row.cells.get(self.columns[key]) for key in SPAN}
        return read_seconds(cells, f'{row.place}: ')

    def _files(self, modality: str, rows: Sequence[Row]) -> list[str]:
        source = self.sources[modality]
        if source.read == 'inline':
            return []
        return [row.cells[source.column] for row in rows if source.column in row.cells]

    def _check_leaks(
        self, split: str, splits: Mapping[str, Sequence[Row]], group: str | None, leaks: str
    ) -> dict[str, int]:
        """How many ids, groups and files of this split another split also has."""

        def values(rows: Sequence[Row]) -> dict[str, set[str]]:
            named = {'id': {self._id(row) for row in rows}}
            if group:
                named[group] = {str(row.cells[group]) for row in rows if group in row.cells}
            return named | {f'{m} file': set(self._files(m, rows)) for m in self.sources}

        mine, notes = values(self.rows), []
        shared: dict[str, int] = {}
        for other, rows in splits.items():
            for what, theirs in values(rows).items() if other != split else ():
                if both := mine[what] & theirs:
                    shared[what] = shared.get(what, 0) + len(both)
                    first = ', '.join(sorted(both)[:3])
                    notes.append(f'{len(both)} times, the {what} is also in {other}: {first}')
        if notes:
            text = f'{self.path}: {split} leaks. {"; ".join(notes)}'
            if leaks == 'raise':
                raise ValueError(text)
            print_log(text, logger='current', level=logging.WARNING)
        return shared

    def _count(self, split: str) -> dict[str, dict[str, int]]:
        """Per modality, how many cells are empty and how many files absent; says so."""
        empty, absent = {}, {}
        for modality, source in self.sources.items():
            files = self._files(modality, self.rows)
            gone = [name for name in files if not (self.path.parent / name).exists()]
            empty[modality] = sum(source.column not in row.cells for row in self.rows)
            if empty[modality]:
                text = f'{split} has no {modality} in {empty[modality]} of {len(self)} rows'
                print_log(f'{self.path}: {text}', logger='current')
            what = f'{modality} files of {split} are not'
            hint = f'paths are relative to {self.path.parent}'
            absent[modality] = report_absent(
                str(self.path), what, gone, len(files), self.on_error, hint
            )
        return {'empty': empty, 'absent': absent}


def _find(root: Path) -> Path:
    if not root.is_dir():
        if not root.exists():
            raise FileNotFoundError(f'Manifest(root={str(root)!r}): no such file; {GUIDE}')
        return root
    found = [root / name for name in NAMES if (root / name).exists()]
    if len(found) == 1:
        return found[0]
    has = [path.name for path in found] or 'none of them'
    text = f'Manifest(root={str(root)!r}) needs one of {", ".join(NAMES)} there, but has {has}'
    raise FileNotFoundError(f'{text}; {GUIDE}')


def _sources(modalities: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, Source]:
    if isinstance(modalities, str) or not modalities:
        raise ValueError(f'Manifest(modalities={modalities!r}); a list of names, or a dict')
    named = modalities if isinstance(modalities, Mapping) else {name: {} for name in modalities}
    sources = {}
    for name, options in named.items():
        for key in options:
            if key not in Source._fields:
                text = f'Manifest(modalities=...): {name} takes no {key!r}'
                raise ValueError(f'{text}{_closest(key, Source._fields)}: {Source._fields}')
        source = Source(**{'column': name, **options})
        if source.read and source.read not in READS:
            raise ValueError(f'{name}: read={source.read!r}; possible are {tuple(READS)}')
        if source.rate_hz < 1 or source.frames < 1:
            raise ValueError(f'{name}: rate_hz={source.rate_hz}, frames={source.frames}; from 1 on')
        sources[name] = source
    return sources


def _require(path: Path, needed: Sequence[str], columns: Sequence[str]) -> None:
    if absent := [column for column in dict.fromkeys(needed) if column not in columns]:
        asked = '; '.join(f'no column {name!r}{_closest(name, columns)}' for name in absent)
        raise ValueError(f'{path}: {asked}. It has {list(columns)}; {GUIDE}')


def _closest(name: str, names: Iterable[str]) -> str:
    match = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f', did you mean {match[0]!r}?' if match else ''


def _is_numbers(text: str) -> bool:
    try:
        return bool(as_tokens(text, '').size)
    except MediaError:
        return False
