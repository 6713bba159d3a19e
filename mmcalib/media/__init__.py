"""Read audio, video and feature files; nothing here is a data set.

Seconds count from the start of the file, as a player shows them: zero is where the earliest of its
streams begins, whatever time stamp it carries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.stream import Stream

ATTACHED_PICTURE = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC: a cover, not a video


class MediaError(RuntimeError):
    """A file cannot give what was asked; says which file, what was asked, and why."""


class Media(NamedTuple):
    """An open file and one of its streams."""

    container: InputContainer
    stream: Stream
    tick_s: float  # the unit of the stream's time stamps
    zero_s: float  # the time stamp, in seconds, that counts as zero

    def seek(self, to_s: float) -> None:
        """Go to a keyframe before a time, where the container can."""
        self.container.seek(int((to_s + self.zero_s) / self.tick_s), stream=self.stream)

    def frames(self) -> Iterator[Any]:
        """PyAV's frames from here on, less the packets that cannot be decoded."""
        for packet in self.container.demux(self.stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            yield from frames


@contextmanager
def opened(path: str | Path, kind: str, asked: str) -> Iterator[Media]:
    """Open a file and its first stream of a kind.

    Args:
        path: the file.
        kind: 'audio' or 'video'; a cover picture is no video.
        asked: what the caller wants of it; becomes part of the message.

    Raises:
        MediaError: not a readable media file, no such stream, or FFmpeg fails inside the block.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise MediaError(f'{path}: asked for {asked}, but the file is empty')
        # Absolute, since a relative 'a:b.mp4' would name a protocol.
        with av.open(str(Path(path).absolute()), metadata_errors='ignore') as container:
            for stream in container.streams:
                flags = getattr(stream, 'disposition', None)  # not in PyAV 12
                cover = flags is not None and flags.value & ATTACHED_PICTURE
                if stream.type == kind and not cover:
                    tick_s = float(stream.time_base or 0)
                    yield Media(
                        container, stream, tick_s, (container.start_time or 0) / av.time_base
                    )
                    return
            has = sorted({stream.type for stream in container.streams})
            raise MediaError(f'{path}: asked for {asked}, but it has no {kind}, only {has}')
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f'{path}: asked for {asked}, but: {error.strerror}') from None
