"""One random crop for all frames of a clip."""

from math import exp, log, sqrt

import cv2
import numpy as np

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
        """(T, H, W, 3) uint8 -> (T, size, size, 3) uint8."""
        top, left, height, width = self.box(frames.shape[1], frames.shape[2], generator)
        cut = frames[:, top : top + height, left : left + width]
        how = cv2.INTER_AREA if self.size <= min(height, width) else cv2.INTER_LINEAR
        return np.stack([cv2.resize(f, (self.size, self.size), interpolation=how) for f in cut])

    def box(
        self, height: int, width: int, generator: np.random.Generator
    ) -> tuple[int, int, int, int]:
        """Top, left, height and width in pixels of a box within a frame."""
        for _ in range(TRIES):
            area = height * width * generator.uniform(*self.scale)
            ratio = exp(generator.uniform(log(self.ratio[0]), log(self.ratio[1])))
            h, w = round(sqrt(area / ratio)), round(sqrt(area * ratio))
            if 0 < h <= height and 0 < w <= width:
                top = generator.integers(height - h, endpoint=True)
                left = generator.integers(width - w, endpoint=True)
                return int(top), int(left), h, w
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        h = min(height, max(1, round(width / ratio)))
        w = min(width, max(1, round(height * ratio)))
        return (height - h) // 2, (width - w) // 2, h, w
