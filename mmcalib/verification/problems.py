"""Every single thing that is wrong, as rows of a table."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmcalib.verification import leaks
from mmcalib.verification.facts import Record
from mmcalib.verification.hashes import DISTANCE
from mmcalib.verification.splits import Split

ABSENT = re.compile('no such file', re.IGNORECASE)
# Not wrong by itself: a data set may hold black clips, and pictures of one scene.
NOTES = ('constant', 'look alike', 'equal but small')


class Problem(NamedTuple):
    """One row."""

    kind: str
    split: str
    id: str
    modality: str
    detail: str


def of_items(records: Sequence[Record]) -> Iterator[Problem]:
    """What is absent, unreadable, not finite or constant."""
    for record in records:
        split, name = record.split, record.id
        for modality, reason in record.reasons.items():
            kind = 'absent' if ABSENT.search(reason) else 'unreadable'
            yield Problem(kind, split, name, modality, reason)
        for modality, seen in record.facts.items():
            if not seen.finite:
                yield Problem('not finite', split, name, modality, 'holds NaN or infinity')
            if seen.constant:
                yield Problem('constant', split, name, modality, f'all numbers are {seen.low:g}')


def of_names(name: str, ids: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Ids and groups that several splits have."""
    for value, splits in leaks.shared(ids):
        yield Problem('shared id', '+'.join(splits), value, '', '')
    what, groups = leaks.groups(name, ids)
    for value, splits in leaks.shared(groups):
        yield Problem(f'shared {what}', '+'.join(splits), value, '', '')


def of_readers(splits: Mapping[str, Split]) -> Iterator[Problem]:
    """What a reader counted itself: groups and files that only its table names."""
    for split, (data, _) in splits.items():
        counted: Any = data.metainfo.get('counts', {}).get('shared', {})
        for what, count in counted.items() if isinstance(counted, Mapping) else ():
            if what != 'id':  # these are counted one by one
                text = f'{count} times, the {what} is also in another split'
                yield Problem(f'shared {what}', split, '', '', text)


def of_content(records: Sequence[Record]) -> Iterator[Problem]:
    """Equal inputs of several splits."""
    for modality, some, telling in leaks.same(records):
        kind = 'equal content' if telling else 'equal but small'
        splits = '+'.join(dict.fromkeys(r.split for r in some))
        named = ' = '.join(f'{r.id} ({r.split})' for r in some[1:4])
        more = f' and {len(some) - 4} more' if len(some) > 4 else ''
        yield Problem(kind, splits, some[0].id, modality, f'= {named}{more}')


def of_looks(records: Sequence[Record]) -> tuple[list[Problem], bool]:
    """Pictures that look alike across splits, and whether all were compared."""
    near, complete = leaks.alike(records, DISTANCE)
    rows = []
    for modality, a, b, bits in near:
        text = f'and {b.id} ({b.split}), {bits} bits'
        rows.append(Problem('look alike', f'{a.split}+{b.split}', a.id, modality, text))
    return rows, complete


def write(problems: Sequence[Problem], path: Path) -> None:
    """All of them, as CSV."""
    with path.open('w', newline='') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(Problem._fields)
        table.writerows(problems)
