"""Product against numpy, sample by sample."""

import numpy as np
import pytest
from rivals import WIDTHS, affine, away, same, signals, tokens, widths

from mmcalib.fusers.product import Product


@pytest.mark.parametrize('modalities', [1, 2, 3])
@pytest.mark.parametrize('width', [6, WIDTHS['text']])
def test_the_vector_is_a_squashed_product_of_present_modalities(modalities, width):
    fuser, given = away(Product(widths(modalities), width=width)), signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        product = np.ones(width)
        for m, x in tokens(given, row).items():
            fits = WIDTHS[m] == width  # then it is not projected
            product = product * (x.mean(0) if fits else affine(fuser.project[m], x.mean(0)))
        same(vector[row], np.tanh(affine(fuser.out, product)))


def test_no_width_is_refused():
    with pytest.raises(ValueError, match=r'Product\(width=0\).*1 or more'):
        Product({'audio': 3}, width=0)
