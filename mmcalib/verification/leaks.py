"""What two splits share that they should not: names, groups, and content."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mmcalib.media.kinetics_folders import video_id
from mmcalib.media.sentiment_pickles import video
from mmcalib.verification.facts import Record
from mmcalib.verification.hashes import near

TELLING = 64  # numbers from which on two equal inputs are no coincidence


def _action_group(name: str) -> str:
    found = re.match(r'(?:v_)?(.+_g\d+)_', name)
    return found[1] if found else name


GROUPS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    # By the name of a data set: what its groups are, and the group of an id. The items of AVE are
    # whole videos, of which the id itself is the group.
    'CREMAD': ('speaker', lambda name: name.split('_')[0]),
    'UCF101': ('group', _action_group),
    'KineticsSounds': ('video', video_id),
    'MOSI': ('video', video),
    'MOSEI': ('video', video),
}


class Shared(NamedTuple):
    """Something that is in several splits."""

    value: str
    splits: tuple[str, ...]


class Same(NamedTuple):
    """Items with one and the same input."""

    modality: str
    records: list[Record]
    telling: bool  # large enough to be no coincidence


class Near(NamedTuple):
    """Two items of different splits whose middle pictures look alike."""

    modality: str
    first: Record
    second: Record
    distance: int


def shared(names: Mapping[str, Sequence[str]]) -> list[Shared]:
    """What is named in several splits, in order."""
    where: dict[str, dict[str, None]] = defaultdict(dict)
    for split, values in names.items():
        for value in values:
            where[value][split] = None
    return [Shared(v, tuple(splits)) for v, splits in sorted(where.items()) if len(splits) > 1]


def between(found: Sequence[Shared]) -> dict[tuple[str, str], int]:
    """How many each pair of splits shares."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for one in found:
        for pair in combinations(one.splits, 2):
            counts[pair] += 1
    return dict(counts)


def groups(name: str, ids: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, list[str]]]:
    """What the groups of a data set are called, '' if it has none, and those of each split."""
    if name not in GROUPS:
        return '', {}
    what, group = GROUPS[name]
    return what, {split: [group(one) for one in names] for split, names in ids.items()}


def same(records: Sequence[Record]) -> list[Same]:
    """Equal inputs of two splits under two ids; constant ones are left out, as all are alike."""
    buckets: dict[tuple[str, bytes], list[Record]] = defaultdict(list)
    for record in records:
        for modality, facts in record.facts.items():
            if facts.length and not facts.constant:
                buckets[modality, facts.digest].append(record)
    return [
        Same(modality, some, some[0].facts[modality].size >= TELLING)
        for (modality, _), some in buckets.items()
        if len({r.split for r in some}) > 1 and len({r.id for r in some}) > 1
    ]


def alike(records: Sequence[Record], distance: int) -> tuple[list[Near], bool]:
    """Pictures that look alike across splits, under two ids, and are not equal.

    Returns:
        The nearest one of each picture, and whether all were compared.
    """
    found: list[Near] = []
    complete = True
    places = {split: k for k, split in enumerate(dict.fromkeys(r.split for r in records))}
    for modality in dict.fromkeys(m for r in records for m in r.facts):
        seen = [r for r in records if modality in r.facts and _has_look(r, modality)]
        if not seen:
            continue
        looks = np.array([r.facts[modality].look for r in seen], dtype=np.uint64)
        pairs, all_compared = near(looks, np.array([places[r.split] for r in seen]), distance)
        complete &= all_compared
        for i, j, bits in pairs:
            a, b = seen[i], seen[j]
            if a.id != b.id and a.facts[modality].digest != b.facts[modality].digest:
                found.append(Near(modality, a, b, bits))
    return found, complete


def _has_look(record: Record, modality: str) -> bool:
    facts = record.facts[modality]
    return facts.look is not None and not facts.constant
