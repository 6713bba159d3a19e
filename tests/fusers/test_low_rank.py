"""LowRank against the tensor it stands for, in numpy, sample by sample."""

import numpy as np
import pytest
from rivals import WIDTHS, away, same, signals, tokens, widths

from mmcalib.fusers.low_rank import LowRank


@pytest.mark.parametrize('modalities', [1, 2, 3])
@pytest.mark.parametrize('rank', [1, 3])
def test_the_vector_is_that_of_the_full_tensor(modalities, rank):
    fuser = away(LowRank(widths(modalities), width=6, rank=rank))
    given = signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    factors = {}  # (rank, width, 1 + D) of each modality
    for m, layer in fuser.factors.items():
        weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
        factors[m] = np.c_[bias, weight].reshape(rank, 6, 1 + WIDTHS[m])
    letters = dict(zip(given, 'abc', strict=False))
    joined = ','.join(f'rw{letter}' for letter in letters.values())
    axes = ''.join(letters.values())
    full = np.einsum(f'{joined}->w{axes}', *factors.values())  # summed over ranks
    for row in range(2**modalities):
        own = tokens(given, row)
        means = [np.append(1, own[m].mean(0) if m in own else np.zeros(WIDTHS[m])) for m in given]
        expected = np.einsum(f'w{axes},{",".join(axes)}->w', full, *means)
        same(vector[row], expected + fuser.bias.detach().numpy())


@pytest.mark.parametrize('name', ['width', 'rank'])
def test_no_width_and_no_rank_are_refused(name):
    with pytest.raises(ValueError, match=rf'LowRank\(.*{name}=0.*1 or more'):
        LowRank({'audio': 3}, **{name: 0})
