"""ConcatMLP against numpy, sample by sample."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, same, signals, tokens, widths
from scipy.special import erf

from mmcalib.fusers.concat_mlp import ConcatMLP


@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_the_vector_is_an_mlp_on_concatenated_means(modalities):
    fuser, given = away(ConcatMLP(widths(modalities), width=6)), signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        own = tokens(given, row)
        means = [own[m].mean(0) if m in own else np.zeros(WIDTHS[m]) for m in given]
        hidden = affine(fuser.mlp[0], np.concatenate(means))
        same(vector[row], affine(fuser.mlp[-1], hidden * (1 + erf(hidden / np.sqrt(2))) / 2))


def test_the_number_of_parameters_is_the_documented_one():
    fuser = ConcatMLP(WIDTHS, width=6)
    assert sum(p.numel() for p in fuser.parameters()) == (sum(WIDTHS.values()) + 6 + 2) * 6


def test_training_drops_at_the_rate():
    given = {m: signal._replace(x=signal.x.float()) for m, signal in signals().items()}
    for rate in (0.0, 0.5):
        fuser = ConcatMLP(WIDTHS, dropout=rate).train()
        assert torch.equal(fuser(given).vector, fuser(given).vector) is (rate == 0)


@pytest.mark.parametrize('kwargs', [{'width': 0}, {'dropout': 1.0}, {'dropout': -0.1}])
def test_bad_arguments_are_refused(kwargs):
    ((name, value),) = kwargs.items()
    with pytest.raises(ValueError, match=rf'{name}={value}.*1 or more.*\[0, 1\)'):
        ConcatMLP({'audio': 3}, **kwargs)
