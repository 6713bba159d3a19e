"""UPN against its equations in numpy, sample by sample, and its gate against sampling."""

from itertools import product

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, relu, same, sigmoid, signals, tokens

from mmcalib.calibrators.upn import UPN
from mmcalib.contract import Signal, Supervision

NOBODY_ASKS = Supervision(torch.zeros(0), lambda _: 1 / 0)


def lstm(layer, x, suffix=''):
    """States (L, width) of one direction, by the LSTM's equations; gates are i, f, g, o."""
    names = ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')
    w, u, b, a = (getattr(layer, f'{name}_l0{suffix}').detach().numpy() for name in names)
    h = c = np.zeros(layer.hidden_size)
    states = []
    for token in x:
        i, f, g, o = np.split(w @ token + b + u @ h + a, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def log_alpha(module, m, x):
    """Of the tokens (L, D) of one sample."""
    scorer = module.scorers[m]
    h = np.hstack([lstm(scorer.lstm, x), lstm(scorer.lstm, x[::-1], '_reverse')[::-1]])
    score = affine(scorer.score[2], relu(affine(scorer.score[0], h)))
    joint = np.hstack([score, h, np.tile(h.mean(0), (len(h), 1))])
    logits = affine(scorer.excite[2], relu(affine(scorer.excite[0], joint)))
    return logits[:, 0] + module.loc_bias


def mixed(given, **arguments):
    """A module whose gates are neither all open nor all closed."""
    torch.manual_seed(0)
    module = away(UPN({m: s.x.shape[-1] for m, s in given.items()}, **arguments))
    for m, s in given.items():
        rows = [
            log_alpha(module, m, tokens(given, row)[m])
            for row in range(len(s.mask))
            if s.present[row]
        ]
        middle = (np.concatenate(rows).max() + np.concatenate(rows).min()) / 2
        module.scorers[m].excite[2].bias.data += np.log(2) - middle  # c = 0.6 at log 2
    return module


def gapped(modalities):
    """`signals`, and for the first sample a token in the middle that is not real."""
    given = signals(modalities)
    for m, (x, mask) in given.items():
        mask = mask.clone()
        mask[0, 1] = False
        given[m] = Signal(x.masked_fill(~mask.unsqueeze(-1), float('nan')), mask)
    return given


@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_in_evaluation_a_token_stays_whose_stretched_sigmoid_exceeds_the_threshold(modalities):
    given = gapped(modalities)
    module = mixed(given)
    calibration = module(given, NOBODY_ASKS)
    assert not calibration.losses
    seen = []
    for row in range(2**modalities):
        for m, x in tokens(given, row).items():
            c = np.clip(sigmoid(log_alpha(module, m, x)) * (1.0 + 0.2) - 0.2, 0, 1)
            gate = (c > 0.6).astype(float)
            seen.extend(gate)
            same(calibration.evidence['gate'][m][row, given[m].mask[row]], gate)
            same(calibration.signals[m].x[row, given[m].mask[row]], gate[:, None] * x)
    assert 0 < np.mean(seen) < 1
    for m in given:
        assert torch.equal(calibration.signals[m].mask, given[m].mask)
        assert (calibration.evidence['gate'][m][~given[m].mask] == 0).all()


@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_the_penalty_is_the_closed_form_over_real_tokens_of_each_modality(modalities):
    given = gapped(modalities)
    module = mixed(given, beta=0.5, gamma=-0.3, zeta=1.2, penalty_weight=0.7).train()
    losses = module(given, NOBODY_ASKS).losses
    total = 0.0
    for m in given:
        every = [tokens(given, row) for row in range(2**modalities)]
        each = np.concatenate([log_alpha(module, m, own[m]) for own in every if m in own])
        total += sigmoid(each - 0.5 * np.log(0.3 / 1.2)).mean()
    assert list(losses) == ['loss_l0']
    same(losses['loss_l0'], 0.7 * total)


def drawn(module, value, count=200_000):
    """Gates in training, and their gradients, of as many equal tokens."""
    log_alpha = torch.full((1, count), value, dtype=torch.float64, requires_grad=True)
    gate = module.train().gate(log_alpha)
    return gate.detach(), torch.autograd.grad(gate.sum(), log_alpha)[0]


@pytest.mark.parametrize(
    ('value', 'threshold'), list(product([-1.5, -0.3, 0.8, 2.0], [0.0, 0.4, 0.6]))
)
def test_in_training_a_gate_is_open_as_often_as_the_hard_concrete_distribution_says(
    value, threshold
):
    torch.manual_seed(0)
    module = UPN({'audio': 4}, threshold=threshold)
    gate, _ = drawn(module, value)
    assert set(gate.unique().tolist()) <= {0.0, 1.0}
    # c > t where s > q = (t + 0.2) / 1.2, so where logit(u) > beta logit(q) - log alpha
    q = (threshold + 0.2) / 1.2
    expected = sigmoid(value - np.log(q / (1 - q)) / 3)
    assert gate.mean().item() == pytest.approx(expected, abs=0.005)  # 4 standard errors
    if threshold == 0:
        penalty = module.penalty(torch.full((1, 1), value), torch.ones(1, 1, dtype=torch.bool))
        assert penalty.item() == pytest.approx(gate.mean().item(), abs=0.005)


def test_the_gradient_of_a_gate_is_that_of_its_clipped_value():
    module, value = UPN({'audio': 4}), 0.2
    torch.manual_seed(0)
    u = torch.empty(1, 50, dtype=torch.float64).uniform_(1e-6, 1 - 1e-6).numpy()
    torch.manual_seed(0)
    gate, gradient = drawn(module, value, 50)
    s = sigmoid((np.log(u) - np.log(1 - u) + value) * 3)
    c = s * 1.2 - 0.2
    same(gate, (c > 0.6).astype(float))
    same(gradient, np.where(c > 0, 1.2 * 3 * s * (1 - s), 0.0))
    module.eval()
    at = torch.tensor([[value, -3.0]], dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(module.gate(at).sum(), at)[0]
    s = sigmoid(value)
    same(gradient, np.array([[1.2 * s * (1 - s), 0.0]]))


def test_gates_start_open():
    given = {m: Signal(s.x.float(), s.mask) for m, s in signals().items()}
    gates = UPN(WIDTHS).eval()(given).evidence['gate']
    assert all(torch.equal(gates[m] > 0, s.mask) for m, s in given.items())
    gate, _ = drawn(UPN(WIDTHS), 0.0 + UPN(WIDTHS).loc_bias)
    assert gate.mean().item() == pytest.approx(0.94, abs=0.005)


def test_the_same_module_reads_any_number_of_tokens():
    module = mixed(gapped(1))
    for length in (1, 2, 30):
        x = torch.randn(2, length, 7).double()
        given = {'text': Signal(x, torch.ones(2, length, dtype=torch.bool))}
        gate = module(given).evidence['gate']['text']
        for row in range(2):
            c = sigmoid(log_alpha(module, 'text', x[row].numpy())) * 1.2 - 0.2
            same(gate[row], (c > 0.6).astype(float))


def test_noise_is_there_in_training_only():
    given = signals()
    module = mixed(given)
    for training in (False, True):
        module.train(training)
        gates = [module(given).evidence['gate']['text'] for _ in range(2)]
        assert torch.equal(*gates) is not training


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'beta': 0.0}, r'UPN\(beta=0.0, penalty_weight=0.1\); beta is above 0'),
        ({'penalty_weight': -1.0}, r'penalty_weight=-1.0\).*penalty_weight is 0 or more'),
        ({'gamma': 0.0}, r'UPN\(gamma=0.0, threshold=0.6, zeta=1.0\); gamma < 0'),
        ({'threshold': -0.1}, r'threshold=-0.1.*0 <= threshold'),
        ({'zeta': 0.5}, r'zeta=0.5\).*threshold < zeta'),
        ({'zeta': 1.3, 'threshold': 1.0}, r'threshold=1.0.*threshold < 1'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UPN(WIDTHS, **arguments)
