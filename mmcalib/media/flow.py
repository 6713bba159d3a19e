"""Optical flow between pictures, and as bytes."""

import cv2
import numpy as np

from mmcalib.media.image import resize

PRESETS = {
    'ultrafast': cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    'fast': cv2.DISOPTICAL_FLOW_PRESET_FAST,
    'medium': cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
METHODS = ('dis', 'farneback')
# Scale of the pyramid and its levels, window, iterations, neighbourhood and its deviation, flags.
FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)
DIS_SIDE = 12  # pixels; OpenCV refuses smaller pictures
BOUND = 20.0  # pixels per frame


def optical_flow(
    first: np.ndarray, second: np.ndarray, method: str = 'dis', preset: str = 'medium'
) -> np.ndarray:
    """Where each pixel goes: (T, H, W, 2) float32, u to the right and v down, in pixels.

    Of a clip, `optical_flow(frames[:-1], frames[1:])`. Each pair is computed by itself, from grey.
    The published flow of UCF101 is TV-L1 (Zach et al., "A Duality Based Approach for Realtime TV-L1
    Optical Flow", DAGM 2007), which OpenCV's main modules do not have: it is not the same.

    Args:
        first: (T, H, W, 3) uint8 RGB.
        second: the same; `second[t]` comes right after `first[t]`.
        method: 'dis' (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016,
            arXiv:1603.03590) or 'farneback' (Farneback, "Two-Frame Motion Estimation Based on
            Polynomial Expansion", SCIA 2003), with the parameters of OpenCV's example.
        preset: of DIS: 'ultrafast', 'fast' or 'medium', the slowest and the best.

    Raises:
        ValueError: an unknown choice, shapes that differ, or pictures too small for DIS.
    """
    if method not in METHODS or preset not in PRESETS:
        raise ValueError(
            f'optical_flow(method={method!r}, preset={preset!r}); possible are {METHODS} and '
            f'{tuple(PRESETS)}'
        )
    if first.shape != second.shape or first.ndim != 4 or first.shape[3] != 3:
        raise ValueError(
            f'optical_flow of {first.shape} and {second.shape}; needs two times (T, H, W, 3)'
        )
    if method == 'dis' and min(first.shape[1:3]) < DIS_SIDE:
        raise ValueError(
            f'optical_flow of pictures of {first.shape[1]} x {first.shape[2]}; DIS needs '
            f"{DIS_SIDE} pixels on each side, method='farneback' fewer"
        )
    flow = np.empty((*first.shape[:3], 2), np.float32)
    dis = cv2.DISOpticalFlow.create(PRESETS[preset])
    for before, after, made in zip(first, second, flow, strict=True):
        grey, then = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (before, after))
        # None: no flow to begin with, which OpenCV's types do not know.
        if method == 'dis':
            made[:] = dis.calc(grey, then, None)  # type: ignore[call-overload]
        else:
            made[:] = cv2.calcOpticalFlowFarneback(grey, then, None, *FARNEBACK)  # type: ignore[call-overload]
    return flow


def resize_flow(flow: np.ndarray, height: int, width: int) -> np.ndarray:
    """(T, H, W, 2) in pixels -> (T, height, width, 2) in pixels of the new size."""
    scale = np.array([width / flow.shape[2], height / flow.shape[1]], np.float32)
    return resize(flow, height, width) * scale


def flow_to_bytes(flow: np.ndarray, bound: float = BOUND) -> np.ndarray:
    """Pixels in [-bound, bound] -> [0, 255], uint8, as flow is kept in JPEG files; 128 is still.

    The linear map of TSN's tools (Wang et al., "Temporal Segment Networks: Towards Good Practices
    for Deep Action Recognition", ECCV 2016, arXiv:1608.00859), 20 pixels by default; what is beyond
    is cut. `Normalize(mean=[0.5, 0.5], std=[0.5, 0.5])` makes it flow / bound.
    """
    if bound <= 0:
        raise ValueError(f'flow_to_bytes(bound={bound}); it must be positive')
    return np.rint((flow / bound + 1) * 127.5).clip(0, 255).astype(np.uint8)


def flow_from_bytes(coded: np.ndarray, bound: float = BOUND) -> np.ndarray:
    """The inverse, to within bound / 255: uint8 -> float32 in pixels."""
    return (coded / np.float32(127.5) - 1) * np.float32(bound)
