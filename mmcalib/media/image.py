"""One picture of a file."""

from pathlib import Path

import cv2
import numpy as np

from mmcalib.media import MediaError


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright as its EXIF says; grey becomes three equal channels.

    Raises:
        MediaError: no such file, or not a picture that OpenCV can decode.
    """
    try:
        data = np.fromfile(path, np.uint8)  # cv2.imread cannot open every name on every system
    except OSError as error:
        raise MediaError(f'{path}: asked for a picture, but: {error.strerror}') from None
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:  # a size beyond its limits
        picture = None
    if picture is None:
        raise MediaError(f'{path}: asked for a picture, but it cannot be decoded')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def resize(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """(T, H, W, C) -> (T, height, width, C), same type; averaged where both sides shrink.

    Args:
        pictures: bytes or float32, any number of channels; T may be 0.
        height: of the result in pixels.
        width: of the result in pixels.
    """
    shrinks = height <= pictures.shape[1] and width <= pictures.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.empty((len(pictures), height, width, pictures.shape[3]), pictures.dtype)
    for given, made in zip(pictures, resized, strict=True):
        # OpenCV drops a single channel.
        made[:] = cv2.resize(given, (width, height), interpolation=how).reshape(made.shape)
    return resized
