"""One length for every waveform."""

from math import ceil

import numpy as np

from mmcalib.registry import TRANSFORMS

SHORT = ('tile', 'pad')
LONG = ('start', 'centre', 'random')


@TRANSFORMS.register_module()
class FixLength:
    """Lengthen a waveform that is too short, cut one that is too long.

    Args:
        rate_hz: samples per second of the waveform.
        length_s: the length of every result; one of 0 samples becomes silence.
        short: 'tile' repeats the waveform from its start, 'pad' adds zeros at its end.
        long: which part stays: 'start', 'centre', or 'random', one drawn anew each time.
    """

    def __init__(
        self,
        rate_hz: int = 16_000,
        length_s: float = 10.0,
        short: str = 'tile',
        long: str = 'start',
    ) -> None:
        if short not in SHORT or long not in LONG:
            raise ValueError(
                f'FixLength(short={short!r}, long={long!r}); possible are {SHORT} and {LONG}'
            )
        self.length = round(rate_hz * length_s)
        if self.length < 1:
            raise ValueError(
                f'FixLength(rate_hz={rate_hz}, length_s={length_s}) is {self.length} samples; '
                'it needs at least 1'
            )
        self.short, self.long = short, long

    def __call__(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(samples,) float32 -> (length_s * rate_hz,) float32."""
        place = generator.random() if self.long == 'random' else 0.5 * (self.long == 'centre')
        x = np.asarray(waveform, np.float32)
        if self.short == 'tile' and 0 < len(x) < self.length:
            x = np.tile(x, ceil(self.length / len(x)))[: self.length]
        if len(x) < self.length:
            return np.pad(x, (0, self.length - len(x)))
        extra = len(x) - self.length
        # 0.5 lies on a sample or between two; a draw is uniform over extra + 1 places.
        start = int(place * (extra + (self.long == 'random')))
        return x[start : start + self.length]
