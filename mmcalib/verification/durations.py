"""How long the sounds and videos of an item are, noted while they are read."""

from pathlib import Path
from typing import Any

import numpy as np

from mmcalib.media.files import Files
from mmcalib.media.film import Film, Video


class Clock:
    """Reads as the files of a data set do; `seconds` has the last 'sound' and 'video', by kind.

    The time is that of the span that is read. A folder of pictures has none, and of a video in a
    cache it is not asked.
    """

    def __init__(self, files: Any) -> None:
        self.files, self.fps = files, files.fps
        self.seconds: dict[str, float] = {}

    def sound(
        self, path: Path, rate_hz: int, start_s: float = 0.0, end_s: float | None = None
    ) -> np.ndarray:
        samples = self.files.sound(path, rate_hz, start_s, end_s)
        self.seconds['sound'] = len(samples) / rate_hz
        return samples

    def pictures(
        self, film: Film, count: int, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        pictures = self.files.pictures(film, count, generator)
        if isinstance(film, Video) and type(self.files) is Files:
            start_s, end_s = film.span()
            self.seconds['video'] = end_s - start_s
        return pictures

    def scaled(self, pictures: np.ndarray) -> np.ndarray:
        return self.files.scaled(pictures)
