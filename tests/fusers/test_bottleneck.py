"""Bottleneck against the paper's equations in numpy, sample by sample, over real tokens only."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, signals, tokens, widths
from scipy.special import erf, softmax

from mmcalib.contract import Signal
from mmcalib.fusers.bottleneck import Bottleneck

WIDTH, HEADS = 8, 2


def norm(layer, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def attention(layer, x):
    weight, bias = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    q, k, v = np.split(x @ weight.T + bias, 3, axis=-1)
    out = np.zeros_like(x)
    for head in np.split(np.arange(WIDTH), HEADS):
        scores = q[:, head] @ k[:, head].T / np.sqrt(len(head))
        out[:, head] = softmax(scores, axis=-1) @ v[:, head]
    return affine(layer.out_proj, out)


def transform(layer, x):
    x = x + attention(layer.self_attn, norm(layer.norm1, x))
    hidden = affine(layer.linear1, norm(layer.norm2, x))
    return x + affine(layer.linear2, hidden * (1 + erf(hidden / np.sqrt(2))) / 2)


def positions(length):
    steps, rates = np.arange(length)[:, None], 10000 ** (-np.arange(0, WIDTH, 2) / WIDTH)
    return np.stack([np.sin(steps * rates), np.cos(steps * rates)], axis=-1).reshape(length, WIDTH)


def expected(fuser, given, row, separate):
    x = {}
    for m, own in tokens(given, row).items():
        first = fuser.classes[m].detach().numpy()[None]
        x[m] = np.concatenate([first, affine(fuser.project[m], own) + positions(len(own))])
    shared = fuser.shared.detach().numpy()
    for index, layer in enumerate(fuser.layers):
        written = []
        for m in x:
            if index < separate:
                x[m] = transform(layer.own[m], x[m])
            else:
                both = transform(layer.own[m], np.concatenate([x[m], shared]))
                x[m], told = both[: len(x[m])], both[len(x[m]) :]
                written.append(told)
        if written:
            shared = np.mean(written, axis=0)
    return np.mean([norm(fuser.norm, z[0]) for z in x.values()], axis=0) if x else np.zeros(WIDTH)


@pytest.mark.parametrize('modalities', [2, 3])
@pytest.mark.parametrize('separate', [0, 1])
def test_the_vector_is_that_of_the_equations(modalities, separate):
    dims = widths(modalities)
    fuser = away(Bottleneck(dims, WIDTH, depth=3, heads=HEADS, tokens=2, separate=separate))
    given = signals(modalities)
    vector = fuser(given).vector.detach().numpy()
    assert vector.shape == (2**modalities, fuser.out_dim)
    for row in range(2**modalities):
        wanted = expected(fuser, given, row, separate)
        np.testing.assert_allclose(vector[row], wanted, rtol=1e-5, atol=1e-5)
    with torch.no_grad():  # torch then takes another path through its layers
        np.testing.assert_allclose(fuser(given).vector.numpy(), vector, rtol=1e-9, atol=1e-9)


def test_padding_in_front_changes_nothing():
    fuser, given = away(Bottleneck(WIDTHS, WIDTH, depth=2, heads=HEADS, separate=1)), signals()
    shifted = {}
    for index, (m, (x, mask)) in enumerate(given.items()):
        front = 1 + index
        shifted[m] = Signal(
            torch.cat([x.new_full((len(x), front, x.shape[2]), torch.nan), x], dim=1),
            torch.cat([mask.new_zeros(len(x), front), mask], dim=1),
        )
    torch.testing.assert_close(fuser(shifted).vector, fuser(given).vector)


def test_training_drops_at_the_rate():
    given = {m: signal._replace(x=signal.x.float()) for m, signal in signals().items()}
    for rate in (0.0, 0.5):
        fuser = Bottleneck(WIDTHS, WIDTH, depth=1, heads=HEADS, separate=0, dropout=rate).train()
        assert torch.equal(fuser(given).vector, fuser(given).vector) is (rate == 0)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'dims': {'audio': 3}}, r"two or more modalities.*\['audio'\]"),
        ({'heads': 5}, r'width=768, heads=5.*multiple of heads'),
        ({'width': 9, 'heads': 3}, r'width=9, heads=3.*even'),
        ({'heads': 0}, r'heads=0.*multiple of heads'),
        ({'separate': 12}, r'depth=12, separate=12.*\[0, depth\)'),
        ({'separate': -1}, r'separate=-1.*\[0, depth\)'),
        ({'depth': 0, 'separate': 0}, r'depth=0, separate=0'),
        ({'tokens': 0}, r'tokens=0.*1 or more'),
        ({'ratio': 0}, r'ratio=0.*1 or more'),
        ({'dropout': 1.0}, r'dropout=1.0.*\[0, 1\)'),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        Bottleneck(**{'dims': WIDTHS, **kwargs})
