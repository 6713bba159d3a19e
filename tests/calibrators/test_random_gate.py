"""RandomGate against the moments that it promises."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, signals
from vgmr_paper import layer_norm

from mmcalib.calibrators.norm_only import NormOnly
from mmcalib.calibrators.random_gate import RandomGate
from mmcalib.contract import Signal


def many() -> dict[str, Signal]:
    torch.manual_seed(0)
    mask = torch.ones(200, 50, dtype=torch.bool)
    return {m: Signal(torch.randn(200, 50, dim), mask) for m, dim in WIDTHS.items()}


@pytest.mark.parametrize(('mean', 'std'), [(1.0, 0.1), (0.9, 0.3), (0.5, 0.25)])
def test_the_gate_has_the_moments_and_bounds_that_were_asked_for(mean, std):
    seen = RandomGate(WIDTHS, mean=mean, std=std).train()(many()).evidence['gate']
    for gate in seen.values():
        assert abs(gate.mean().item() - mean) < 5 * std / gate.numel() ** 0.5
        assert abs(gate.std().item() / std - 1) < 0.02
        assert mean - 3**0.5 * std <= gate.min() and gate.max() <= mean + 3**0.5 * std
        assert gate.min() >= 0
        # Not shared: deviations of neighbours along each axis are uncorrelated.
        apart = gate - mean
        for axis in range(3):
            moved = (apart * apart.roll(1, axis)).mean().item()
            assert abs(moved) < 0.03 * std**2


@pytest.mark.parametrize('post', ['norm', 'none'])
def test_signals_are_gated_and_then_normalised(post):
    torch.manual_seed(0)
    module, given = RandomGate(WIDTHS, std=0.3, post=post, dropout=0.0).train(), many()
    calibration = module(given)
    for m, signal in given.items():
        gated = (signal.x * calibration.evidence['gate'][m]).numpy()
        expected = layer_norm(gated) if post == 'norm' else gated
        actual = calibration.signals[m].x.detach().numpy()
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_in_evaluation_the_gate_is_its_mean():
    given = many()
    calibration = RandomGate(WIDTHS, mean=0.7, post='none').eval()(given)
    for m, signal in given.items():
        assert calibration.evidence['gate'][m].eq(0.7).all()
        torch.testing.assert_close(calibration.signals[m].x, 0.7 * signal.x)


def test_without_spread_it_is_normalisation():
    given = {m: Signal(s.x.float(), s.mask) for m, s in signals().items()}
    normed = NormOnly(WIDTHS).eval()(given).signals
    for m, signal in RandomGate(WIDTHS, std=0.0).eval()(given).signals.items():
        assert torch.equal(signal.clean(), normed[m].clean())
        assert torch.equal(signal.mask, given[m].mask)


def test_dropout_is_behind_the_norm_only():
    module = RandomGate({'audio': 50}, std=0.0, dropout=0.5).train()
    one = {'audio': Signal(torch.randn(100, 2, 50), torch.ones(100, 2).bool())}
    assert 0.4 < module(one).signals['audio'].x.eq(0).float().mean() < 0.6
    plain = RandomGate({'audio': 50}, std=0.0, dropout=0.5, post='none').train()
    assert torch.equal(plain(one).signals['audio'].x, one['audio'].x)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'std': -0.1}, r'std=-0\.1.*\[0, mean / sqrt\(3\)\]'),
        ({'mean': 1.0, 'std': 0.6}, r'mean=1\.0, std=0\.6.*negative'),
        ({'mean': -1.0, 'std': 0.0}, r'mean=-1\.0'),
        ({'post': 'layer'}, r"post='layer'.*norm, none"),
        ({'dropout': 1.0}, r'dropout=1\.0.*\[0, 1\)'),
        ({'dims': {'audio': 0}}, 'one positive width'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomGate(**{'dims': WIDTHS, **arguments})
