"""Names, groups and contents that two splits share."""

import numpy as np
import pytest

from mmcalib.verification.facts import Facts, Record
from mmcalib.verification.leaks import alike, between, groups, same, shared


def record(split, name, content=b'', look=None, size=100, constant=False, length=1):
    facts = Facts((1, size), 'float32', length, True, constant, size, 0, 0, 0, 1, content, look)
    return Record(split, 0, name, np.array(0), {}, {'visual': facts})


def test_names_of_several_splits_are_found():
    found = shared({'train': ['a', 'b', 'b', 'c'], 'val': ['b'], 'test': ['c', 'b', 'd']})
    assert found == [('b', ('train', 'val', 'test')), ('c', ('train', 'test'))]
    assert between(found) == {
        ('train', 'val'): 1,
        ('train', 'test'): 2,
        ('val', 'test'): 1,
    }


@pytest.mark.parametrize(
    ('name', 'item', 'what', 'group'),
    [
        ('CREMAD', '1001_DFA_ANG_XX', 'speaker', '1001'),
        ('UCF101', 'v_Archery_g08_c02', 'group', 'Archery_g08'),
        ('UCF101', 'v_HandstandPushups_g25_c01', 'group', 'HandstandPushups_g25'),
        ('MOSI', '2iD-tVS8NPw$_$25', 'video', '2iD-tVS8NPw'),
        ('MOSI', '2iD-tVS8NPw[25]', 'video', '2iD-tVS8NPw'),
        ('MOSEI', 'a_b$_$3', 'video', 'a_b'),
        ('KineticsSounds', '-0IErS_cisg_000017_000027', 'video', '-0IErS_cisg'),
    ],
)
def test_the_group_of_an_item_is_in_its_id(name, item, what, group):
    assert groups(name, {'train': [item]}) == (what, {'train': [group]})


def test_a_group_of_ucf101_is_one_of_its_class():
    _, of = groups('UCF101', {'train': ['v_Archery_g01_c01'], 'test': ['v_Biking_g01_c01']})
    assert shared(of) == []


def test_other_data_sets_have_no_groups():
    assert groups('AVE', {'train': ['a']}) == ('', {})


def test_equal_content_of_two_splits_is_found_under_two_ids():
    records = [
        record('train', 'a', b'1'),
        record('train', 'b', b'1'),
        record('test', 'c', b'1'),
        record('train', 'd', b'2'),
        record('train', 'e', b'2'),
        record('train', 'f', b'3'),
        record('val', 'f', b'3'),  # told as a shared id
        record('train', 'g', b'4', constant=True),
        record('test', 'h', b'4', constant=True),
        record('train', 'i', b'', length=0),
        record('test', 'j', b'', length=0),
        record('train', 'k', b'5', size=12),
        record('test', 'l', b'5', size=12),
    ]
    found = [(''.join(r.id for r in one.records), one.telling) for one in same(records)]
    assert found == [('abc', True), ('kl', False)]


def test_pictures_that_look_alike_are_found_but_equal_ones_are_told_elsewhere():
    records = [
        record('train', 'a', b'1', look=0),
        record('test', 'b', b'2', look=0b101),
        record('train', 'c', b'3', look=1 << 63),
        record('test', 'd', b'3', look=1 << 63),
        record('train', 'e', b'4', look=0xFFFF0000),
        record('test', 'e', b'5', look=0xFFFF0000),
        record('test', 'f', b'6', look=0xFFFF << 40),
        record('train', 'g', b'7', look=0, constant=True),
    ]
    found, complete = alike(records, distance=4)
    told = {(one.first.id, one.second.id, one.distance) for one in found}
    assert complete
    assert told == {('a', 'b', 2), ('a', 'd', 1)}
