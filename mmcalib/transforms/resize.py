"""Resize the frames of a clip."""

import numpy as np

from mmcalib.media.image import resize
from mmcalib.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Resize:
    """Every frame to a square, whatever its shape was; pixels are averaged where it shrinks.

    Args:
        size: height and width in pixels.
    """

    def __init__(self, size: int = 224) -> None:
        if size < 1:
            raise ValueError(f'Resize(size={size}); it must be positive')
        self.size = size

    def __call__(self, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(T, H, W, C) uint8 -> (T, size, size, C) uint8."""
        return resize(frames, self.size, self.size)
