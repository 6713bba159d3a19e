"""One page about a data set: what is there, what is missing, what leaks, what selects."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config

from mmcalib.verification import problems, tables
from mmcalib.verification.facts import Record
from mmcalib.verification.hashes import BITS, DISTANCE
from mmcalib.verification.leaks import TELLING
from mmcalib.verification.problems import NOTES, Problem
from mmcalib.verification.splits import Selection, Split, ids, seconds, selection, targets

FIRST = 10  # problems that are told; all are in the CSV


class Report(NamedTuple):
    """What was found."""

    text: str
    problems: list[Problem]
    status: int  # 0: nothing is wrong; 1: something is missing, corrupt or leaks


def report(cfg: Config, splits: Mapping[str, Split], records: Sequence[Record]) -> Report:
    """Put everything together.

    Args:
        cfg: of the run.
        splits: its data sets.
        records: of the items that were read.
    """
    meta = next(iter(splits.values())).data.metainfo
    names = {split: ids(s.data) or _read_ids(records, split) for split, s in splits.items()}
    alike, complete = problems.of_looks(records)
    found = [
        *problems.of_items(records),
        *problems.of_names(meta['name'], names),
        *problems.of_readers(splits),
        *problems.of_content(records),
        *alike,
    ]
    selects = selection(cfg, names, splits)
    wrong = [p for p in found if p.kind not in NOTES]
    status = int(bool(wrong) or selects.wrong)
    sections = {
        'Counts': _counts(splits, records, meta.get('classes')),
        'What the reader counted (zeros are left out)': _reader(splits),
        _title(splits, records): _missing(found, records),
        'Inputs (after the transforms of the test split)': _inputs(splits, records),
        'Leaks between splits': _leaks(found, complete),
        'Selection': [f'  {selects.text}'],
        'Verdict': _verdict(wrong, selects),
    }
    head = [f'{meta["name"]}, {", ".join(map(str, meta["modalities"]))}']
    if cfg.sample_data:
        head += ['SAMPLE DATA: generated clips, which say nothing about the real data set']
    if any('dataset' in cfg[f'{split}_dataloader'].dataset for split in splits):
        head += ['The config takes modalities away (Missing); this is about all that is there']
    lines = [*head, *(line for title, body in sections.items() for line in ('', title, *body))]
    return Report('\n'.join(lines) + '\n', found, status)


def _read_ids(records: Sequence[Record], split: str) -> list[str]:
    return [r.id for r in records if r.split == split and r.target is not None]


def _title(splits: Mapping[str, Split], records: Sequence[Record]) -> str:
    total = sum(len(split.data) for split in splits.values())
    every = 'every item was' if len(records) == total else 'a seeded sample was'
    return f'Missing and corrupt ({every} read once: {len(records)} of {total})'


def _counts(
    splits: Mapping[str, Split], records: Sequence[Record], classes: Sequence[str] | None
) -> list[str]:
    lines = tables.table([['', *splits], ['items', *(len(s.data) for s in splits.values())]])
    known: dict[str, np.ndarray] = {}
    for split, (data, _) in splits.items():
        told = targets(data)
        if told is None:
            told = np.stack(
                [r.target for r in records if r.split == split and r.target is not None]
            )
            lines.append(f'  the targets of {split} are those of the {len(told)} items read')
        known[split] = told
    return [*lines, *(tables.class_table(known, classes) if classes else tables.histogram(known))]


def _reader(splits: Mapping[str, Split]) -> list[str]:
    lines = []
    for split, (data, _) in splits.items():
        counts = _flat(data.metainfo.get('counts', {}))
        told = [f'{name} {count}' for name, count in counts.items() if count]
        lines.append(f'  {split}: {", ".join(told) or "nothing"}')
    return lines


def _flat(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts by name, those by modality too."""
    flat: dict[str, Any] = {}
    for name, value in counts.items():
        inner = value if isinstance(value, Mapping) else {'': value}
        flat |= {f'{name} {key}'.strip(): count for key, count in inner.items()}
    return flat


def _missing(found: Sequence[Problem], records: Sequence[Record]) -> list[str]:
    splits = list(dict.fromkeys(r.split for r in records))
    modalities = list(dict.fromkeys(m for r in records for m in r.facts))
    modalities += ['item'] if any('item' in r.reasons for r in records) else []
    rows: list[list[object]] = [['modality', 'what', *splits]]
    for modality in modalities:
        for kind in ('absent', 'unreadable', 'not finite'):
            hits = [p.split for p in found if (p.kind, p.modality) == (kind, modality)]
            rows.append([modality, kind, *(hits.count(split) for split in splits)])
        empty = [r.split for r in records if _is_empty(r, modality)]
        if empty:
            rows.append([modality, 'empty by the table', *(empty.count(s) for s in splits)])
    bad = [p for p in found if p.kind in ('absent', 'unreadable', 'not finite')]
    return [*tables.table(rows), *_told(bad)]


def _is_empty(record: Record, modality: str) -> bool:
    facts = record.facts.get(modality)
    return facts is not None and not facts.length and modality not in record.reasons


def _told(some: Sequence[Problem]) -> list[str]:
    """The first of some problems, and where the others are."""
    lines = []
    for kind, split, name, modality, detail in some[:FIRST]:
        what = ' '.join(part for part in (kind, modality) if part)
        name = '' if detail.startswith(name) else name
        lines.append(f'    {split}, {what}: {" ".join(part for part in (name, detail) if part)}')
    if len(some) > FIRST:
        lines.append(f'    and {len(some) - FIRST} more in problems.csv')
    return lines


def _inputs(splits: Mapping[str, Split], records: Sequence[Record]) -> list[str]:
    lines = [*tables.numbers(records), '', *tables.lengths(records)]
    lines += _durations(splits, records)
    shapes = [s.data.metainfo.get('shapes', {}) for s in splits.values()]
    for modality in shapes[0]:
        widths = {tuple(shape[modality])[1:] for shape in shapes if modality in shape}
        if len(widths) > 1:
            lines.append(f'  {modality}: the splits train and test with other widths: {widths}')
    return lines


def _durations(splits: Mapping[str, Split], records: Sequence[Record]) -> list[str]:
    of: dict[tuple[str, str], np.ndarray] = {}
    for what, split in product(('sound', 'video'), splits):
        timed = [r.seconds[what] for r in records if r.split == split and what in r.seconds]
        of[f'{what} that was read', split] = np.round(timed, 3)
    if not any(map(len, of.values())):
        of = {('event', split): seconds(data) for split, (data, _) in splits.items()}
    rows = [[*key, *tables.spread(span)] for key, span in of.items() if len(span)]
    head = ['seconds', 'split', 'min', 'median', 'max']
    return ['', *tables.table([head, *rows])] if rows else []


def _leaks(found: Sequence[Problem], complete: bool) -> list[str]:
    lines = []
    kinds = dict.fromkeys(['shared id', *(p.kind for p in found if p.kind.startswith('shared'))])
    small = ['equal but small'] if any(p.kind == 'equal but small' for p in found) else []
    for kind in [*kinds, 'equal content', *small, 'look alike']:
        some = [p for p in found if p.kind == kind]
        lines += [f'  {kind}: {_by_splits(some)}', *_told(some)]
    if small:
        lines.append(
            f'    of fewer than {TELLING} numbers, which may agree by chance: a note, no error'
        )
    at_least = '' if complete else ' At least so many: too many look alike to compare all.'
    lines.append(
        f'    dHash of the middle picture, at most {DISTANCE} of {BITS} bits differ; a '
        f'note, no error,\n    as clips of one scene or a title card look alike by right.{at_least}'
    )
    return lines


def _by_splits(some: Sequence[Problem]) -> str:
    pairs = dict.fromkeys(p.split for p in some)
    counts = {pair: sum(p.split == pair for p in some) for pair in pairs}
    return ', '.join(f'{count} in {pair}' for pair, count in counts.items()) or 'none'


def _verdict(wrong: Sequence[Problem], selects: Selection) -> list[str]:
    kinds = dict.fromkeys(p.kind for p in wrong)
    told = [f'{sum(p.kind == kind for p in wrong)} {kind}' for kind in kinds]
    told += ['the test split selects'] if selects.wrong else []
    return [f'  WRONG: {", ".join(told)}' if told else '  nothing is missing, corrupt or leaks']
