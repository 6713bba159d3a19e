"""Gated against the paper's equations in numpy, sample by sample."""

import numpy as np
import pytest
from rivals import WIDTHS, affine, away, same, sigmoid, signals, tokens, widths

from mmcalib.fusers.gated import Gated


def read(fuser, given, row):
    """Means of all modalities in one row, and the squashed mean of each present one."""
    own = tokens(given, row)
    joint = [own[m].mean(0) if m in own else np.zeros(WIDTHS[m]) for m in given]
    squashed = {m: np.tanh(affine(fuser.squash[m], x.mean(0))) for m, x in own.items()}
    return np.concatenate(joint), squashed


@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_the_vector_is_a_convex_sum_of_present_modalities(modalities):
    fuser, given = away(Gated(widths(modalities), width=6)), signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        joint, squashed = read(fuser, given, row)
        weights = {m: np.exp(affine(fuser.gate[m], joint)) for m in squashed}
        parts = [w / sum(weights.values()) * squashed[m] for m, w in weights.items()]
        same(vector[row], sum(parts, np.zeros(6)))


def test_of_two_modalities_the_gates_are_the_papers_z_and_one_minus_z():
    fuser, given = away(Gated(widths(2), width=6)), signals(2)
    joint, squashed = read(fuser, given, row=0)
    first, second = (affine(fuser.gate[m], joint) for m in given)
    z = sigmoid(first - second)
    same(fuser(given).vector[0], z * squashed['text'] + (1 - z) * squashed['audio'])


def test_no_width_is_refused():
    with pytest.raises(ValueError, match=r'Gated\(width=0\).*1 or more'):
        Gated({'audio': 3}, width=0)
