"""Where data sets get sound and pictures: from files, decoded when they are asked for."""

from pathlib import Path

import numpy as np

from mmcalib.media.audio import read_audio
from mmcalib.media.boxes import check_boxes
from mmcalib.media.film import Film, stack
from mmcalib.media.image import resize
from mmcalib.media.riff import check_riff
from mmcalib.media.video import segment_times


class Files:
    """Decodes from the files themselves.

    Args:
        root: of the data set.
        fps: of a video, only frames of this grid are shown, so many per second from the start of
            the span on; 1 is what published extractions hold. None: every frame.
        side: pictures are scaled until their shorter side has so many pixels; None: as they are.

    Raises:
        ValueError: a number that is not positive.
    """

    def __init__(self, root: str | Path, fps: float | None = None, side: int | None = None) -> None:
        if (fps is not None and fps <= 0) or (side is not None and side < 1):
            raise ValueError(f'media=dict(fps={fps}, side={side}); both are positive, or None')
        self.root, self.fps, self.side = Path(root), fps, side

    def sound(
        self, path: Path, rate_hz: int, start_s: float = 0.0, end_s: float | None = None
    ) -> np.ndarray:
        """(samples,) float32 in [-1, 1], as `read_audio` gives it.

        Raises:
            MediaError: it cannot be read, or a WAV or MP4 file is truncated.
        """
        check_riff(path)
        check_boxes(path)
        return read_audio(path, rate_hz, start_s, end_s)

    def pictures(
        self, film: Film, count: int, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """One picture from each of `count` equal parts of a film: (count, H, W, C) uint8.

        Args:
            film: a video, or a folder of pictures; a short one repeats its pictures.
            count: how many.
            generator: draws the place within each part; without one it is the middle.

        Raises:
            MediaError: a picture cannot be had, or they differ in size.
        """
        return self.scaled(stack(film, film.at(segment_times(*film.span(), count, generator))))

    def scaled(self, pictures: np.ndarray) -> np.ndarray:
        """(T, H, W, C), their shorter side of `side` pixels."""
        height, width = pictures.shape[1:3]
        if self.side is None or self.side == min(height, width):
            return pictures
        scale = self.side / min(height, width)
        size = [max(self.side, round(length * scale)) for length in (height, width)]
        return resize(pictures, *size)
