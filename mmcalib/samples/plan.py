"""Which clips a sample has: their names, splits, classes, and which of them are damaged how."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmcalib.samples.sounds import SOUNDS

CATEGORIES = tuple(SOUNDS)
# In this order, because a class meets every second of them in turn (see `_damages`): every second
# one has both modalities and all kinds.
DAMAGES = (
    ('audio', 'noise'),
    ('visual', 'noise'),
    ('visual', 'blank'),
    ('audio', 'blank'),
    ('audio', 'swap'),
    ('visual', 'swap'),
)


class Damage(NamedTuple):
    """What is wrong with one modality of a clip."""

    modality: str  # 'audio' or 'visual'
    kind: str  # 'noise', 'blank' (silence or black frames) or 'swap' (taken from another class)
    source: str = ''  # swap: the class that the modality really shows


class Clip(NamedTuple):
    """One clip; everything that it shows follows from these fields."""

    seed: int
    number: int
    split: str
    damage: Damage | None = None

    @property
    def id(self) -> str:
        """Eleven characters, as video ids have; they do not tell the class."""
        digest = hashlib.sha256(f'mmcalib sample {self.seed} {self.number}'.encode()).digest()
        return base64.urlsafe_b64encode(digest)[:11].decode()

    @property
    def category(self) -> str:
        return CATEGORIES[self.number % len(CATEGORIES)]

    @property
    def span(self) -> tuple[int, int]:
        """Start and end of the event in seconds: 2 to 10 long, as in AVE often the whole clip."""
        rng = self.generator('span')
        length = 10 if rng.random() < 0.4 else int(rng.integers(2, 10))
        start = int(rng.integers(0, 11 - length))
        return start, start + length

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose: what one draws does not move another."""
        return np.random.default_rng((self.seed, self.number, *purpose.encode()))


def plan(seed: int, sizes: Mapping[str, int], corrupted: float) -> list[Clip]:
    """All clips of a sample, split after split, classes in turn.

    In each split a share of `corrupted` (rounded to whole clips) has one damaged modality:
    modalities, kinds and classes equally often, where the numbers divide.
    """
    clips: list[Clip] = []
    for split, size in sizes.items():
        whole = [Clip(seed, len(clips) + k, split) for k in range(size)]
        damages = _damages(
            whole, round(corrupted * size), np.random.default_rng((seed, len(clips)))
        )
        clips += [clip._replace(damage=damages.get(clip.number)) for clip in whole]
    return clips


def _damages(clips: list[Clip], count: int, rng: np.random.Generator) -> dict[int, Damage]:
    """Number of a clip -> its damage, for `count` of the clips."""
    classes = [CATEGORIES[k] for k in rng.permutation(len(CATEGORIES))]
    waiting = {name: [clip for clip in clips if clip.category == name] for name in classes}
    for some in waiting.values():
        rng.shuffle(some)  # type: ignore[arg-type]
    chosen: dict[int, Damage] = {}
    for j in range(count):
        # One step more per 24 = lcm(6, 8) clips: in 48 clips every class meets every damage once.
        turn = j + j // 24
        nearest = (classes[(turn + k) % len(classes)] for k in range(len(classes)))
        clip = waiting[next(name for name in nearest if waiting[name])].pop()
        modality, kind = DAMAGES[j % len(DAMAGES)]
        others = [name for name in CATEGORIES if name != clip.category]
        source = str(clip.generator('source').choice(others)) if kind == 'swap' else ''
        chosen[clip.number] = Damage(modality, kind, source)
    return chosen


def damages(
    labels: Sequence[str], modalities: Sequence[str], share: float, rng: np.random.Generator
) -> dict[int, Damage]:
    """Place of an item -> its damage, for a share of the items; kinds and modalities in turn.

    Args:
        labels: the class of each item; a swap takes a modality of another class.
        modalities: of which one is damaged.
        share: of the items, in [0, 1], rounded to whole items.
        rng: draws which.
    """
    chosen = {}
    kinds = [(m, kind) for kind in ('noise', 'blank', 'swap') for m in modalities]
    for turn, place in enumerate(rng.permutation(len(labels))[: round(share * len(labels))]):
        modality, kind = kinds[turn % len(kinds)]
        others = sorted({label for label in labels if label != labels[place]})
        source = str(rng.choice(others)) if kind == 'swap' and others else ''
        chosen[int(place)] = Damage(modality, kind if source or kind != 'swap' else 'noise', source)
    return chosen
