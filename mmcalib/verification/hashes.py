"""Fingerprints of inputs, and pictures that look alike, in time linear in their number."""

import hashlib
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

BITS = 64
DISTANCE = 4  # of 64 bits; of two unrelated hashes, one pair in 10^13 is that close
BLOCK = 1024  # hashes of one bucket that are compared with each other


_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


class Pair(NamedTuple):
    """Two pictures of different splits that look alike."""

    first: int
    second: int
    distance: int


class Alike(NamedTuple):
    """All such pairs; of each picture only the nearest."""

    pairs: list[Pair]
    complete: bool  # False: buckets were so full that some pairs may be missing


def digest(x: np.ndarray) -> bytes:
    """SHA-256 of an array: its numbers, their type and their shape."""
    head = f'{x.dtype} {x.shape} '.encode()
    return hashlib.sha256(head + np.ascontiguousarray(x).tobytes()).digest()


def dhash(picture: np.ndarray) -> int:
    """64 bits of a picture (C, H, W): is each of 8 x 8 cells darker than the one to its right?

    The difference hash of N. Krawetz, "Kind of Like That", 2013. Brightness and contrast do not
    matter, nor does the size.
    """
    grey = picture.astype(np.float32).mean(axis=0)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = (small[:, 1:] > small[:, :-1]).flatten()
    return int(np.packbits(bits).view('>u8')[0])


def near(hashes: np.ndarray, splits: np.ndarray, distance: int = DISTANCE) -> Alike:
    """Each picture's nearest one of another split, if it differs in at most `distance` bits.

    The bits are cut into `distance` + 1 bands: hashes that close agree in one of them. So only
    hashes that share a band are compared; a fuller bucket than `BLOCK` in blocks, in order.

    Args:
        hashes: (N,) uint64.
        splits: (N,) int, which split each is of.
        distance: in bits.
    """
    found: dict[int, tuple[int, int]] = {}  # of a picture: distance and the other one
    complete = True
    edges = np.linspace(0, BITS, distance + 2).astype(int)
    for low, high in pairwise(edges.tolist()):
        keys = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.lexsort((hashes, keys))
        changes = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, changes):
            complete &= len(bucket) <= BLOCK or len(set(splits[bucket])) == 1
            for start in range(0, len(bucket), BLOCK):
                _compare(hashes, splits, bucket[start : start + BLOCK], distance, found)
    pairs = {(min(i, j), max(i, j), bits) for i, (bits, j) in found.items()}
    return Alike([Pair(*pair) for pair in sorted(pairs, key=lambda p: (p[2], *p))], complete)


def _compare(
    hashes: np.ndarray,
    splits: np.ndarray,
    block: np.ndarray,
    distance: int,
    found: dict[int, tuple[int, int]],
) -> None:
    here = splits[block]
    if (here == here[0]).all():
        return
    bits = differing(hashes[block, np.newaxis], hashes[np.newaxis, block])
    bits[here[:, np.newaxis] == here] = BITS + 1
    nearest = bits.argmin(axis=1)
    for i, j, count in zip(block, block[nearest], bits.min(axis=1), strict=True):
        if count <= distance:
            found[int(i)] = min(found.get(int(i), (BITS, -1)), (int(count), int(j)))


def differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Number of bits in which uint64 arrays differ, elementwise."""
    both = np.ascontiguousarray(a ^ b)
    return _ONES[both.view(np.uint16).reshape(*both.shape, 4)].sum(axis=-1, dtype=np.uint8)
