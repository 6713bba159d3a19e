"""Another order of axes."""

import numpy as np
from einops import EinopsError, rearrange
from einops.parsing import ParsedExpression

from mmcalib.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Rearrange:
    """Reorder, join or drop axes, as an encoder wants them.

    Args:
        pattern: of einops. 'c t f -> c f t' turns `Fbank` for `ResNet(tokens='time')`, whose
            columns are time steps; '1 t f -> t f' drops its channel, as a spectrogram transformer
            reads it.
    """

    def __init__(self, pattern: str) -> None:
        sides = pattern.split('->')
        try:
            left, right = (ParsedExpression(side) for side in sides)
        except (ValueError, EinopsError) as error:
            raise ValueError(
                f'Rearrange(pattern={pattern!r}) is not a pattern such as "c t f -> c f t": {error}'
            ) from None
        if left.identifiers != right.identifiers:
            differ = sorted(left.identifiers ^ right.identifiers)
            raise ValueError(f'Rearrange(pattern={pattern!r}) has {differ} on one side only')
        self.pattern = pattern

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Any array of as many axes as the pattern has -> the same values."""
        return rearrange(array, self.pattern)
