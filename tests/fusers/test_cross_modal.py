"""CrossModal against the paper's equations in numpy, sample by sample, over real tokens only."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, relu, signals, tokens, widths

from mmcalib.contract import Signal
from mmcalib.fusers.cross_modal import CrossModal


def norm(layer, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def attention(layer, query, source, heads, causal):
    weight, bias = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    parts = zip((query, source, source), np.split(weight, 3), np.split(bias, 3), strict=True)
    q, k, v = (x @ w.T + b for x, w, b in parts)
    out = np.zeros_like(query)
    for head in np.split(np.arange(query.shape[1]), heads):
        for t in range(len(q)):
            seen = t + abs(len(q) - len(k)) + 1 if causal else len(k)
            scores = np.exp(k[:seen, head] @ q[t, head] / np.sqrt(len(head)))
            out[t, head] = scores / scores.sum() @ v[:seen, head]
    return affine(layer.out_proj, out)


def embed(x):
    length, width = x.shape
    table = np.zeros((length, width))
    for t in range(length):
        for i in range(0, width, 2):
            table[t, i : i + 2] = np.sin(t / 10000 ** (i / width)), np.cos(t / 10000 ** (i / width))
    return np.sqrt(width) * x + table


def stack(net, x, source, heads, causal):
    """`source` None is an absent one; the same array is self-attention."""
    own = source is x
    x = embed(x)
    keys = None if source is None else embed(source)
    for layer in net.layers:
        if keys is not None:
            to = norm(layer.norm1, x if own else keys)
            x = x + attention(layer.attention, norm(layer.norm1, x), to, heads, causal)
        x = x + affine(layer.outer, relu(affine(layer.inner, norm(layer.norm2, x))))
    return norm(net.norm, x)


def expected(fuser, given, row, width, heads, causal):
    own = {}
    for m, x in tokens(given, row).items():
        own[m] = x if x.shape[1] == width else affine(fuser.project[m], x)
    z = []
    for m in given:
        branch, others = fuser.branches[m], [o for o in given if o != m]
        if m not in own:
            z.append(np.zeros(len(others) * width))
            continue
        found = [stack(branch.cross[o], own[m], own.get(o), heads, causal) for o in others]
        both = np.concatenate(found, axis=-1)
        z.append(stack(branch.memory, both, both, heads, causal)[-1])
    z = np.concatenate(z)
    return z + affine(fuser.outer, relu(affine(fuser.inner, z)))


@pytest.mark.parametrize('modalities', [2, 3])
@pytest.mark.parametrize('causal', [True, False])
@pytest.mark.parametrize('width', [8, WIDTHS['audio']])  # audio needs no projection to its own
def test_the_vector_is_that_of_the_equations(modalities, causal, width):
    dims = widths(modalities)
    fuser = away(CrossModal(dims, width=width, depth=2, heads=2, causal=causal))
    given = signals(modalities)
    vector = fuser(given).vector.detach().numpy()
    assert vector.shape == (2**modalities, fuser.out_dim)
    assert fuser.out_dim == modalities * (modalities - 1) * width
    for row in range(2**modalities):
        wanted = expected(fuser, given, row, width, 2, causal)
        np.testing.assert_allclose(vector[row], wanted, rtol=1e-5, atol=1e-5)


def test_padding_in_front_changes_nothing():
    fuser, given = away(CrossModal(WIDTHS, width=8, depth=1, heads=2)), signals()
    shifted = {}
    for index, (m, (x, mask)) in enumerate(given.items()):
        front = 1 + index
        shifted[m] = Signal(
            torch.cat([x.new_full((len(x), front, x.shape[2]), torch.nan), x], dim=1),
            torch.cat([mask.new_zeros(len(x), front), mask], dim=1),
        )
    torch.testing.assert_close(fuser(shifted).vector, fuser(given).vector)


@pytest.mark.parametrize('causal', [True, False])
def test_every_token_may_attend_to_something(causal):
    # Not every kernel of torch survives a softmax over nothing, also where the result is dropped.
    stack = CrossModal(WIDTHS, width=8, depth=1, heads=2, causal=causal).branches['text'].memory
    query = torch.tensor([[0, 0, 0, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    key = torch.tensor([[0, 1, 1], [0, 0, 0], [0, 0, 1]]).bool()
    blocked = stack.blocked(query, key)
    assert blocked.shape == (6, 5, 3)
    assert not blocked.all(dim=-1).any()


def test_each_rate_reaches_training_on_its_own():
    given = {m: signal._replace(x=signal.x.float()) for m, signal in signals().items()}
    names = ('dropout', 'attention_dropout', 'relu_dropout', 'embed_dropout', 'out_dropout')
    for chosen in (None, *names):
        rates = {name: 0.5 * (name == chosen) for name in names}
        fuser = CrossModal(WIDTHS, width=8, depth=1, heads=2, **rates).train()
        assert torch.equal(fuser(given).vector, fuser(given).vector) is (chosen is None)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'dims': {'audio': 3}}, r"two or more modalities.*\['audio'\]"),
        ({'heads': 4}, r'width=30, depth=5, heads=4.*multiple of heads'),
        ({'width': 5}, r'width=5.*even'),
        ({'heads': 0}, r'heads=0.*multiple of heads'),
        ({'depth': 0}, r'depth=0.*1 or more'),
        ({'embed_dropout': 1.0}, r'embed=1.0.*\[0, 1\)'),
        ({'out_dropout': -0.1}, r'out_dropout=-0.1.*\[0, 1\)'),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        CrossModal(**{'dims': WIDTHS, **kwargs})
