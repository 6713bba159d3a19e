"""The controls: each does what it says, and nothing that it is a control for."""

import numpy as np
import pytest
import torch

from mmcalib.calibrators.channel_scale import ChannelScale
from mmcalib.calibrators.matched_mlp import MatchedMLP
from mmcalib.calibrators.norm_only import NormOnly
from mmcalib.calibrators.vgmr import VGMR
from mmcalib.contract import Signal

DIMS = {'audio': 3, 'video': 4}
BENCHMARKS = [
    {'audio': 512, 'visual': 512},
    {'text': 768, 'audio': 74, 'vision': 35},
    {'text': 300, 'audio': 74, 'vision': 35},
]


def signals():
    torch.manual_seed(0)
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    return {m: Signal(3 * torch.randn(3, 2, d) + 1, mask) for m, d in DIMS.items()}


def away(module):
    """In evaluation, with every parameter moved from its start."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return module.eval()


def layer_norm(x, scale, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + shift


def state(module):
    return {key: value.double().numpy() for key, value in module.state_dict().items()}


def real(signal):
    return signal.x[signal.mask].detach().double().numpy()


def test_norm_only_is_layer_norm():
    module, given = away(NormOnly(DIMS)), signals()
    weights, refined = state(module), module(given).signals
    for m in DIMS:
        scale, shift = (weights[f'posts.{m}.0.{name}'] for name in ('weight', 'bias'))
        expected = layer_norm(real(given[m]), scale, shift)
        np.testing.assert_allclose(real(refined[m]), expected, rtol=1e-5, atol=1e-6)


def test_norm_only_is_vgmr_at_its_start():
    given = signals()
    refined = VGMR(DIMS, width=5).eval()(given).signals
    for m, signal in NormOnly(DIMS).eval()(given).signals.items():
        np.testing.assert_allclose(real(signal), real(refined[m]), rtol=1e-6, atol=1e-6)


def test_channel_scale_begins_as_the_identity_and_scales_every_sample_alike():
    given = signals()
    for m, signal in ChannelScale(DIMS)(given).signals.items():
        assert torch.equal(signal.clean(), given[m].clean())
    module = away(ChannelScale(DIMS))
    calibration = module(given)
    for m, scale in state(module).items():
        m = m.removeprefix('scales.')
        np.testing.assert_allclose(real(calibration.signals[m]), real(given[m]) * scale, rtol=1e-6)
        seen = calibration.evidence['gate'][m].numpy()
        np.testing.assert_allclose(seen, np.stack([scale] * 3), rtol=1e-6)


def test_matched_mlp_is_a_shortcut_two_layers_and_a_norm():
    from scipy.special import erf

    module, given = away(MatchedMLP(DIMS, match_width=2)), signals()
    weights, refined = state(module), module(given).signals
    for m in DIMS:
        x = real(given[m])
        inner = x @ weights[f'mlps.{m}.0.weight'].T + weights[f'mlps.{m}.0.bias']
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        y = x + inner @ weights[f'mlps.{m}.3.weight'].T + weights[f'mlps.{m}.3.bias']
        expected = layer_norm(y, weights[f'posts.{m}.0.weight'], weights[f'posts.{m}.0.bias'])
        np.testing.assert_allclose(real(refined[m]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('dims', BENCHMARKS)
@pytest.mark.parametrize('width', [64, 160])
def test_matched_mlp_has_the_size_of_vgmr(dims, width):
    sizes = [
        sum(parameter.numel() for parameter in module.parameters())
        for module in (MatchedMLP(dims, match_width=width), VGMR(dims, width=width))
    ]
    assert abs(sizes[0] / sizes[1] - 1) < 0.01


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: NormOnly(DIMS, dropout=1.0), r'NormOnly\(dropout=1.0\).*\[0, 1\)'),
        (lambda: MatchedMLP(DIMS, dropout=-0.1), r'MatchedMLP\(dropout=-0.1\).*\[0, 1\)'),
        (lambda: MatchedMLP(DIMS, match_width=0), r'match_width=0.*1 or more'),
        (lambda: MatchedMLP({'audio': 3}), 'two modalities'),
        (lambda: ChannelScale({'audio': 0}), 'one positive width'),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
