"""FiLM, the fuser, against its equations in numpy, sample by sample."""

import numpy as np
import pytest
from rivals import WIDTHS, affine, away, relu, same, signals, tokens, widths

from mmcalib.fusers.film import FiLM


@pytest.mark.parametrize('modalities', [2, 3])
def test_the_vector_adds_what_the_partners_scaled_and_shifted(modalities):
    fuser, given = away(FiLM(widths(modalities), width=6)), signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        own = {m: affine(fuser.project[m], x.mean(0)) for m, x in tokens(given, row).items()}
        expected = np.zeros(6)
        for m, u in own.items():
            partners = [relu(other) for o, other in own.items() if o != m]
            both = affine(fuser.modulate[m], np.mean(partners, axis=0) if partners else np.zeros(6))
            expected += (1 + both[:6]) * u + both[6:]
        same(vector[row], expected)


def test_it_starts_as_a_sum_of_projections():
    fuser, given = FiLM(WIDTHS, width=6).double(), signals()
    parts = [affine(fuser.project[m], x.mean(0)) for m, x in tokens(given, 0).items()]
    same(fuser(given).vector[0], sum(parts))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"FiLM needs two or more modalities.*\['audio'\]"):
        FiLM({'audio': 3})
    with pytest.raises(ValueError, match=r'FiLM\(width=0\).*1 or more'):
        FiLM(WIDTHS, width=0)
