"""Standardisation against numpy on all tokens at once."""

import numpy as np
import pytest

from mmcalib.transforms.standardise import Standardise, statistics

RNG = np.random.default_rng(0)


def sequences() -> list[np.ndarray]:
    """Lengths 0 to 6, features of very different scales, one of them constant."""
    scale, shift = np.array([1.0, 1e-3, 1e4, 0.0]), np.array([0.0, 1e3, -5.0, 3.0])
    return [RNG.normal(size=(length, 4)) * scale + shift for length in (0, 1, 6, 2, 5)]


def test_statistics_are_those_of_all_tokens():
    given = sequences()
    tokens = np.concatenate(given)
    mean, std, count = statistics(iter(given))
    np.testing.assert_allclose(mean, tokens.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(std, tokens.std(axis=0), rtol=1e-6, atol=1e-12)
    assert count.tolist() == [14] * 4


def test_values_that_are_not_finite_are_left_out_of_the_statistics():
    given = [np.array([[1.0, np.nan], [3.0, np.inf]]), np.array([[-np.inf, np.nan], [8.0, np.nan]])]
    mean, std, count = statistics(given)
    assert count.tolist() == [3, 0]
    np.testing.assert_allclose(mean, [4.0, 0.0])
    np.testing.assert_allclose(std, [np.std([1, 3, 8]), 0.0])


def test_a_training_split_becomes_zero_mean_and_unit_deviation(tmp_path):
    given = sequences()
    found = statistics(given)
    found.save(tmp_path / 'train.npz')
    for transform in (Standardise(found.mean, found.std), Standardise(path=tmp_path / 'train.npz')):
        parts = [transform(part, RNG) for part in given]
        assert [part.shape for part in parts] == [part.shape for part in given]
        assert all(part.dtype == np.float32 for part in parts)
        tokens = np.concatenate(parts).astype(np.float64)
        np.testing.assert_allclose(tokens[:, [0, 2]].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(tokens[:, [0, 2]].std(axis=0), 1, atol=1e-5)
        np.testing.assert_allclose(tokens[:, 3], 0, err_msg='a constant is centred, not divided')


def test_the_rounding_of_a_constant_is_not_blown_up():
    given = Standardise([0.1, 0.0], [1e-12, 0.0])(np.array([[0.1 + 1e-8, 5.0]]), RNG)
    np.testing.assert_allclose(given, [[0.0, 5.0]], atol=1e-7)


def test_one_value_by_hand():
    given = Standardise([1, 2], [2, 4])(np.array([[5, 0]]), RNG)
    assert given.tolist() == [[2.0, -0.5]]


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match='needs mean and std, or else path'):
        Standardise(mean=[0.0])
    with pytest.raises(ValueError, match=r'mean has the shape \(2,\), std \(1,\)'):
        Standardise([0, 0], [1])
    with pytest.raises(ValueError, match=r'its least is -1'):
        Standardise([0], [-1])
    with pytest.raises(ValueError, match='must be finite'):
        Standardise([np.nan], [1])
    with pytest.raises(ValueError, match=r'statistics of 1 features.*\(3, 2\)'):
        Standardise([0], [1])(np.zeros((3, 2)), RNG)
    np.savez(tmp_path / 'x.npz', mean=[0])
    with pytest.raises(ValueError, match=r"lacks \['std'\]; it has \['mean'\]"):
        Standardise(path=tmp_path / 'x.npz')
    with pytest.raises(ValueError, match='there is no sequence'):
        statistics([])
    with pytest.raises(ValueError, match=r'sequence 1 has \(3,\) features, the first \(2,\)'):
        statistics([np.zeros((1, 2)), np.zeros((1, 3))])
