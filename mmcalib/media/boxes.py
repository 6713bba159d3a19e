"""Whether an MP4 file is whole; FFmpeg plays a truncated one, if its index comes first."""

import os
from pathlib import Path

from mmcalib.media import MediaError

INDEX_AND_MEDIA = (b'moov', b'mdat', b'moof')  # whose end a file must hold
HEAD = 8  # bytes of a size and a kind; less is no size but a sign
LARGE = 1  # the size follows, in eight bytes


def check_boxes(path: str | Path) -> None:
    """Pass an MP4 file whose boxes end within it, and whatever is no MP4 file.

    Raises:
        MediaError: a box of media or of the index ends after the file.
    """
    try:
        with Path(path).open('rb') as file:
            size, start = os.fstat(file.fileno()).st_size, 0
            while start < size:
                file.seek(start)
                head = file.read(16)
                kind, length = head[4:HEAD], int.from_bytes(head[:4], 'big')
                if length == LARGE:
                    length = int.from_bytes(head[HEAD:], 'big')
                if (start == 0 and kind != b'ftyp') or length < HEAD:
                    return  # no MP4, or a box that reaches to the end
                start += length
                if kind in INDEX_AND_MEDIA and start > size:
                    text = f'{path}: asked for media, but it is truncated'
                    raise MediaError(f'{text}: {size} bytes of {start}')
    except OSError:
        return  # whoever opens it says why
