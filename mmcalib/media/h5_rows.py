"""Rows of an array in an HDF5 file, read one at a time."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mmcalib.media import MediaError

BROKEN = (OSError, RuntimeError, KeyError, ValueError)  # what h5py raises on broken bytes


class H5Rows:
    """An array of numbers (N, ...), of which rows are read when they are asked for.

    Each process opens the file for itself: a handle survives neither a fork nor pickling. Only data
    of the file itself is read, not what it may link to in others.

    Args:
        path: of the file.
        key: of the array.

    Raises:
        FileNotFoundError: no such file.
        MediaError: no HDF5 file, cut off, no such array, or not numbers.
    """

    def __init__(self, path: str | Path, key: str) -> None:
        self.path, self.key = Path(path), key
        self._opened: tuple[int, Any] | None = None
        if not self.path.is_file():
            raise FileNotFoundError(f'{self.path}: no such file')
        with self._open() as file:
            self.shape: tuple[int, ...] = self._array(file).shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_opened': None}

    def row(self, place: int) -> np.ndarray:
        """One row, float32.

        Raises:
            MediaError: its bytes are damaged, or it holds NaN or infinity.
        """
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._array(self._open())
        try:
            values = self._opened[1][place].astype(np.float32)
        except BROKEN as error:
            raise MediaError(f'{self.path}: row {place} cannot be read: {error}') from None
        if not np.isfinite(values).all():
            raise MediaError(f'{self.path}: row {place} holds NaN or infinity')
        return values

    def all(self) -> np.ndarray:
        """The whole array.

        Raises:
            MediaError: its bytes are damaged.
        """
        with self._open() as file:
            array = self._array(file)
            try:
                return np.asarray(array[()])
            except BROKEN as error:
                raise MediaError(f'{self.path}: {self.key!r} cannot be read: {error}') from None

    def _open(self) -> h5py.File:
        return open_h5(self.path)

    def _array(self, file: h5py.File) -> Any:
        try:
            link = file.get(self.key, getlink=True)
            array: Any = file[self.key] if isinstance(link, h5py.HardLink) else link
            has = f'the file holds {sorted(file)}' if link is None else f'it is {array}'
        except BROKEN as error:
            raise MediaError(f'{self.path}: asked for {self.key!r}, but: {error}') from None
        plain = isinstance(array, h5py.Dataset) and array.ndim and array.dtype.kind in 'biuf'
        if not plain or array.external or array.is_virtual:
            raise MediaError(f'{self.path}: asked for an array of numbers {self.key!r}, but {has}')
        return array


def open_h5(path: Path) -> h5py.File:
    """An HDF5 file, to read.

    Raises:
        MediaError: it is none.
    """
    try:
        return h5py.File(path, 'r')
    except BROKEN as error:
        raise MediaError(f'{path}: asked for HDF5, but: {error}') from None
