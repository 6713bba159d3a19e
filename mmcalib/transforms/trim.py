"""A limit on the number of tokens."""

import numpy as np

from mmcalib.registry import TRANSFORMS

KEEP = ('start', 'end', 'random')


@TRANSFORMS.register_module()
class Trim:
    """Cut a sequence to at most so many tokens. `collate` pads, to the longest of a batch.

    Args:
        length: the most tokens that stay.
        keep: which: 'start', 'end' (for files that are padded in front), or 'random', a part that
            is drawn anew each time.
    """

    def __init__(self, length: int = 50, keep: str = 'start') -> None:
        if length < 1 or keep not in KEEP:
            raise ValueError(f'Trim(length={length}, keep={keep!r}); at least 1, and one of {KEEP}')
        self.length, self.keep = length, keep

    def __call__(self, tokens: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(L, ...) -> (at most length, ...)."""
        extra = max(0, len(tokens) - self.length)
        place = generator.random() if self.keep == 'random' else 0.0
        start = extra if self.keep == 'end' else int(place * (extra + 1))
        return tokens[start : start + self.length]
