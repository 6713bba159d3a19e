"""VGMR without each of its parts, and its two controls, against the paper's equations in numpy."""

import inspect
from itertools import product

import numpy as np
import pytest
import torch
from rivals import WIDTHS, away, same, signals, tokens
from vgmr_paper import Settings, refine, summaries, symbols

from mmcalib.calibrators.own_gate import OwnGate
from mmcalib.calibrators.shuffled_vgmr import ShuffledVGMR
from mmcalib.calibrators.vgmr import VGMR
from mmcalib.contract import Signal, Signals, Supervision

PARTS = ('value', 'channel_value', 'agreement', 'discrepancy')
VALUES = PARTS[:2]
SWITCHES = [dict(zip(PARTS, on, strict=True)) for on in product([True, False], repeat=4)]
W = 6


def vgmr(**arguments: object) -> VGMR:
    torch.manual_seed(0)
    return away(VGMR(WIDTHS, width=W, dropout=0.0, **arguments))


def every(given: Signals, row: int) -> dict[str, np.ndarray]:
    """Real tokens of a sample, none of an absent modality."""
    return {m: s.x[row, s.mask[row]].detach().numpy() for m, s in given.items()}


def weights(module: VGMR) -> dict:
    return {m: symbols(branch) for m, branch in module.branches.items()}


def agree(module: VGMR, given: Signals, settings: Settings, met=None) -> None:
    """Every quantity is the oracle's; met(row, m) are the tokens in place of the partners."""
    calibration = module(given)
    for row in range(len(next(iter(given.values())).mask)):
        own = every(given, row)
        strangers = None if met is None else {m: met(row, m) for m in own}
        for m, expected in refine(own, weights(module), settings, strangers).items():
            if not given[m].present[row]:
                continue
            real = given[m].mask[row]
            seen = {name: e[m][row] for name, e in calibration.evidence.items()}
            for name, value in (('value', expected.g), ('channel_value', expected.p)):
                assert (name in seen) is (value is not None)
                if value is not None:
                    same(seen[name], value)
            same(seen['gate'][real], expected.gate)
            same(seen['effective_gate'][real], expected.effective)
            same(calibration.signals[m].x[row, real], expected.x)


@pytest.mark.parametrize('on', SWITCHES, ids=lambda on: '-'.join(k for k in on if on[k]) or 'none')
def test_what_remains_is_the_papers(on):
    agree(vgmr(**on), signals(), Settings(0.5, 0.2, 'gate_then_norm', 'norm', **on))


@pytest.mark.parametrize('on', SWITCHES[::4], ids=str)
@pytest.mark.parametrize('modalities', [1, 3])
def test_the_own_context_is_the_papers_without_partners(on, modalities):
    torch.manual_seed(0)
    dims = dict(list(WIDTHS.items())[:modalities])
    module = away(VGMR(dims, width=W, context='own', **on))
    settings = Settings(0.5, 0.2, 'gate_then_norm', 'norm', **on, partners=False)
    agree(module, signals(modalities), settings)


@pytest.mark.parametrize('on', SWITCHES, ids=str)
@pytest.mark.parametrize('context', ['partners', 'own', 'shuffled'])
def test_what_is_ablated_has_no_parameters_and_the_rest_learns(on, context):
    """By hand: weights and biases of what is left, with n partners in the interaction."""
    module = vgmr(context=context, **on).train()
    n = 0 if context == 'own' else 2
    evidence = 1 + (n + on['agreement'] * n + on['discrepancy'] * n + 1 if n else 0)
    expected = 0
    for d in WIDTHS.values():
        expected += (d * W + W) + (d * d + d) + (W * d + d) + 2 * d  # P, rho_x, rho_h, norm
        if on['value'] or on['channel_value']:
            expected += sum(k * W * W + W + W * W + W for k in (2, evidence, 2))  # phi, psi, eta
        expected += on['value'] * ((W + 1) + 2 * d) + on['channel_value'] * (W * W + W + W * d + d)
    assert sum(p.numel() for p in module.parameters()) == expected
    calibration = module(signals())
    sum(s.clean().square().sum() for s in calibration.signals.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    assert set(calibration.evidence) == {'gate', 'effective_gate'} | {v for v in VALUES if on[v]}


def control(kind: type, **arguments: object) -> VGMR:
    """The VGMR inside a control."""
    torch.manual_seed(0)
    return away(kind(WIDTHS, width=W, dropout=0.0, **arguments)).vgmr


@pytest.mark.parametrize(('kind', 'context'), [(OwnGate, 'own'), (ShuffledVGMR, 'shuffled')])
def test_a_control_is_vgmr_with_another_context(kind, context):
    """All its arguments arrive, their defaults are VGMR's, and so are its numbers."""
    theirs, vgmrs = (inspect.signature(c).parameters for c in (kind, VGMR))
    assert list(theirs) == list(vgmrs)[: len(theirs)]
    assert all(theirs[name].default == vgmrs[name].default for name in theirs)
    arguments = {
        'width': 3, 'alpha': 0.7, 'beta': 0.1, 'order': 'norm_then_gate', 'post': 'norm',
        'dropout': 0.0, 'value_weight': 0.3, 'reg_weight': 0.4, 'warmup_steps': 0,
    }  # fmt: skip
    given, supervision = signals(), Supervision(torch.zeros(8), lambda s: s['text'].mean().sum(1))
    seen = []
    for build in (
        lambda: kind(WIDTHS, **arguments),
        lambda: VGMR(WIDTHS, context=context, **arguments),
    ):
        torch.manual_seed(3)
        module = away(build()).train()
        calibration = module(given, supervision)
        seen.append(
            [*calibration.losses.values(), *(s.clean() for s in calibration.signals.values())]
        )
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_the_shuffled_control_is_as_large_as_vgmr():
    sizes = [sum(p.numel() for p in c(WIDTHS).parameters()) for c in (VGMR, ShuffledVGMR, OwnGate)]
    assert sizes[0] == sizes[1] > sizes[2]


def test_an_own_gate_does_not_see_partners():
    """In training, losses included, but for the value's target, which comes from the task."""
    module, given = OwnGate(WIDTHS, width=W, dropout=0.0), signals()
    away(module).train()
    leaves = {m: Signal(s.x.nan_to_num().requires_grad_(), s.mask) for m, s in given.items()}
    calibration = module(leaves, Supervision(torch.zeros(8), lambda s: torch.zeros(8)))
    calibration.signals['text'].clean().square().sum().backward()
    assert leaves['text'].x.grad.abs().sum() > 0
    for m in ('audio', 'video'):
        assert leaves[m].x.grad is None or leaves[m].x.grad.eq(0).all()
    other = {**given, 'audio': given['audio'].missing()}
    assert torch.equal(module(other).signals['text'].clean(), module(given).signals['text'].clean())


def test_a_shuffled_sample_meets_the_partners_of_the_one_before_it():
    module, given = control(ShuffledVGMR).train(), signals()
    settings = Settings(0.5, 0.2, 'gate_then_norm', 'norm')
    agree(module, given, settings, met=lambda row, m: every(given, (row - 1) % 8))


def test_in_training_gradients_reach_the_neighbours_partners():
    module, given = control(ShuffledVGMR).train(), signals()
    leaves = {m: Signal(s.x.nan_to_num().requires_grad_(), s.mask) for m, s in given.items()}
    module(leaves).signals['text'].x[1].square().sum().backward()
    moved = leaves['audio'].x.grad.abs().sum((1, 2))
    assert moved[0] > 0 and moved[1:].eq(0).all()  # the first sample has all modalities


def picked(module: VGMR, given: Signals, kept: list[dict], row: int, m: str) -> int:
    """The rule by hand: the coordinate that most exceeds the mean of the kept; absent is zero."""
    known = [summaries(sample, weights(module))[m] for sample in kept]
    mean = sum((s for s in known if s is not None), np.zeros(W)) / len(kept)
    own = summaries(every(given, row), weights(module))[m]
    return int((own - mean).argmax()) % len(kept)


@pytest.mark.parametrize('count', [1, 3, 8])
def test_in_evaluation_a_shuffled_sample_meets_one_that_was_trained_on(count):
    module, trained = control(ShuffledVGMR).train(), signals()
    trained = {m: Signal(s.x[:count], s.mask[:count]) for m, s in trained.items()}
    module(trained)
    kept = [every(trained, row) for row in range(count)]
    module.eval()
    given, chosen = signals(), []  # other numbers

    def met(row, m):
        if not given[m].present[row]:
            return kept[0]
        chosen.append(picked(module, given, kept, row, m))
        return kept[chosen[-1]]

    agree(module, given, Settings(0.5, 0.2, 'gate_then_norm', 'norm'), met)
    assert count < 8 or len(set(chosen)) > 2, 'all meet the same'


def test_before_any_training_a_shuffled_sample_meets_nobody():
    nobody = {m: np.zeros((0, dim)) for m, dim in WIDTHS.items()}
    settings = Settings(0.5, 0.2, 'gate_then_norm', 'norm')
    agree(control(ShuffledVGMR), signals(), settings, met=lambda row, m: nobody)


def test_a_batch_of_one_meets_the_past_and_can_learn():
    module, given = control(ShuffledVGMR).train(), signals()
    one, two = ({m: Signal(s.x[[i]], s.mask[[i]]) for m, s in given.items()} for i in (0, 1))
    module(one)
    copy = {k: v.clone() for k, v in module.state_dict().items()}
    trained = module(two)
    sum(s.clean().square().sum() for s in trained.signals.values()).backward()
    module.load_state_dict(copy)
    for m, signal in module.eval()(two).signals.items():
        assert torch.equal(signal.clean(), trained.signals[m].clean())


def test_the_last_64_samples_are_kept():
    module = control(ShuffledVGMR).train()
    seen = {m: torch.randn(150, 1, dim).double() for m, dim in WIDTHS.items()}
    for start, end in ((0, 10), (10, 110), (110, 130), (130, 150)):
        module(
            {m: Signal(x[start:end], torch.ones(end - start, 1).bool()) for m, x in seen.items()}
        )
    kept = module.strangers.rows
    hidden = module.branches['text'].project(seen['text'][:, 0])
    expected = module.branches['text'].summary(torch.cat([hidden, hidden], 1))[-64:]
    nearest = torch.cdist(expected, kept[:, 0, :-1])
    assert nearest.argmin(1).unique().numel() == 64 and nearest.amin(1).max() < 1e-6
    assert kept[:, :, -1].eq(1).all()


def test_in_evaluation_a_shuffled_sample_depends_on_neither_neighbours_nor_its_partners():
    module, given = control(ShuffledVGMR).train(), signals()
    module(given)
    module.eval()
    state = {k: v.clone() for k, v in module.state_dict().items()}
    whole = module(given)
    for row in range(7):  # the last has nothing
        alone = module({m: Signal(s.x[[row]], s.mask[[row]]) for m, s in given.items()})
        for m in tokens(given, row):
            same(alone.signals[m].clean()[0], whole.signals[m].clean()[row].detach().numpy())
    moved = {m: s if m == 'text' else Signal(s.x * 9, s.mask.flip(0)) for m, s in given.items()}
    moved = {m: Signal(s.x.nan_to_num(), s.mask) for m, s in moved.items()}
    assert torch.equal(module(moved).signals['text'].clean(), whole.signals['text'].clean())
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
