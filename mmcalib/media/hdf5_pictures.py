"""Encoded pictures of an HDF5 file, one JPEG per frame."""

from dataclasses import dataclass
from math import floor, inf
from typing import Any

import cv2
import h5py
import numpy as np

from mmcalib.media import MediaError
from mmcalib.media.film import Film, Pictures, Whole
from mmcalib.media.h5_rows import BROKEN, open_h5


@dataclass(frozen=True)
class Hdf5Pictures(Film):
    """The pictures of an array of encoded bytes, one unit of time each, in their order.

    Args:
        path: of the file.
        key: of the array: (N,) of bytes of any length, or (N, bytes) uint8, padded with zeros.
    """

    key: str = 'video'

    def span(self) -> tuple[float, float]:
        with open_h5(self.path) as file:
            return 0.0, float(len(self._rows(file)))

    def at(self, times: np.ndarray) -> Pictures:
        with open_h5(self.path) as file:
            rows = self._rows(file)
            return [self._picture(rows, min(floor(time), len(rows) - 1)) for time in times]

    def whole(self) -> Whole:
        with open_h5(self.path) as file:
            rows = self._rows(file)
            pictures = [self._picture(rows, place) for place in range(len(rows))]
        return Whole(
            np.arange(len(pictures), dtype=float), pictures, 0.0, float(len(pictures)), inf
        )

    def _rows(self, file: h5py.File) -> Any:
        try:
            local = isinstance(file.get(self.key, getlink=True), h5py.HardLink)
            rows = file[self.key] if local else None
        except BROKEN:
            rows = None
        # Only data of the file itself is read, not what it may link to in others.
        if isinstance(rows, h5py.Dataset) and (rows.is_virtual or rows.external):
            rows = None
        if not isinstance(rows, h5py.Dataset) or not rows.shape or not rows.shape[0]:
            has = sorted(file)[:5]
            raise MediaError(f'{self.path}: asked for pictures {self.key!r}, but it has {has}')
        return rows

    def _picture(self, rows: Any, place: int) -> np.ndarray | MediaError:
        try:
            data = np.frombuffer(np.asarray(rows[place]).tobytes(), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        except (*BROKEN, TypeError, cv2.error):
            picture = None
        if picture is None:
            return MediaError(f'{self.path}: picture {place} cannot be decoded')
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
