"""One random crop for all frames of a clip."""

from math import exp, sqrt

import numpy as np

from mmcalib.media.image import resize
from mmcalib.registry import TRANSFORMS

TRIES = 10  # then the largest centred crop, as torchvision does


@TRANSFORMS.register_module()
class RandomResizedCrop:
    """Cut a random box, the same of every frame, and resize it to a square.

    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; the distribution of the box is
    torchvision's: area uniform, aspect ratio uniform in its logarithm, place uniform.

    Args:
        size: height and width of the result in pixels.
        scale: least and most share of the frame's area.
        ratio: least and most width over height of the box.
    """

    def __init__(
        self,
        size: int = 224,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        if not (size > 0 and 0 < scale[0] <= scale[1] <= 1 and 0 < ratio[0] <= ratio[1]):
            raise ValueError(
                f'RandomResizedCrop(size={size}, scale={scale}, ratio={ratio}); the size and the '
                'ratios must be positive, scales in (0, 1], and each pair ascending'
            )
        self.size = size
        self.scale = scale
        self.ratio = ratio

    def __call__(self, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(T, H, W, C) uint8 -> (T, size, size, C) uint8."""
        top, left, height, width = self.box(frames.shape[1], frames.shape[2], generator)
        cut = frames[:, top : top + height, left : left + width]
        return resize(cut, self.size, self.size)

    def box(
        self, height: int, width: int, generator: np.random.Generator
    ) -> tuple[int, int, int, int]:
        """Top, left, height and width in pixels of a box within a frame."""
        # All draws at once, and tests before rounding: modalities that draw from equal generators
        # get the same part of frames of different sizes, and draw alike afterwards.
        for draws in generator.random((TRIES, 4)):
            area = height * width * float(np.interp(draws[0], (0, 1), self.scale))
            ratio = exp(float(np.interp(draws[1], (0, 1), np.log(self.ratio))))
            if area <= height * height * ratio and area * ratio <= width * width:
                h, w = max(1, round(sqrt(area / ratio))), max(1, round(sqrt(area * ratio)))
                return int(draws[2] * (height - h + 1)), int(draws[3] * (width - w + 1)), h, w
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        h = min(height, max(1, round(width / ratio)))
        w = min(width, max(1, round(height * ratio)))
        return (height - h) // 2, (width - w) // 2, h, w
