import numpy as np
import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.encoders.transformer import Transformer


def small(in_dim=3, width=4, heads=2, **kwargs):
    torch.manual_seed(0)
    net = Transformer(in_dim, width, heads=heads, **kwargs).double().eval()
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return net


def whole(x):
    return Signal(torch.from_numpy(x)[None], torch.ones(1, len(x), dtype=torch.bool))


def sequence(length, dim=3):
    return np.random.default_rng(0).standard_normal((length, dim))


def convolution(state, x):
    weight = state['conv.weight'].numpy()
    y = np.zeros((len(x), len(weight)))
    for t in range(len(x)):
        for k in range(weight.shape[2]):
            source = t + k - weight.shape[2] // 2
            if 0 <= source < len(x):
                y[t] += weight[:, :, k] @ x[source]
    return y


def positions(length, width):
    table = np.zeros((length, width))
    for t in range(length):
        for i in range(0, width, 2):
            table[t, i : i + 2] = np.sin(t / 10000 ** (i / width)), np.cos(t / 10000 ** (i / width))
    return table


def norm(state, name, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * state[f'{name}.weight'].numpy() + state[f'{name}.bias'].numpy()


def linear(state, name, x):
    return x @ state[f'{name}.weight'].numpy().T + state[f'{name}.bias'].numpy()


def attention(state, name, x, heads):
    project = state[f'{name}.in_proj_weight'].numpy(), state[f'{name}.in_proj_bias'].numpy()
    q, k, v = np.split(x @ project[0].T + project[1], 3, axis=-1)
    out = np.zeros_like(x)
    for part in np.split(np.arange(x.shape[1]), heads):
        scores = q[:, part] @ k[:, part].T / np.sqrt(len(part))
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        out[:, part] = weights @ v[:, part]
    return linear(state, f'{name}.out_proj', out)


def expected(net, x, depth, heads, placed=True):
    """Section 3.1 to 3.3 of the paper for one sequence without padding."""
    state = net.state_dict()
    h = convolution(state, x)
    if depth == 0:
        return h
    h = np.sqrt(h.shape[1]) * h + placed * positions(*h.shape)
    for i in range(depth):
        name = f'layers.{i}'
        h = h + attention(state, f'{name}.attention', norm(state, f'{name}.norm1', h), heads)
        y = np.maximum(linear(state, f'{name}.inner', norm(state, f'{name}.norm2', h)), 0)
        h = h + linear(state, f'{name}.outer', y)
    return norm(state, 'norm', h)


@pytest.mark.parametrize('kernel', [1, 3])
@pytest.mark.parametrize(('depth', 'placed'), [(0, True), (1, True), (1, False), (2, True)])
def test_tokens_are_those_of_the_equations(depth, placed, kernel):
    net, x = small(depth=depth, kernel=kernel, positions=placed), sequence(6)
    np.testing.assert_allclose(
        net(whole(x)).x[0].detach().numpy(), expected(net, x, depth, 2, placed), atol=1e-6
    )


def test_a_padded_sequence_is_encoded_as_if_it_stood_alone():
    net = small(depth=2)
    mask = torch.zeros(2, 12, dtype=torch.bool)
    mask[0, :7] = mask[1, 3:12] = True  # padded behind, and in front
    x = torch.full((2, 12, 3), 1e3, dtype=torch.double)
    x[0, :7], x[1, 3:12] = torch.from_numpy(sequence(7)), torch.from_numpy(sequence(9))
    found = net(Signal(x, mask))
    for row, length in ((0, 7), (1, 9)):
        alone = expected(net, sequence(length), 2, 2)
        np.testing.assert_allclose(found.x[row][mask[row]].detach().numpy(), alone, atol=1e-6)


def test_each_rate_reaches_training_on_its_own():
    x = whole(sequence(6))
    names = ('dropout', 'attention_dropout', 'relu_dropout', 'embed_dropout')
    for chosen in (None, *names):
        net = small(depth=1, **{name: 0.5 * (name == chosen) for name in names}).train()
        assert torch.equal(net(x).x, net(x).x) is (chosen is None)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'in_dim': 0}, r'in_dim=0.*1 or more'),
        ({'depth': -1}, r'depth=-1.*0 or more'),
        ({'heads': 3}, r'width=80, heads=3.*multiple of heads'),
        ({'width': 5}, r'width=5, heads=5.*even'),
        ({'kernel': 2}, r'kernel=2.*odd'),
        ({'relu_dropout': 1.0}, r'relu_dropout=1.0.*\[0, 1\)'),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        Transformer(**{'in_dim': 3, **kwargs})


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r'in_dim=3.*\(1, 4, 2\)'):
        Transformer(3)(Signal(torch.zeros(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)))
