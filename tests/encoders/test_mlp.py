import numpy as np
import pytest
import torch
from scipy.special import erf
from sklearn.preprocessing import StandardScaler

from mmcalib.contract import Signal
from mmcalib.encoders.mlp import MLP

MASK = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 1]]).bool()


def raw(seed=0):
    """Features of three scales and a constant one; NaN where nothing is real."""
    x = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(seed))
    x = x * torch.tensor([1e-2, 1.0, 100.0, 0.0]) + torch.tensor([0.0, 5.0, 300.0, 7.0])
    return Signal(x.masked_fill(~MASK.unsqueeze(-1), float('nan')), MASK)


def layers(net, x):
    """Linear and GELU of every layer, in numpy."""
    for linear in list(net.layers)[::3]:
        x = x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        x = x * (1 + erf(x / np.sqrt(2))) / 2
    return x


def test_real_tokens_are_standardised_and_go_through_the_layers():
    net = MLP(4, 5, depth=2, dropout=0.0)
    out = net(raw())
    expected = layers(net, StandardScaler().fit_transform(raw().x[MASK].numpy()))
    np.testing.assert_allclose(out.x[MASK].detach().numpy(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(out.mask, MASK)
    assert (out.x[~MASK] == 0).all()
    assert out.x.shape == (3, 3, net.out_dim) == (3, 3, 5)


def test_evaluation_takes_the_mean_over_all_training_batches_of_their_statistics():
    net = MLP(4, 5, dropout=0.5)
    batches = [raw(seed).x[MASK].numpy() for seed in range(3)]
    for seed in range(3):
        net(raw(seed))
    mean = np.mean([batch.mean(axis=0) for batch in batches], axis=0)
    std = np.sqrt(np.mean([batch.var(axis=0, ddof=1) for batch in batches], axis=0))
    std[3] = 1  # constant
    x = (raw(7).x[MASK].numpy() - mean) / std
    out = net.eval()(raw(7))
    np.testing.assert_allclose(out.x[MASK].detach().numpy(), layers(net, x), rtol=1e-3, atol=1e-2)
    assert torch.equal(net(raw(7)).x, out.x)


def test_the_only_token_of_a_training_batch_is_standardised_as_in_evaluation():
    net = MLP(4, 5, dropout=0.0)
    net(raw())
    before = net.norm.running_mean.clone()
    one = Signal(torch.tensor([[[0.01, 4.0, 250.0, 7.0]]]), torch.tensor([[True]]))
    training = net(one).x
    assert torch.equal(net.norm.running_mean, before)
    assert torch.equal(net.eval()(one).x, training)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'width': 0}, r'width=0.*1 or more'),
        ({'depth': 0}, r'depth=0.*1 or more'),
        ({'dropout': 1.0}, r'dropout=1.0.*\[0, 1\)'),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        MLP(4, **kwargs)


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r'in_dim=3.*\(3, 3, 4\)'):
        MLP(3)(raw())
