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
