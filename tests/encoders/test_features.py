import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.encoders.features import Features


def test_features_pass_through_but_for_padding():
    x = torch.tensor([[[1.0, 2.0], [float('nan'), 3.0]]])
    out = Features(2)(Signal(x, torch.tensor([[True, False]])))
    assert out.x.tolist() == [[[1.0, 2.0], [0.0, 0.0]]]
    assert out.mask.tolist() == [[True, False]]
    assert not list(Features(2).parameters())


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r'dim=3.*\(1, 4, 2\)'):
        Features(3)(Signal(torch.zeros(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)))
