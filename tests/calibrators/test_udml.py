"""UDML against its formulas in numpy, and the noise against its statistics."""

import math

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, complete, relu, same, signals, tokens, widths

from mmcalib.calibrators.udml import UDML
from mmcalib.contract import Signal, Supervision

BLIND = Supervision(torch.zeros(0), lambda _: torch.zeros(0))  # it must ask nothing


def variance(module, m, x):
    """s^2 of one modality's tokens (L, D)."""
    head = module.variance[m]
    return np.exp(affine(head[2], relu(affine(head[0], x))).mean())


@pytest.mark.parametrize('modalities', [2, 3])
def test_weights_are_inverse_variances(modalities):
    module, given = away(UDML(widths(modalities), width=6)), signals(modalities)
    calibration = module(given)
    for row in range(2**modalities):
        own = tokens(given, row)
        precision = {m: 1 / variance(module, m, x) for m, x in own.items()}
        for m, x in own.items():
            weight = len(own) * precision[m] / sum(precision.values())
            same(calibration.evidence['weight'][m][row], weight)
            same(calibration.evidence['log_variance'][m][row], -np.log(precision[m]))
            same(calibration.signals[m].x[row, given[m].mask[row]], x + weight * x)
        for m in given.keys() - own.keys():
            assert calibration.evidence['weight'][m][row] == 0


def test_with_two_the_weights_are_the_papers():
    module, given = away(UDML(widths(2), width=6)), complete(1)
    weight = module(given).evidence['weight']
    text, audio = (variance(module, m, tokens(given, 0)[m]) for m in given)
    same(weight['text'], 2 * audio / (audio + text))
    same(weight['audio'], 2 * text / (audio + text))


def test_the_noise_is_as_strong_as_its_level_says():
    module = UDML({'a': 4000, 'b': 4000}, width=1, levels=3, unit=0.5).train()
    signal = Signal(torch.zeros(90, 1, 4000), torch.ones(90, 1, dtype=torch.bool))
    noised = module.noise(signal)
    strength = (noised.log_variance / 2).exp()
    levels = (strength / 0.5).round()
    assert set(levels.tolist()) == {1, 2, 3}
    torch.testing.assert_close(strength, 0.5 * levels)
    torch.testing.assert_close(noised.signal.x.std(dim=(1, 2)), strength, rtol=0.06, atol=0)
    assert noised.signal.x.mean().abs() < 0.02


def test_the_noise_enters_the_signals_in_training_only():
    module, given = UDML(widths(2), width=6).double(), complete(5)
    with torch.no_grad():
        module.eval()
        assert torch.equal(module(given).signals['text'].x, module(given).signals['text'].x)
        module.train()
        one, two = (module(given) for _ in range(2))
    assert not torch.allclose(one.signals['text'].x, two.signals['text'].x)
    assert not one.losses  # without supervision


def test_the_loss_is_the_distance_of_logarithms_over_what_is_there():
    module, given = UDML(widths(2), width=6, levels=1, unit=0.3, noise_weight=0.2), complete(3)
    given['audio'] = Signal(given['audio'].x, torch.tensor([[True] * 2, [False] * 2, [True] * 2]))
    calibration = module.double().train()(given, BLIND)
    log = {m: v.numpy() for m, v in calibration.evidence['log_variance'].items()}
    target = 2 * math.log(0.3)
    text = ((log['text'] - target) ** 2).mean()
    audio = ((log['audio'][[0, 2]] - target) ** 2).mean()
    assert list(calibration.losses) == ['loss_noise']
    same(calibration.losses['loss_noise'], 0.2 * (text + audio) / 2)


def test_the_head_learns_the_noise_of_a_constant_modality():
    """Then the noisier modality weighs less."""
    dims = {'a': 8, 'b': 8}
    module = UDML(dims, width=16, noise_weight=1.0).train()
    optimiser = torch.optim.Adam(module.parameters(), 3e-2)
    given = {m: Signal(torch.zeros(32, 4, 8), torch.ones(32, 4, dtype=torch.bool)) for m in dims}
    for _ in range(60):
        optimiser.zero_grad()
        module(given, BLIND).losses['loss_noise'].backward()
        optimiser.step()
    noisy = {**given, 'a': Signal(torch.randn(32, 4, 8), given['a'].mask)}
    noisy['b'] = Signal(0.2 * torch.randn(32, 4, 8), given['b'].mask)
    weight = module.eval()(noisy).evidence['weight']
    assert (weight['a'] < 0.5).all() and (weight['b'] > 1.5).all()


def test_the_task_does_not_train_the_heads_and_the_heads_do_not_train_the_features():
    module, given = UDML(widths(2), width=6).double().train(), complete(3)
    leaves = {m: Signal(s.x.requires_grad_(), s.mask) for m, s in given.items()}
    calibration = module(leaves, BLIND)
    calibration.losses['loss_noise'].backward(retain_graph=True)
    assert all(s.x.grad is None for s in leaves.values())
    before = [p.grad.clone() for p in module.parameters()]
    sum(s.x.sum() for s in calibration.signals.values()).backward()
    for parameter, grad in zip(module.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, grad)


@pytest.mark.parametrize(
    ('dims', 'arguments', 'message'),
    [
        ({'audio': 3}, {}, r"UDML needs two or more modalities.*\['audio'\]"),
        (WIDTHS, {'levels': 0}, r'UDML\(width=128, levels=0\); both are 1 or more'),
        (WIDTHS, {'unit': 0.0}, r'UDML\(unit=0.0, noise_weight=0.1\); unit is positive'),
        (WIDTHS, {'noise_weight': -1.0}, r'noise_weight=-1.0\).*noise_weight is 0 or more'),
    ],
)
def test_bad_arguments_are_refused(dims, arguments, message):
    with pytest.raises(ValueError, match=message):
        UDML(dims, **arguments)
