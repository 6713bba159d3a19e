import numpy as np
import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.encoders.temporal_conv import TemporalConv

DILATIONS = (1, 2, 4, 8, 16, 32)


def small(in_dim=3, width=4, **kwargs):
    torch.manual_seed(0)
    return TemporalConv(in_dim, width, **kwargs).double().eval()


def sequence(length, dim=3):
    return np.random.default_rng(0).standard_normal((length, dim))


def convolution(state, name, x, dilation):
    """Token t is the bias plus the sum over taps k of W_k x[t + (k - middle) * dilation]."""
    weight, bias = state[f'{name}.weight'].numpy(), state[f'{name}.bias'].numpy()
    y = np.tile(bias, (len(x), 1))
    for t in range(len(x)):
        for k in range(weight.shape[2]):
            source = t + (k - weight.shape[2] // 2) * dilation
            if 0 <= source < len(x):
                y[t] += weight[:, :, k] @ x[source]
    return y


def expected_levels(net, x):
    state, levels = net.state_dict(), []
    for index, dilation in enumerate(DILATIONS):
        name = f'stages.{index // 2}.{index % 2}'
        y = np.maximum(convolution(state, f'{name}.conv1', x, dilation), 0)
        y = np.maximum(convolution(state, f'{name}.conv2', y, dilation), 0)
        if f'{name}.shortcut.weight' in state:
            shortcut = (state[f'{name}.shortcut.{k}'].numpy() for k in ('weight', 'bias'))
            x = x @ next(shortcut).T + next(shortcut)
        x = np.maximum(x + y, 0)
        if index % 2:
            levels.append(x)
    return levels


@pytest.mark.parametrize(('in_dim', 'kernel'), [(3, 3), (4, 3), (3, 5)])
@pytest.mark.parametrize('length', [1, 7, 40])
def test_levels_are_the_convolutions_written_as_loops(in_dim, kernel, length):
    net, x = small(in_dim, kernel=kernel), sequence(length, in_dim)
    signal = Signal(torch.from_numpy(x)[None], torch.ones(1, length, dtype=torch.bool))
    levels = net.levels(signal)
    assert [level.x.shape[-1] for level in levels] == list(net.level_dims)
    for level, expected in zip(levels, expected_levels(net, x), strict=True):
        np.testing.assert_allclose(level.x[0].detach().numpy(), expected, atol=1e-12)
    assert torch.equal(net(signal).x, levels[-1].x)


def test_every_level_of_a_padded_sequence_is_that_of_the_sequence_alone():
    net = small()
    mask = torch.zeros(2, 12, dtype=torch.bool)
    mask[0, :7] = mask[1, 3:12] = True  # padded behind, and in front
    x = torch.full((2, 12, 3), float('nan'), dtype=torch.double)
    x[0, :7], x[1, 3:12] = torch.from_numpy(sequence(7)), torch.from_numpy(sequence(9))
    for level in range(3):
        found = net.levels(Signal(x, mask))[level]
        for row, length in ((0, 7), (1, 9)):
            alone = expected_levels(net, sequence(length))[level]
            np.testing.assert_allclose(found.x[row][mask[row]].detach().numpy(), alone, atol=1e-12)


@pytest.mark.parametrize(('level', 'reach'), [(0, 6), (1, 30), (2, 126)])
def test_a_token_reaches_as_far_as_the_dilations_say(level, reach):
    net = small(1, 2)
    for parameter in net.parameters():
        parameter.data.abs_()
    x = torch.ones(1, 301, 1, dtype=torch.double, requires_grad=True)
    net.levels(Signal(x, torch.ones(1, 301, dtype=torch.bool)))[level].x[0, 150].sum().backward()
    seen = x.grad[0, :, 0].nonzero().flatten()
    assert (150 - int(seen.min()), int(seen.max()) - 150) == (reach, reach)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'in_dim': 0}, r'in_dim=0.*1 or more'),
        ({'in_dim': 3, 'kernel': 4}, r'kernel=4.*odd'),
        ({'in_dim': 3, 'dropout': 1.0}, r'dropout=1.0.*\[0, 1\)'),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        TemporalConv(**kwargs)


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r'in_dim=3.*\(1, 4, 2\)'):
        TemporalConv(3)(Signal(torch.zeros(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)))
