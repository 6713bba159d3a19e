import numpy as np
import pytest
import torch
from torch import nn

from mmcalib.contract import Encoder, Signal
from mmcalib.encoders.hierarchy import Hierarchy


class Depths(Encoder):
    """Three levels: the raw tokens times 1, 2 and 3, 4 wide."""

    level_dims = (4, 4, 4)

    def __init__(self, ragged: bool = False) -> None:
        super().__init__()
        self.out_dim, self.ragged, self.read = 4, ragged, 0
        self.scale = nn.Parameter(torch.ones(()))

    def encode(self, raw):
        return raw

    def levels(self, raw):
        drop = [0, 1, 0] if self.ragged else [0, 0, 0]
        return [
            Signal(self.scale * k * raw.clean()[:, d:], raw.mask[:, d:])
            for k, d in zip((1, 2, 3), drop, strict=True)
        ]

    def init_weights(self):
        self.read += 1


def raw():
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    return Signal(torch.randn(3, 2, 4), mask)


def test_levels_of_a_token_follow_each_other_projected_put_in_place_and_normed():
    model, signal = Hierarchy({'type': Depths}, width=6), raw()
    out = model(signal)
    assert out.x.shape == (3, 6, 6)
    place = np.zeros((2, 6))
    for step in range(2):
        for column in range(3):
            angle = step / 10_000 ** (2 * column / 6)
            place[step, 2 * column : 2 * column + 2] = np.sin(angle), np.cos(angle)
    for level in range(3):
        weight, bias = (p.detach().numpy() for p in model.project[level].parameters())
        h = (level + 1) * signal.x[0].numpy() @ weight.T + bias + place
        h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(out.x[0, level::3].detach(), h, rtol=1e-4, atol=1e-5)
    assert out.mask.tolist() == [[True] * 6, [True] * 3 + [False] * 3, [False] * 6]


def test_the_backbone_reads_its_checkpoint():
    model = Hierarchy({'type': Depths}, width=6)
    model.init_weights()
    assert model.backbone.read == 1
    Hierarchy({'type': 'ResNet', 'tokens': 'time'}).init_weights()
    with pytest.raises(FileNotFoundError, match='nowhere'):
        Hierarchy({'type': 'ResNet', 'checkpoint': 'nowhere.pth'}).init_weights()


def test_a_backbone_without_levels_is_named():
    with pytest.raises(ValueError, match='Features has no `levels` and `level_dims`'):
        Hierarchy({'type': 'Features', 'dim': 4})


def test_another_number_of_levels_is_named():
    with pytest.raises(ValueError, match=r'levels=2.*Depths has 3 levels'):
        Hierarchy({'type': Depths}, levels=2)


@pytest.mark.parametrize('kwargs', [{'width': 7}, {'width': 0}, {'levels': 0}])
def test_bad_arguments_are_named(kwargs):
    with pytest.raises(ValueError, match='width is even and positive, levels are 1 or more'):
        Hierarchy({'type': Depths}, **kwargs)


def test_levels_of_unequal_length_are_named():
    with pytest.raises(ValueError, match=r'\[2, 1, 2\] tokens'):
        Hierarchy({'type': Depths, 'ragged': True}, width=6)(raw())
