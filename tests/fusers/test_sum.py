"""Sum against numpy, sample by sample."""

import numpy as np
import pytest
from rivals import affine, away, same, signals, tokens, widths

from mmcalib.fusers.sum import Sum


@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_the_vector_adds_projected_means_of_present_modalities(modalities):
    fuser, given = away(Sum(widths(modalities), width=6)), signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        own = tokens(given, row)
        parts = [affine(fuser.project[m], x.mean(0)) for m, x in own.items()]
        same(vector[row], sum(parts, np.zeros(6)))


def test_no_width_is_refused():
    with pytest.raises(ValueError, match=r'Sum\(width=0\).*1 or more'):
        Sum({'audio': 3}, width=0)
