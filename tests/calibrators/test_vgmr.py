"""VGMR against the paper's equations in numpy, and against what follows from them by hand."""

from itertools import product

import numpy as np
import pytest
import torch
from vgmr_paper import Refined, Settings, layer_norm, refine, symbols

from mmcalib.calibrators.vgmr import VGMR
from mmcalib.contract import Signal, Signals

WIDTHS = {'text': 7, 'audio': 4, 'video': 5, 'flow': 3}
LENGTHS = {'text': 5, 'audio': 3, 'video': 4, 'flow': 1}
BIMODAL = {'audio': 3, 'video': 4}


def vgmr(modalities: int = 3, **arguments: object) -> VGMR:
    """In evaluation, float64, and away from its start, where every gate is the same."""
    torch.manual_seed(0)
    module = VGMR(dict(list(WIDTHS.items())[:modalities]), width=6, **arguments).double().eval()
    for parameter in module.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return module


def signals(module: VGMR, complete: bool = False) -> Signals:
    """A sample per subset of modalities, ragged, with NaN where a token is not real."""
    subsets = list(product([True, False], repeat=len(module.dims)))
    given = {}
    for index, (m, dim) in enumerate(module.dims.items()):
        length = LENGTHS[m]
        rows = torch.arange(len(subsets)).unsqueeze(1)
        here = torch.tensor([[subset[index] or complete] for subset in subsets])
        mask = (torch.arange(length) < length - rows % length) & here
        x = 2 * torch.randn(len(subsets), length, dim, dtype=torch.float64) + 1
        given[m] = Signal(x.masked_fill(~mask.unsqueeze(-1), float('nan')), mask)
    return given


def paper(module: VGMR, given: Signals, row: int, order: str, post: str) -> dict[str, Refined]:
    tokens = {m: s.x[row, s.mask[row]].numpy() for m, s in given.items()}
    weights = {m: symbols(module.branches[m]) for m in given}
    return refine(tokens, weights, Settings(module.alpha, module.beta, order, post))


def fresh() -> Signals:
    """Four complete bimodal samples in float32."""
    return {
        m: Signal(torch.randn(4, 2, dim) + 3, torch.ones(4, 2, dtype=torch.bool))
        for m, dim in BIMODAL.items()
    }


def same(actual: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('post', ['norm', 'none'])
@pytest.mark.parametrize('order', ['gate_then_norm', 'norm_then_gate'])
@pytest.mark.parametrize('modalities', [2, 3, 4])
def test_every_quantity_is_the_papers(modalities, order, post):
    module = vgmr(modalities, alpha=0.7, beta=0.1, order=order, post=post)
    given = signals(module)
    calibration = module(given)
    for row in range(2**modalities):
        for m, expected in paper(module, given, row, order, post).items():
            if not given[m].present[row]:
                continue  # what is absent has no value and no gate
            real = given[m].mask[row]
            evidence = {name: seen[m][row] for name, seen in calibration.evidence.items()}
            same(evidence['value'], expected.g)
            same(evidence['channel_value'], expected.p)
            same(evidence['gate'][real], expected.gate)
            same(evidence['effective_gate'][real], expected.effective)
            same(calibration.signals[m].x[row, real], expected.x)


@pytest.mark.parametrize('modalities', [2, 3, 4])
def test_the_interaction_reads_what_equation_8_lists(modalities):
    module = vgmr(modalities)
    given = signals(module)
    seen = {}
    for m, branch in module.branches.items():
        branch.interaction.register_forward_pre_hook(
            lambda _, args, m=m: seen.__setitem__(m, args[0])
        )
    module(given)
    width = (2 + 3 * (modalities - 1)) * 6
    for row in range(2**modalities):
        for m, expected in paper(module, given, row, 'gate_then_norm', 'norm').items():
            assert seen[m].shape[1] == width
            same(seen[m][row], expected.interaction_input)


def test_with_two_modalities_the_context_is_the_partner():
    module = vgmr(2)
    seen = {}
    for m, branch in module.branches.items():
        branch.interaction.register_forward_pre_hook(
            lambda _, args, m=m: seen.__setitem__(m, args[0].split(6, dim=1))
        )
    module(signals(module))
    for own, other in (('text', 'audio'), ('audio', 'text')):
        _, partner, _, _, context = seen[own]
        assert torch.equal(context, partner)
        assert torch.equal(partner, seen[other][0])


def test_masks_and_modalities_stay_and_nothing_appears_where_a_modality_is_absent():
    module = vgmr()
    given = signals(module)
    refined = module(given).signals
    assert list(refined) == list(given)
    assert all(torch.equal(refined[m].mask, given[m].mask) for m in given)


def test_an_absent_partner_acts_as_if_it_had_never_been_there():
    """Zeros for it, and a context over the rest: its values reach nothing."""
    module = vgmr()
    given = signals(module, complete=True)
    gone = {**given, 'video': given['video'].missing()}
    moved = {**gone, 'video': Signal(given['video'].x.nan_to_num() * 9, gone['video'].mask)}
    one, two = module(gone), module(moved)
    for m in ('text', 'audio'):
        assert torch.equal(one.signals[m].clean(), two.signals[m].clean())
        assert not torch.allclose(one.evidence['value'][m], module(given).evidence['value'][m])


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize('beta', [0.0, 0.2, 0.5, 1.0])
def test_the_effective_gate_reaches_the_ends_of_its_range_and_no_further(alpha, beta):
    module = vgmr(alpha=alpha, beta=beta)
    given = signals(module, complete=True)
    half = (1 - beta) * alpha
    for sign in (-1, 1):
        for branch in module.branches.values():
            branch.gate_x.bias.data.fill_(sign * 1e4)
        for m, gate in module(given).evidence['effective_gate'].items():
            same(gate[given[m].mask], np.full(gate[given[m].mask].shape, 1 + sign * half))


def test_the_defaults_are_the_papers():
    module = VGMR(BIMODAL).eval()
    assert (module.alpha, module.beta, module.order) == (0.5, 0.2, 'gate_then_norm')
    for branch in module.branches.values():
        branch.gate_x.weight.data.normal_()
    for signal in module(fresh()).signals.values():  # the norm is there, and comes last
        np.testing.assert_allclose(signal.x.detach().mean(-1), np.zeros((4, 2)), atol=1e-5)


def test_it_starts_neutral():
    given = fresh()
    for post in ('norm', 'none'):
        calibration = VGMR(BIMODAL, post=post).eval()(given)
        for m, signal in given.items():
            assert calibration.evidence['gate'][m].eq(0.5).all()
            assert calibration.evidence['effective_gate'][m].eq(1).all()
            expected = layer_norm(signal.x.numpy()) if post == 'norm' else signal.x.numpy()
            np.testing.assert_allclose(calibration.signals[m].x.detach(), expected, atol=1e-5)


def test_dropout_follows_the_norm_and_is_left_out_without_it():
    given = fresh()
    torch.manual_seed(1)
    dropped = VGMR(BIMODAL, dropout=0.5).train()(given).signals
    kept = VGMR(BIMODAL, dropout=0.5, post='none').train()(given).signals
    for m, signal in given.items():
        out = dropped[m].x.detach().numpy()
        expected = 2 * layer_norm(signal.x.numpy())
        assert 0 < (out == 0).sum() < out.size
        np.testing.assert_allclose(out[out != 0], expected[out != 0], rtol=1e-4)
        torch.testing.assert_close(kept[m].x, signal.x)


def test_alpha_and_beta_act_only_through_their_product():
    outputs = []
    for alpha, beta in ((0.5, 0.2), (0.4, 0.0), (0.8, 0.5)):  # (1 - beta) * alpha = 0.4
        module = vgmr(alpha=alpha, beta=beta)
        torch.manual_seed(1)
        outputs.append(module(signals(module, complete=True)).signals['text'].clean())
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2])


@pytest.mark.parametrize('bias', [-3.0, 2.0])
def test_layer_norm_cancels_a_gate_that_is_constant_over_features_unless_it_comes_first(bias):
    """LN(c x) = LN(x): 'gate_then_norm' cannot turn a modality down, 'norm_then_gate' can."""
    given = {m: Signal(100 * s.x, s.mask) for m, s in fresh().items()}  # the epsilon is nothing
    constant = 1 + 0.4 * np.tanh(bias / 2)  # 2 sigmoid(b) - 1 = tanh(b / 2)
    for order, factor in (('gate_then_norm', 1.0), ('norm_then_gate', constant)):
        module = VGMR(BIMODAL, order=order).eval()
        for branch in module.branches.values():
            branch.gate_value.bias.data.fill_(bias)
        for m, signal in module(given).signals.items():
            expected = factor * layer_norm(given[m].x.numpy())
            np.testing.assert_allclose(signal.x.detach(), expected, rtol=1e-4, atol=1e-5)


def closed_form(dims: list[int], width: int) -> int:
    """Weights and biases, by hand, with n = M - 1 partners.

    Of width^2: phi 2 + 1, psi (2 + 3n) + 1, eta 2 + 1, W_p 1. Of width: P's bias 1, two biases each
    of phi, psi and eta, w_g and W_p's bias 2. Of width * d: P, rho_h, rho_p. Of d^2: rho_x. Of d:
    four biases of rho, rho_g's matrix, and scale and shift of the norm. And the bias of w_g.
    """
    n = len(dims) - 1
    square = 3 + (3 + 3 * n) + 3 + 1
    return sum(square * width**2 + 9 * width + 3 * width * d + d**2 + 7 * d + 1 for d in dims)


@pytest.mark.parametrize('dims', [[300, 74, 35], [768, 74, 35], [512, 512], [8, 7, 6, 5]])
@pytest.mark.parametrize('width', [128, 160])
def test_it_is_as_large_as_the_equations_say(dims, width):
    module = VGMR({f'm{i}': dim for i, dim in enumerate(dims)}, width=width)
    assert sum(p.numel() for p in module.parameters()) == closed_form(dims, width)


def test_its_size_with_a_width_of_160_is_the_one_its_docstring_gives():
    assert round(closed_form([768, 74, 35], 160) / 1e6, 2) == 2.26
    assert '2.26 M' in VGMR.__doc__


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'dims': {'audio': 3}}, r"two or more modalities.*\['audio'\]"),
        ({'alpha': 1.5}, r'alpha=1\.5.*\[0, 1\]'),
        ({'beta': -0.1}, r'beta=-0\.1.*\[0, 1\]'),
        ({'order': 'norm'}, r"order='norm'.*gate_then_norm, norm_then_gate"),
        ({'post': 'layer'}, r"post='layer'.*norm, none"),
        ({'value_weight': -1.0}, r'value_weight=-1\.0'),
        ({'reg_weight': -1.0}, r'reg_weight=-1\.0'),
        ({'context': 'none'}, r"context='none'.*partners, own, shuffled"),
        ({'context': 'shuffled', 'dims': {'audio': 3}}, 'two or more modalities'),
        ({'dropout': 1.0}, r'dropout=1\.0.*\[0, 1\)'),
        ({'width': 0}, r'width=0.*1 or more'),
    ],
)
def test_arguments_that_make_no_vgmr_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VGMR(**{'dims': BIMODAL, **arguments})
