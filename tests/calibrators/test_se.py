"""How wide the hidden layer of SE's gates is."""

import pytest

from mmcalib.calibrators.se import SE


@pytest.mark.parametrize(
    ('dim', 'reduction', 'hidden'), [(64, 16, 4), (47, 16, 2), (8, 16, 1), (6, 1, 6)]
)
def test_the_hidden_width_is_the_width_over_the_reduction_and_at_least_one(dim, reduction, hidden):
    count = sum(p.numel() for p in SE({'audio': dim}, reduction).parameters())
    assert count == 2 * dim * hidden + hidden + dim
    assert SE({'audio': 64}).gates['audio'][0].out_features == 4  # 16 is the paper's
