"""Fingerprints against pictures and bits that are known."""

from itertools import pairwise

import numpy as np
import pytest

from mmcalib.verification import hashes
from mmcalib.verification.hashes import dhash, differing, digest, near


def brute(values, splits, distance):
    """Each one's smallest distance to another split, where it is small enough."""
    found = {}
    for i, a in enumerate(values):
        bits = [
            (int(a) ^ int(b)).bit_count() for j, b in enumerate(values) if splits[j] != splits[i]
        ]
        if bits and min(bits) <= distance:
            found[i] = min(bits)
    return found


def planted(count, seed=0):
    """Hashes of two splits; a third of the second are some of the first with 0 to 7 bits turned."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 1 << 64, 2 * count, dtype=np.uint64)
    for k in range(count // 3):
        value = int(values[k])
        for bit in random.choice(64, k % 8, replace=False):
            value ^= 1 << int(bit)
        values[count + k] = value
    return values, np.repeat([0, 1], count)


def test_the_bits_of_a_picture_say_where_it_gets_brighter_to_the_right():
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8), (3, 80, 90))
    assert dhash(ramp) == (1 << 64) - 1
    assert dhash(ramp[:, :, ::-1]) == 0
    upper = np.concatenate([ramp[:, :40], ramp[:, :40, ::-1]], axis=1)
    assert dhash(upper) == ((1 << 32) - 1) << 32


def test_the_bits_do_not_depend_on_size_brightness_or_contrast():
    cells = np.random.default_rng(0).integers(0, 100, (8, 9)).astype(np.float32)
    small = np.broadcast_to(cells, (3, 8, 9)).repeat(10, 1).repeat(10, 2)
    large = np.broadcast_to(2 * cells + 40, (3, 8, 9)).repeat(30, 1).repeat(30, 2)
    bits = ''.join('01'[int(b > a)] for row in cells for a, b in pairwise(row))
    assert dhash(small) == dhash(large) == int(bits, 2)


def test_a_digest_tells_numbers_type_and_shape():
    x = np.arange(6, dtype=np.float32)
    assert digest(x) == digest(np.arange(12, dtype=np.float32)[:6])
    others = [x.astype(np.float64), x.reshape(2, 3), x.reshape(3, 2), x + 1, x.view(np.int32)]
    assert len({digest(x), *map(digest, others)}) == 6


def test_bits_are_counted():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 1 << 64, (2, 50), dtype=np.uint64)
    expected = [(int(x) ^ int(y)).bit_count() for x, y in zip(a, b, strict=True)]
    assert differing(a, b).tolist() == expected


@pytest.mark.parametrize('distance', [0, 1, 4, 6])
def test_close_pictures_of_other_splits_are_all_found(distance):
    values, splits = planted(150)
    found = near(values, splits, distance)
    least = {}
    for first, second, bits in found.pairs:
        assert splits[first] != splits[second]
        assert (int(values[first]) ^ int(values[second])).bit_count() == bits
        for k in (first, second):
            least[k] = min(least.get(k, 64), bits)
    assert found.complete
    assert least == brute(values, splits, distance)
    assert len(found.pairs) == sum(k % 8 <= distance for k in range(50))


def test_pictures_of_one_split_are_not_compared():
    values = np.full(10, 5, dtype=np.uint64)
    assert near(values, np.zeros(10, int)).pairs == []


def test_of_a_bucket_that_is_too_full_it_is_said_that_pairs_may_be_missing(monkeypatch):
    values, splits = planted(40)
    assert near(values & np.uint64(0xFF), splits).complete
    monkeypatch.setattr(hashes, 'BLOCK', 16)
    crowded = near(values & np.uint64(0xFF), splits)
    assert crowded.pairs and not crowded.complete


def test_cost_grows_with_the_number_and_not_with_its_square(monkeypatch):
    compared = 0

    def counting(a, b):
        nonlocal compared
        compared += a.size * b.size
        return differing(a, b)

    monkeypatch.setattr(hashes, 'differing', counting)
    monkeypatch.setattr(hashes, 'BLOCK', 64)
    costs = []
    for count in (640, 1280):  # all of them alike
        compared = 0
        near(np.zeros(count, np.uint64), np.tile([0, 1], count // 2))
        costs.append(compared)
    assert costs == [5 * 64 * 640, 5 * 64 * 1280]
