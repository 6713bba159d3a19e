"""Mirror a clip."""

import numpy as np

from mmcalib.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomFlip:
    """Swap left and right, in all frames of a clip or in none.

    Args:
        prob: how often, in [0, 1].
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomFlip(prob={prob}); it must be in [0, 1]')
        self.prob = prob

    def __call__(self, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(T, H, W, 3) -> the same shape."""
        return frames[:, :, ::-1] if generator.random() < self.prob else frames
