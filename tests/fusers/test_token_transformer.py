import math

import numpy as np
import pytest
import torch
from scipy.special import erf, softmax

from mmcalib.contract import Signal
from mmcalib.fusers.token_transformer import TokenTransformer


def numpy_forward(state, signals, width, depth, heads):
    """Vaswani et al. 2017 with pre-norm, one sample at a time, real tokens only."""

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * state[f'{name}.weight'] + state[f'{name}.bias']

    def linear(x, name):
        return x @ state[f'{name}.weight'].T + state[f'{name}.bias']

    def attend(x, name):
        qkv = x @ state[f'{name}.in_proj_weight'].T + state[f'{name}.in_proj_bias']
        q, k, v = (p.reshape(len(x), heads, -1).swapaxes(0, 1) for p in np.split(qkv, 3, axis=-1))
        weights = softmax(q @ k.swapaxes(1, 2) / math.sqrt(width // heads), axis=-1)
        return linear((weights @ v).swapaxes(0, 1).reshape(len(x), width), f'{name}.out_proj')

    rows = []
    for b in range(len(next(iter(signals.values())).x)):
        tokens, owner = [], []
        for m, signal in signals.items():
            for t in np.flatnonzero(signal.mask[b].numpy()):
                rate = 10_000 ** (-np.arange(0, width, 2) / width)
                position = np.stack([np.sin(t * rate), np.cos(t * rate)], -1).reshape(-1)
                x = linear(signal.x[b, t].numpy(), f'project.{m}')
                tokens.append(x + state[f'modality.{m}'] + position)
                owner.append(m)
        x = np.array(tokens)
        for i in range(depth):
            name = f'layers.layers.{i}'
            x = x + attend(norm(x, f'{name}.norm1'), f'{name}.self_attn')
            h = linear(norm(x, f'{name}.norm2'), f'{name}.linear1')
            x = x + linear(h * 0.5 * (1 + erf(h / math.sqrt(2))), f'{name}.linear2')
        x = norm(x, 'layers.norm')
        pooled = [x[[o == m for o in owner]] for m in signals]
        rows.append(np.concatenate([p.mean(0) if len(p) else np.zeros(width) for p in pooled]))
    return np.array(rows)


def test_vector_equals_a_transformer_over_real_tokens_written_in_numpy():
    torch.manual_seed(0)
    fuser = TokenTransformer({'audio': 5, 'visual': 3}, width=8, depth=2, heads=2).double().eval()
    mask = {
        'audio': torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1]]).bool(),
        'visual': torch.tensor([[1, 1], [1, 0], [0, 1]]).bool(),
    }
    signals = {m: Signal(torch.randn(*v.shape, fuser.dims[m]).double(), v) for m, v in mask.items()}
    state = {k: v.detach().numpy() for k, v in fuser.state_dict().items()}
    expected = numpy_forward(state, signals, 8, 2, 2)
    np.testing.assert_allclose(fuser(signals).vector.detach().numpy(), expected, atol=1e-6)
    assert fuser.out_dim == 16


def test_a_sample_with_nothing_at_all_is_zeros():
    fuser = TokenTransformer({'audio': 5, 'visual': 3}, width=8, depth=1, heads=2)
    empty = {
        m: Signal(torch.randn(1, 2, d), torch.zeros(1, 2, dtype=torch.bool))
        for m, d in fuser.dims.items()
    }
    assert fuser(empty).vector.tolist() == [[0.0] * 16]


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r'width=10, heads=4'):
        TokenTransformer({'audio': 5, 'visual': 3}, width=10, heads=4)
