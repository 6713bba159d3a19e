"""MAG against its equations in numpy, token by token."""

import numpy as np
import pytest
import torch
from rivals import LENGTHS, WIDTHS, affine, away, complete, relu, same, signals, tokens, widths

from mmcalib.calibrators.mag import MAG


def displace(shift, x, partners, beta):
    """z~ and alpha of one token x (D,), with what it meets of each partner (D_o,)."""
    if not partners:
        return x, None
    h = shift.bias.detach().numpy().copy()
    for o, v in partners.items():
        h += relu(affine(shift.gate[o], np.concatenate([x, v]))) * affine(shift.move[o], v)
    alpha = min(beta * np.linalg.norm(x) / np.linalg.norm(h), 1)
    return x + alpha * h, alpha


def partly_aligned(modalities):
    """Text and audio have the same tokens in the first sample only, though more room for text."""
    given = signals(modalities)
    given['text'].mask[0, LENGTHS['audio'] :] = False
    return given


@pytest.mark.parametrize('modalities', [2, 3])
@pytest.mark.parametrize('beta', [0.2, 50.0])
def test_each_token_is_the_papers(modalities, beta):
    module, given = away(MAG(widths(modalities), beta=beta)), partly_aligned(modalities)
    calibration = module(given)
    for row in range(2**modalities):
        own = tokens(given, row)
        for m in own:
            for t, x in enumerate(own[m]):
                met = {
                    o: v[t] if len(v) == len(own[m]) else v.mean(0)
                    for o, v in own.items()
                    if o != m
                }
                moved, alpha = displace(module.shifts[m], x, met, beta)
                same(calibration.signals[m].x[row, t], moved)
                if alpha is not None:
                    same(calibration.evidence['alpha'][m][row, t], alpha)


def test_a_displacement_is_no_longer_than_beta_times_its_token():
    module, given = away(MAG(widths(2), beta=0.1)), complete(4)
    for m, signal in module(given).signals.items():
        moved = (signal.x - given[m].x).norm(dim=-1)
        assert (moved <= 0.1 * given[m].x.norm(dim=-1) * (1 + 1e-9)).all()


def test_the_anchor_alone_is_displaced():
    module, given = away(MAG(WIDTHS, anchor='text')), complete(4, modalities=3)
    calibration = module(given)
    for m in ('audio', 'video'):
        assert torch.equal(calibration.signals[m].x, given[m].x)
    assert not torch.allclose(calibration.signals['text'].x, given['text'].x)
    assert list(calibration.evidence['alpha']) == ['text']
    assert all(name.startswith('shifts.text.') for name, _ in module.named_parameters())


def test_a_zero_token_has_a_finite_gradient():
    module, given = MAG(widths(2)).double(), complete(2)
    zeros = {m: s._replace(x=torch.zeros_like(s.x).requires_grad_()) for m, s in given.items()}
    sum(s.x.sum() for s in module(zeros).signals.values()).backward()
    assert all(s.x.grad.isfinite().all() for s in zeros.values())
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize(
    ('dims', 'arguments', 'message'),
    [
        ({'audio': 3}, {}, r"MAG needs two or more modalities.*\['audio'\]"),
        (WIDTHS, {'beta': 0.0}, r'MAG\(beta=0.0\); it is positive'),
        (WIDTHS, {'anchor': 'smell'}, r"MAG\(anchor='smell'\).*\['text', 'audio', 'video'\]"),
    ],
)
def test_bad_arguments_are_refused(dims, arguments, message):
    with pytest.raises(ValueError, match=message):
        MAG(dims, **arguments)
