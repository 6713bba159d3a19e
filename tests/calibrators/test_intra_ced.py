import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mmcalib.calibrators.intra_ced import IntraCED, Project, squared
from mmcalib.contract import Signal, Supervision

DIMS = {'text': 8, 'audio': 8, 'visual': 8}
SMALL = {'shared': 4, 'private': 3, 'heads': 2}
LENGTHS = {'text': 3, 'audio': 5, 'visual': 2}
LEVELS = 3


def made(**kwargs):
    """In float64, and away from its start."""
    model = IntraCED(**{'dims': DIMS, **SMALL, **kwargs}).double()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


def signals(batch=4, absent=()):
    """Ragged tokens of three levels, padded behind; (modality, row) pairs are absent."""
    given = {}
    for m, length in LENGTHS.items():
        mask = torch.arange(length) < 1 + torch.arange(batch).unsqueeze(1) % length
        for name, row in absent:
            if name == m:
                mask[row] = False
        x = torch.randn(batch, LEVELS * length, 8, dtype=torch.float64)
        given[m] = Signal(x, mask.repeat_interleave(LEVELS, dim=1))
    return given


def streams(signal):
    """(B, L K S, D) -> (B, K, S, L, D)."""
    return signal.x.reshape(len(signal.x), -1, LEVELS, 2, signal.x.shape[-1]).movedim(1, 3)


def levels(x):
    """(B, L K, ...) -> (B, K, L, ...)."""
    return x.reshape(len(x), -1, LEVELS, *x.shape[2:]).transpose(1, 2)


def sorted_projection(y, budget):
    """Exact, by trying every piece of the piecewise linear sum of clip(y - tau, 0, 1)."""
    if np.clip(y, 0, 1).sum() <= budget:
        return np.clip(y, 0, 1)
    knots = np.unique(np.concatenate([[0.0], y, y - 1]))
    knots = knots[knots >= 0]
    sums = [np.clip(y - t, 0, 1).sum() for t in knots]
    last = max(i for i, total in enumerate(sums) if total > budget)
    rise = (sums[last] - budget) / (sums[last] - sums[last + 1])
    return np.clip(y - knots[last] - rise * (knots[last + 1] - knots[last]), 0, 1)


def test_the_projection_is_the_exact_one_of_sorted_breakpoints():
    rng = np.random.default_rng(0)
    for _ in range(200):
        tokens = rng.integers(1, 9)
        y, budget = rng.normal(0.6, 0.7, tokens), rng.uniform(0.01, tokens + 0.5)
        given = (
            torch.tensor(y),
            torch.tensor(budget, dtype=torch.float64),
            torch.ones(tokens).bool(),
        )
        alpha = Project.apply(*given)
        np.testing.assert_allclose(alpha, sorted_projection(y, budget), atol=1e-12)


def test_the_projection_solves_the_quadratic_programme():
    y, budget = np.array([0.9, 0.2, 0.7, 1.4, 0.05]), 1.7
    solved = minimize(
        lambda a: ((a - y) ** 2).sum(),
        np.full(5, 0.3),
        bounds=[(0, 1)] * 5,
        constraints={'type': 'ineq', 'fun': lambda a: budget - a.sum()},
        options={'ftol': 1e-14},
    )
    alpha = Project.apply(torch.tensor(y), torch.tensor(budget), torch.ones(5, dtype=torch.bool))
    np.testing.assert_allclose(alpha, solved.x, atol=1e-6)


@pytest.mark.parametrize('budget', [0.7, 1.9, 2.6, 9.0])
def test_the_projection_has_the_gradient_of_finite_differences(budget):
    asked = torch.tensor([[0.9, 0.2, 0.7, 0.6, 0.5], [0.3, 0.9, 0.8, 0.1, 0.4]]).double()
    mask = torch.tensor([[True, True, True, True, False], [True, True, True, False, False]])
    limit = torch.tensor([budget, budget / 2], dtype=torch.float64)
    inputs = (asked.requires_grad_(), limit.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: Project.apply(a, b, mask), inputs)


def test_a_budget_of_all_tokens_changes_nothing_and_a_padded_token_gets_nothing():
    asked = torch.rand(4, 6, dtype=torch.float64)
    mask = torch.arange(6) < torch.tensor([[6], [4], [1], [0]])
    alpha = Project.apply(asked, mask.sum(1).double(), mask)
    torch.testing.assert_close(alpha, asked * mask, rtol=0, atol=0)
    tight = Project.apply(asked, 0.3 * mask.sum(1), mask)
    assert tight[~mask].eq(0).all() and not tight[:3].sum(1).eq(0).any()


def test_the_budget_holds_at_every_level_sample_and_modality():
    model = made()
    model.slope.data.fill_(9.0)  # every token asks for much
    model.threshold.data.fill_(-1.0)
    alpha = model(given := signals(absent=[('audio', 1)])).evidence['alpha']
    share = 1 / (1 + np.exp(-model.budget.detach().numpy()))
    for m, signal in given.items():
        asked = levels(alpha[m]).sum(-1).numpy()
        real = levels(signal.mask).sum(-1).numpy()
        np.testing.assert_allclose(asked, real * share, rtol=1e-9)  # all is used, and no more
        assert alpha[m].ge(0).all() and alpha[m].le(1).all() and alpha[m][~signal.mask].eq(0).all()


@pytest.mark.parametrize('steps', [0, 5])
def test_bases_are_orthonormal_and_private_ones_orthogonal_to_the_shared_one(steps):
    model = made()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        sum(s.clean().square().sum() for s in model(signals()).signals.values()).backward()
        optimiser.step()
    bases = model.bases()
    for basis in (bases.shared, *bases.private.values()):
        eye = torch.eye(basis.shape[-1], dtype=torch.float64).expand(LEVELS, -1, -1)
        torch.testing.assert_close(basis.mT @ basis, eye, rtol=0, atol=1e-12)
    for basis in bases.private.values():
        assert (bases.shared.mT @ basis).abs().max() < 1e-12


def test_private_coordinates_get_exactly_no_gradient_from_another_modality():
    model, given = made(), signals()
    bases = model.bases()
    parts = {m: model.factorise(m, model.unfold(given[m]).x.requires_grad_(), bases) for m in DIMS}
    masks = {m: model.unfold(given[m]).mask for m in DIMS}
    after = model.exchange({m: part.shared for m, part in parts.items()}, masks)
    audio = after['audio'].shared.square().sum() + parts['audio'].private.square().sum()
    wanted = [parts['visual'].private, parts['text'].private, parts['visual'].shared]
    private_visual, private_text, shared = torch.autograd.grad(audio, wanted, allow_unused=True)
    assert private_visual is None and private_text is None and shared.abs().max() > 0


def test_the_gradient_of_a_modality_along_anothers_private_basis_vanishes():
    model, given = made(), signals()
    x = given['visual'].x.requires_grad_()
    model(given).signals['audio'].x.square().sum().backward()
    grad = levels(x.grad)
    bases = model.bases()
    assert (grad @ bases.private['visual']).abs().max() < 1e-12
    assert (grad @ bases.shared).abs().max() > 1e-3


def test_moving_a_token_along_its_private_basis_moves_no_other_modality():
    model, given = made(), signals()
    before = model(given).signals
    step = torch.randn(4, LEVELS, 2, 3, dtype=torch.float64) @ model.bases().private['visual'].mT
    moved = Signal(
        given['visual'].x + 5 * step.transpose(1, 2).reshape(4, -1, 8), given['visual'].mask
    )
    after = model({**given, 'visual': moved}).signals
    for m in ('audio', 'text'):
        assert (after[m].x - before[m].x).abs().max() < 1e-12
    assert (after['visual'].x - before['visual'].x).abs().max() > 0.1
    # The same distance along the shared basis does reach the others.
    step = torch.randn(4, LEVELS, 2, 4, dtype=torch.float64) @ model.bases().shared.mT
    moved = Signal(
        given['visual'].x + 5 * step.transpose(1, 2).reshape(4, -1, 8), given['visual'].mask
    )
    after = model({**given, 'visual': moved}).signals
    assert (after['audio'].x - before['audio'].x).abs().max() > 1e-3


def test_private_tokens_are_projected_and_otherwise_unchanged():
    model, given = made(), signals()
    out, bases = model(given).signals, model.bases()
    for m, signal in given.items():
        h = levels(signal.clean())
        expected = h @ bases.private[m] @ bases.private[m].mT
        torch.testing.assert_close(streams(out[m])[:, :, 1], expected)
        assert torch.equal(out[m].mask, signal.mask.repeat_interleave(2, dim=1))


def test_the_shared_stream_is_the_published_equation():
    """One sample, one real token of each modality, in numpy: attention over two keys."""
    model = made(heads=1)
    given = signals(batch=1)
    out = model(given)
    for level in range(LEVELS):
        basis = model.bases().shared[level].detach().numpy()
        h = {m: levels(s.x)[0, level, 0].numpy() for m, s in given.items()}
        shared = {m: x @ basis for m, x in h.items()}

        def linear(m, name, x, level=level):
            layer = getattr(model.attention[m], name)
            return x @ layer.weight[level].detach().numpy() + layer.bias[level, 0].detach().numpy()

        query, others = linear('audio', 'query', shared['audio']), ('text', 'visual')
        scores = np.array([query @ linear(o, 'key', shared[o]) for o in others]) / np.sqrt(4)
        weights = np.exp(scores) / np.exp(scores).sum()
        found = weights @ np.stack([linear(o, 'value', shared[o]) for o in others])
        slope = np.log1p(np.exp(model.slope[level].item()))
        evidence = np.sqrt((shared['audio'] ** 2).sum()) / model.typical[level].item()
        asked = 1 / (1 + np.exp(-slope * (evidence - model.threshold[level].item())))
        alpha = min(asked, 1 / (1 + np.exp(-model.budget[level].item())))  # one token
        expected = (shared['audio'] + alpha * linear('audio', 'out', found)) @ basis.T
        np.testing.assert_allclose(
            streams(out.signals['audio'])[0, level, 0, 0].detach(), expected, atol=1e-6
        )


def test_levels_do_not_mix():
    model, given = made(), signals()
    before = model(given).signals
    x = given['audio'].x.clone()
    x[:, 1::LEVELS] += 3
    after = model({**given, 'audio': Signal(x, given['audio'].mask)}).signals
    for m in DIMS:
        apart = (streams(after[m]) - streams(before[m])).abs().amax(dim=(0, 2, 3, 4))
        assert apart[0] == 0 and apart[2] == 0 and apart[1] > 1e-3


def test_without_a_partner_the_shared_stream_is_the_projection():
    model = made()
    given = signals(absent=[('audio', 0), ('visual', 0)])
    basis = model.bases().shared
    out = streams(model(given).signals['text'])[0, :, 0]
    h = levels(given['text'].clean())[0]
    torch.testing.assert_close(out, h @ basis @ basis.mT)


def test_a_modality_that_the_whole_batch_lacks_may_have_one_token():
    model, given = made(), signals()
    gone = Signal(torch.zeros(4, 1, 8).double(), torch.zeros(4, 1, dtype=torch.bool))
    out = model({**given, 'audio': gone}).signals
    expected = model({**given, 'audio': given['audio'].missing()}).signals
    torch.testing.assert_close(out['text'].x, expected['text'].x)
    assert not out['audio'].present.any() and out['audio'].x.shape[1] == 2 * LEVELS


def test_unequal_widths_come_back_as_they_were():
    model = IntraCED({'a': 8, 'b': 5}, levels=1, **SMALL)
    given = {m: Signal(torch.randn(2, 3, d), torch.ones(2, 3) > 0) for m, d in model.dims.items()}
    assert [s.x.shape for s in model(given).signals.values()] == [(2, 6, 8), (2, 6, 5)]


def test_whitened_correlation_is_that_of_matrix_roots():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    b[:, 0] += a[:, 1]
    real = np.arange(9) < 7

    def root(x):
        covariance = x.T @ x / len(x)
        covariance += 1e-3 * (1 + np.trace(covariance) / len(covariance)) * np.eye(len(covariance))
        values, vectors = np.linalg.eigh(covariance)
        return vectors @ np.diag(values**-0.5) @ vectors.T

    x, y = (z[real] - z[real].mean(0) for z in (a, b))
    expected = np.square(root(x) @ x.T @ y / 7 @ root(y)).sum()
    given = (torch.tensor(a), torch.tensor(b), torch.tensor(real))
    np.testing.assert_allclose(squared(*given), expected, rtol=1e-9)


def test_the_loss_comes_in_training_only_and_is_weighted():
    given = signals(batch=8)
    supervision = Supervision(torch.zeros(8), lambda s: torch.zeros(8))
    losses = []
    for weight in (0.01, 0.02):
        torch.manual_seed(0)
        model = made(weight=weight)
        assert not model(given, supervision).losses and not model.train()(given).losses
        losses.append(model(given, supervision).losses['loss_intra'].item())
    assert losses[0] > 0 and losses[1] == pytest.approx(2 * losses[0])


def test_the_running_mean_of_the_evidence_moves_in_training_over_real_tokens():
    model, given = made(), signals()
    before = model.typical.clone()
    model(given)
    assert torch.equal(model.typical, before)
    model.train()(given)
    basis = model.bases().shared.detach().numpy()
    for level in range(LEVELS):
        norms = [
            np.linalg.norm(levels(s.x)[b, level, t].numpy() @ basis[level])
            for s in given.values()
            for b, level_mask in enumerate(levels(s.mask)[:, level])
            for t in np.flatnonzero(level_mask)
        ]
        expected = 0.9 * before[level].item() + 0.1 * np.mean(norms)
        assert model.typical[level].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'dims': {'audio': 8}}, r"two or more modalities.*\['audio'\]"),
        ({'shared': 6, 'private': 3}, 'shared=6, private=3.*at most the largest width'),
        ({'levels': 0}, 'levels=0'),
        ({'heads': 3}, 'shared=4, heads=3'),
        ({'participation': 1.0}, r'participation=1.0.*\(0, 1\)'),
        ({'weight': -1.0}, 'weight=-1.0'),
    ],
)
def test_bad_arguments_are_named(kwargs, match):
    with pytest.raises(ValueError, match=match):
        IntraCED(**{'dims': DIMS, **SMALL, **kwargs})


def test_tokens_that_are_no_multiple_of_the_levels_are_named():
    given = signals()
    given['audio'] = Signal(given['audio'].x[:, 1:], given['audio'].mask[:, 1:])
    with pytest.raises(ValueError, match=r'levels=3.*14 tokens.*multiple of 3'):
        made()(given)
