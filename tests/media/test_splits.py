import math

import pytest

from mmcalib.media.splits import shuffled, stratified, whole_groups

LABELS = {f'{label}{k}': label for label, n in (('a', 40), ('b', 17), ('c', 3)) for k in range(n)}
GROUPS = {f'{actor}_{k}': str(actor) for actor in range(20) for k in range(actor + 1)}


@pytest.mark.parametrize('fraction', [0.0, 0.1, 0.25])
def test_a_stratified_part_has_the_fraction_of_every_class(fraction):
    part = stratified(LABELS, fraction, 0, 'val')
    for label, n in (('a', 40), ('b', 17), ('c', 3)):
        expected = max(1, math.floor(n * fraction + 0.5)) if fraction else 0
        assert sum(LABELS[name] == label for name in part) == expected


def test_a_class_of_one_name_stays_in_train():
    assert stratified({'x': 'rare', 'y': 'often', 'z': 'often'}, 0.5, 0, 'val') < {'y', 'z'}


def test_the_part_is_a_function_of_seed_and_word_not_of_the_order():
    part = stratified(LABELS, 0.25, 0, 'val')
    assert part == stratified(dict(reversed(LABELS.items())), 0.25, 0, 'val')
    assert part != stratified(LABELS, 0.25, 1, 'val')
    assert part != stratified(LABELS, 0.25, 0, 'test')


def test_a_name_less_moves_at_most_one_other():
    part = stratified(LABELS, 0.25, 0, 'val')
    for name in LABELS:
        less = {k: v for k, v in LABELS.items() if k != name}
        assert len((stratified(less, 0.25, 0, 'val') ^ part) - {name}) <= 1


def test_groups_stay_together():
    part = whole_groups(GROUPS, 0.25, 3, 'test')
    taken = {GROUPS[name] for name in part}
    assert len(taken) == 5
    assert part == {name for name, group in GROUPS.items() if group in taken}


def test_the_order_is_one_of_all_names():
    assert sorted(shuffled(['b', 'a', 'b', 'c'], 0, 'x')) == ['a', 'b', 'c']
