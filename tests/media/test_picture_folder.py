from mmcalib.media.picture_folder import list_pictures


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    for number in range(1, 13):  # without leading zeros: 10 sorts before 2 as text
        (tmp_path / f'f{number}.png').write_text('')
    (tmp_path / 'Thumbs.db').write_text('')
    assert [p.stem for p in list_pictures(tmp_path)] == [f'f{k}' for k in range(1, 13)]
    assert [p.stem for p in list_pictures(tmp_path, 'f1')] == ['f1', 'f10', 'f11', 'f12']
