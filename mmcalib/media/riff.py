"""Whether a WAV file is whole; FFmpeg plays a truncated one without a word."""

from pathlib import Path

from mmcalib.media import MediaError

SLACK_BYTES = 1024  # headers that count a chunk or a padding byte too much are around
STREAMED = (0, 0xFFFFFFFF)  # what a writer that could not seek back leaves


def check_riff(path: str | Path) -> None:
    """Pass a file that is as long as its header says, and whatever is no RIFF file.

    Raises:
        MediaError: no such file, or more than 1024 bytes are missing.
    """
    try:
        size = Path(path).stat().st_size
        with Path(path).open('rb') as file:
            head = file.read(8)
    except OSError as error:
        raise MediaError(f'{path}: asked for sound, but: {error.strerror}') from None
    says = int.from_bytes(head[4:], 'little')
    if head[:4] == b'RIFF' and says not in STREAMED and size + SLACK_BYTES < says + 8:
        raise MediaError(
            f'{path}: asked for sound, but it is truncated: {size} bytes of {says + 8}'
        )
