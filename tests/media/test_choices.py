"""What is possible is said where something else was given."""

import pytest

from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.splits import digest


def test_a_value_that_is_no_choice_is_refused():
    choices = {'split': ('train', 'test'), 'layout': ('auto',)}
    check_choices('Set', {'split': 'test'}, choices)
    with pytest.raises(ValueError, match=r"Set\(layout='b'\); possible are \('auto',\)"):
        check_choices('Set', {'split': 'test', 'layout': 'b'}, choices)


@pytest.mark.parametrize('wrong', [(), ('text',), ('audio', 'audio')])
def test_modalities_are_some_of_the_possible_ones_each_once(wrong):
    check_modalities('Set', ('visual', 'audio'), ('audio', 'visual'))
    with pytest.raises(ValueError, match=r"Set\(modalities=.*possible are \('audio', 'visual'\)"):
        check_modalities('Set', wrong, ('audio', 'visual'))


def test_a_digest_tells_lists_apart():
    assert digest(['a', 'b']) == '7e18f737311b2dc3'  # sha256sum says so, too
    assert len({digest(['a', 'b']), digest(['b', 'a']), digest(['a'])}) == 3
