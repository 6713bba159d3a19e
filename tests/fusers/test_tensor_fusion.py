"""TensorFusion against the paper's outer product in numpy, sample by sample."""

from itertools import product

import numpy as np
import pytest
from rivals import affine, away, same, signals, tokens, widths

from mmcalib.fusers.tensor_fusion import TensorFusion


@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_the_vector_reads_every_product_of_channels(modalities):
    fuser = away(TensorFusion(widths(modalities), width=3, out_dim=6))
    given = signals(modalities)
    vector = fuser(given).vector
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        own = tokens(given, row)
        z = [affine(fuser.project[m], own[m].mean(0)) if m in own else np.zeros(3) for m in given]
        products = [np.prod(chosen) for chosen in product(*(np.append(1, part) for part in z))]
        assert len(products) == 4**modalities
        same(vector[row], affine(fuser.out, np.array(products)))


@pytest.mark.parametrize('name', ['width', 'out_dim'])
def test_no_width_is_refused(name):
    with pytest.raises(ValueError, match=rf'TensorFusion\(.*{name}=0.*1 or more'):
        TensorFusion({'audio': 3}, **{name: 0})
