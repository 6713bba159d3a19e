import pytest
import torch
from torch import nn

from mmcalib.contract import Signal
from mmcalib.encoders.recurrent import Recurrent

# Real tokens in front, behind a front of padding, around a gap, and everywhere.
MASK = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]]).bool()


def raw():
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    return Signal(x.masked_fill(~MASK.unsqueeze(-1), float('nan')), MASK)


def reference(net, cell, **kwargs):
    """PyTorch's own network with the same weights."""
    rnn = {'gru': nn.GRU, 'lstm': nn.LSTM}[cell](3, 4, batch_first=True, **kwargs)
    rnn.load_state_dict({k.removeprefix('rnn.'): v for k, v in net.state_dict().items()})
    return rnn


@pytest.mark.parametrize('cell', ['gru', 'lstm'])
@pytest.mark.parametrize('depth', [1, 2])
@pytest.mark.parametrize('bidirectional', [False, True])
def test_states_are_those_of_each_sequence_alone(cell, depth, bidirectional):
    net = Recurrent(3, 4, depth, cell, bidirectional)
    rnn = reference(net, cell, num_layers=depth, bidirectional=bidirectional)
    signal = raw()
    out = net(signal)
    assert torch.equal(out.mask, MASK)
    net.pool = 'last'
    last = net(signal)
    assert last.mask.tolist() == [[True]] * 4
    for row in range(4):
        states = rnn(signal.x[row, MASK[row]][None])[0][0]
        torch.testing.assert_close(out.x[row, MASK[row]], states)
        end = torch.cat([states[-1, :4], states[0, 4:]])  # backwards, the first token is the last
        torch.testing.assert_close(last.x[row, 0], end)
    assert out.x.shape[-1] == last.x.shape[-1] == net.out_dim == 4 * (1 + bidirectional)


@pytest.mark.parametrize('cell', ['gru', 'lstm'])
def test_autocast_on_a_cpu_reads_in_the_precision_of_the_weights(cell):
    net = Recurrent(3, 4, cell=cell)
    with torch.autocast('cpu', torch.bfloat16):
        states = net(raw()).x
    assert torch.equal(states, net(raw()).x)
    states.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())


def test_dropout_is_between_layers():
    net = Recurrent(3, 4, 2, dropout=0.5)
    assert not torch.equal(net(raw()).clean(), net(raw()).clean())
    net.eval()
    assert torch.equal(net(raw()).clean(), net(raw()).clean())


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'width': 0}, r'width=0.*1 or more'),
        ({'cell': 'rnn'}, r"cell='rnn'.*gru, lstm"),
        ({'pool': 'mean'}, r"pool='mean'.*all, last"),
        ({'depth': 2, 'dropout': 1.0}, r'dropout=1.0.*\[0, 1\)'),
        ({'dropout': 0.1}, r'dropout=0.1, depth=1.*between layers'),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        Recurrent(3, **kwargs)


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r'in_dim=3.*\(1, 4, 2\)'):
        Recurrent(3)(Signal(torch.zeros(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)))
