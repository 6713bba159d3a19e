"""Which clips are damaged: the share, and modality, kind and class in equal parts."""

from collections import Counter

import pytest

from mmcalib.samples.plan import Clip, plan

SIZES = {'train': 200, 'val': 80, 'test': 80}


@pytest.fixture(scope='module')
def clips() -> list[Clip]:
    return plan(0, SIZES, corrupted=0.3)


@pytest.mark.parametrize('split', SIZES)
def test_in_each_split_classes_and_damages_are_equally_frequent(
    clips: list[Clip], split: str
) -> None:
    mine = [clip for clip in clips if clip.split == split]
    assert set(Counter(clip.category for clip in mine).values()) == {SIZES[split] // 8}
    damaged = [clip for clip in mine if clip.damage]
    assert len(damaged) == 0.3 * SIZES[split]
    pairs = Counter((clip.damage.modality, clip.damage.kind) for clip in damaged if clip.damage)
    assert set(pairs.values()) == {len(damaged) // 6}
    assert {kind for _, kind in pairs} == {'noise', 'blank', 'swap'}
    classes = Counter(clip.category for clip in damaged)
    assert len(classes) == 8
    assert max(classes.values()) - min(classes.values()) <= 1


def test_neither_modality_nor_kind_tells_the_class(clips: list[Clip]) -> None:
    for position, values in enumerate([{'audio', 'visual'}, {'noise', 'blank', 'swap'}]):
        for category in {clip.category for clip in clips}:
            some = [c.damage[position] for c in clips if c.damage and c.category == category]
            assert set(some) == values
            assert max(Counter(some).values()) <= len(some) / len(values) + 3


def test_every_class_meets_every_damage_once_in_48_clips() -> None:
    pairs = Counter((c.category, c.damage[:2]) for c in plan(3, {'train': 48}, 1.0) if c.damage)
    assert len(pairs) == 48


def test_only_a_swap_has_a_source_and_it_is_another_class(clips: list[Clip]) -> None:
    for clip in clips:
        if clip.damage:
            assert bool(clip.damage.source) is (clip.damage.kind == 'swap')
            assert clip.damage.source != clip.category


def test_a_clip_does_not_depend_on_how_many_there_are_or_which_are_damaged() -> None:
    many, few = plan(0, {'train': 16, 'val': 8}, 0.5), plan(0, {'train': 8}, 0.0)
    for a, b in zip(many[:8], few, strict=True):
        assert (a.id, a.category, a.span) == (b.id, b.category, b.span)
        assert a.generator('sound').random() == b.generator('sound').random()


def test_ids_look_like_video_ids_and_are_distinct(clips: list[Clip]) -> None:
    names = [clip.id for clip in clips]
    assert len(set(names)) == len(names)
    allowed = set('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
    assert all(len(name) == 11 and set(name) <= allowed for name in names)
    assert not set(names) & {clip.id for clip in plan(1, SIZES, 0.3)}


def test_a_share_of_one_damages_every_clip_and_none_of_zero_any() -> None:
    assert all(clip.damage for clip in plan(0, {'train': 13}, 1.0))
    assert not any(clip.damage for clip in plan(0, {'train': 13}, 0.0))
