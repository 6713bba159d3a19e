"""Parts of a data set that nobody has published a list for: seeded, and stable.

Names are ordered by a hash of seed and name, so that a name that is added or removed moves at most
one other name per class, on every machine.
"""

import logging
from collections.abc import Iterable, Mapping
from hashlib import sha256

from mmengine.logging import print_log


def shuffled(names: Iterable[str], seed: int, part: str) -> list[str]:
    """The names, each once, in an order that depends on seed, part and the names only."""
    return sorted(set(names), key=lambda n: (sha256(f'{seed}/{part}/{n}'.encode()).digest(), n))


def stratified(labels: Mapping[str, str], fraction: float, seed: int, part: str) -> set[str]:
    """The names of a part that holds the same fraction of every class, rounded, at least one.

    Args:
        labels: the class of each name.
        fraction: of each class, below 1; a class of one name gives none.
        seed: another seed, another part.
        part: what it is for: the parts of two words are independent.
    """
    members: dict[str, list[str]] = {}
    for name, label in labels.items():
        members.setdefault(label, []).append(name)
    return {
        name
        for group in members.values()
        for name in shuffled(group, seed, part)[: _count(len(group), fraction)]
    }


def whole_groups(groups: Mapping[str, str], fraction: float, seed: int, part: str) -> set[str]:
    """The names of a part made of whole groups (speakers, scenes): a fraction of the groups.

    Args:
        groups: the group of each name.
        fraction: of the groups, below 1; rounded, at least one of them.
        seed: another seed, another part.
        part: what it is for: the parts of two words are independent.
    """
    order = shuffled(groups.values(), seed, part)
    taken = set(order[: _count(len(order), fraction)])
    return {name for name, group in groups.items() if group in taken}


def digest(names: Iterable[str]) -> str:
    """16 letters that tell one list of names from another."""
    return sha256('\n'.join(names).encode()).hexdigest()[:16]


def warn_of_test(owner: str) -> None:
    """Say that checkpoints are going to be selected on the test split."""
    text = f"{owner}(validation='test') selects checkpoints on the test split"
    print_log(text, logger='current', level=logging.WARNING)


def _count(size: int, fraction: float) -> int:
    return min(max(round(fraction * size), 1), size - 1) if fraction > 0 else 0
