"""Mirror a clip."""

import numpy as np

from mmcalib.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomFlip:
    """Swap left and right, in all frames of a clip or in none.

    Args:
        prob: how often, in [0, 1].
        flow: channels are optical flow, u and v in turns: what went right then goes left. Of bytes
            (0 is -bound, 255 is bound) u becomes 255 - u, of floats -u.
    """

    def __init__(self, prob: float = 0.5, flow: bool = False) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomFlip(prob={prob}); it must be in [0, 1]')
        self.prob, self.flow = prob, flow

    def __call__(self, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(T, H, W, C) -> the same shape."""
        if self.flow and frames.shape[3] % 2:
            raise ValueError(
                f'RandomFlip(flow=True) was given {frames.shape[3]} channels; flow has u and v in '
                'turns, an even number'
            )
        if generator.random() >= self.prob:
            return frames
        mirrored = frames[:, :, ::-1]
        if not self.flow:
            return mirrored
        mirrored = mirrored.copy()
        u = mirrored[..., ::2]
        mirrored[..., ::2] = 255 - u if frames.dtype == np.uint8 else -u
        return mirrored
