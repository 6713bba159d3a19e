"""Resize the frames of a clip."""

import cv2
import numpy as np

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
        """(T, H, W, 3) uint8 -> (T, size, size, 3) uint8."""
        shrinks = self.size <= min(frames.shape[1:3])
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.stack([cv2.resize(f, (self.size, self.size), interpolation=how) for f in frames])
