import struct

import pytest
from footage import write

from mmcalib.media import MediaError
from mmcalib.media.boxes import check_boxes
from mmcalib.media.files import Files
from mmcalib.media.film import Video

ORDERS = {
    'media first': {},
    'index first': {'movflags': 'faststart'},
    'in fragments': {'movflags': 'frag_keyframe+empty_moov'},
}


def box(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return struct.pack('>I', 8 + len(content) if size is None else size) + kind + content


FTYP = box(b'ftyp', b'isom')


@pytest.mark.parametrize('order', ORDERS)
def test_a_truncated_film_is_neither_heard_nor_seen(tmp_path, order):
    path = write(tmp_path / 'a.mp4', 1.0, options=ORDERS[order])
    files, film, data = Files(tmp_path), Video(path), path.read_bytes()
    whole = files.sound(path, 16_000), files.pictures(film, 2)
    assert len(whole[0]) > 15_000 and len(whole[1]) == 2
    path.write_bytes(data[: 2 * len(data) // 3])
    for read in (lambda: files.sound(path, 16_000), lambda: files.pictures(film, 2), film.whole):
        with pytest.raises(MediaError, match=r'a\.mp4: .*truncated: \d+ bytes of \d+'):
            read()


@pytest.mark.parametrize(
    ('data', 'why'),
    [
        (FTYP + box(b'mdat', b'12345', 20), '25 bytes of 32'),
        (FTYP + box(b'free', b'') + box(b'moov', b'', 9), '28 bytes of 29'),
        (FTYP + box(b'mdat', struct.pack('>Q', 30), 1), '28 bytes of 42'),
    ],
)
def test_what_is_truncated_says_by_how_much(tmp_path, data, why):
    path = tmp_path / 'a.mp4'
    path.write_bytes(data)
    with pytest.raises(MediaError, match=rf'a\.mp4: asked for media, .*truncated: {why}'):
        check_boxes(path)


@pytest.mark.parametrize(
    'data',
    [
        FTYP + box(b'mdat', b'12345') + box(b'moov', b''),
        FTYP + box(b'mdat', b'12345', 0),
        FTYP + box(b'mdat', struct.pack('>Q', 16), 1),
        FTYP + box(b'moov', b'') + b'\xff\xff\xff\x00tail',
        box(b'mdat', b'', 99),
        b'RIFF' + b'\xff' * 20,
        b'\x00',
        b'',
    ],
)
def test_whole_files_and_other_files_pass(tmp_path, data):
    path = tmp_path / 'a.mp4'
    path.write_bytes(data)
    check_boxes(path)
    check_boxes(tmp_path / 'none.mp4')
    check_boxes(tmp_path)
