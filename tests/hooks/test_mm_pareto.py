"""MMPareto against its definition, and steps computed by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from steps import DIMS, batch, model, step
from torch.nn.functional import cross_entropy

from mmcalib.contract import Signal
from mmcalib.engine.amp import Amp
from mmcalib.hooks.mm_pareto import MMPareto, combine


def run(made, hook, wrapper=OptimWrapper, lr=0.1, **options):
    """A runner with any optimiser wrapper."""
    hub = SimpleNamespace(logged={}, update_scalar=lambda key, v: hub.logged.update({key: v}))
    optimizer = torch.optim.SGD(made.parameters(), lr=lr)
    made_of = {'optim_wrapper': wrapper(optimizer, **options), 'message_hub': hub}
    attached = SimpleNamespace(model=made, hooks=[hook], epoch=0, iter=0, **made_of)
    hook.before_run(attached)
    hook.before_train(attached)
    return attached


def torn(modalities=2):
    """A model whose audio says class 0 and whose visual, which wins, says class 1."""
    made = model(modalities)
    with torch.no_grad():
        made.head.linear.weight.mul_(0.1)
        for row, m, start in ((0, 'audio', 0), (1, 'visual', DIMS['audio'])):
            made.encoders[m].layer.bias.fill_(1)
            made.head.linear.weight[row, start : start + DIMS[m]] = 0.5 + row
    return made


def halves(modalities=2):
    """Samples of the classes 0 and 1."""
    return {**batch(modalities), 'target': torch.arange(6) % 2}


def hand(made, given, gamma):
    """Expected gradients by name, and 2 (1 - a) by modality, from one small search each."""
    x = {m: made.encoders[m].layer(s.clean())[:, 0] for m, s in given['inputs'].items()}
    there = {m: s.present for m, s in given['inputs'].items()}
    x = {m: torch.where(there[m].unsqueeze(1), v, 0) for m, v in x.items()}
    losses = {'fused': cross_entropy(made.head(torch.cat(list(x.values()), 1)), given['target'])}
    for m in x:
        vector = torch.cat([v if m == o else 0 * v for o, v in x.items()], 1)
        losses[m] = cross_entropy(made.head(vector)[there[m]], given['target'][there[m]])
    found = {n: 0.0 for n, _ in made.named_parameters()}
    for loss in losses.values():
        grads = torch.autograd.grad(
            loss, list(made.parameters()), retain_graph=True, allow_unused=True
        )
        for (n, _), g in zip(made.named_parameters(), grads, strict=True):
            found[n] = found[n] + (0 if g is None else g)
    shares = {}
    for m in x:
        layer = list(made.encoders[m].parameters())
        g, u = (
            torch.cat([p.flatten() for p in torch.autograd.grad(loss, layer, retain_graph=True)])
            .double()
            .numpy()
            for loss in (losses['fused'], losses[m])
        )
        a = 0.5
        if g @ u < 0:
            grid = np.linspace(0, 1, 100_001)
            # |a g + (1 - a) u|^2 for all a at once
            a = grid[
                np.argmin(
                    grid**2 * (g @ g) + 2 * grid * (1 - grid) * (g @ u) + (1 - grid) ** 2 * (u @ u)
                )
            ]
        h = a * g + (1 - a) * u
        made_of = gamma * np.linalg.norm(g + u) / np.linalg.norm(h) * h
        shares[m], start = 2 * (1 - a), 0
        for n, p in made.encoders[m].named_parameters():
            part = made_of[start : start + p.numel()].reshape(p.shape)
            found[f'encoders.{m}.{n}'], start = torch.tensor(part).float(), start + p.numel()
    return found, shares


@pytest.mark.parametrize('seed', range(4))
def test_conflicting_gradients_become_one_that_is_against_neither(seed):
    f, u = torch.randn(2, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u = u if f @ u < 0 else -u
    made, share = combine(f, u, 1.5)
    grid = torch.linspace(0, 1, 100_001, dtype=torch.float64).unsqueeze(1)
    best = ((1 - grid) * f + grid * u).norm(dim=1).argmin() / 100_000
    assert share == pytest.approx(best.item(), abs=1e-5)
    assert made @ f > 0 and made @ u > 0
    torch.testing.assert_close(made.norm(), 1.5 * (f + u).norm())


def test_agreeing_gradients_are_summed_and_opposite_or_zero_ones_stay_finite():
    f, u = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0])
    torch.testing.assert_close(combine(f, u, 1.5)[0], 1.5 * (f + u))
    torch.testing.assert_close(combine(f, f, 1.0)[0], 2 * f)
    torch.testing.assert_close(combine(f, 0 * f, 1.0)[0], f)
    assert combine(f, -2 * f, 1.5)[0].eq(0).all()
    assert combine(0 * f, 0 * f, 1.5)[0].eq(0).all()


@pytest.mark.parametrize('modalities', [2, 3])
def test_a_step_replaces_the_gradients_of_the_encoders_only(modalities):
    made, given = torn(modalities), halves(modalities)
    mask = given['inputs']['audio'].mask.clone()
    mask[1] = False
    x = given['inputs']['audio'].x.masked_fill(~mask.unsqueeze(-1), torch.nan)
    given['inputs']['audio'] = Signal(x, mask)
    gradients, shares = hand(made, given, 1.5)
    assert shares['audio'] != 1 and shares['visual'] == 1, 'one conflicts, one does not'
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    attached = run(made, MMPareto())
    logged = step(attached, given)
    total = logged['loss_task'] + sum(logged[f'loss_only_{m}'] for m in made.encoders)
    torch.testing.assert_close(logged['loss'], total)
    for m, share in shares.items():
        assert attached.message_hub.logged[f'train/balance_{m}'] == pytest.approx(share, abs=1e-4)
    for name, parameter in made.named_parameters():
        expected = before[name] - 0.1 * gradients[name]
        torch.testing.assert_close(parameter, expected, msg=name, rtol=1e-4, atol=1e-5)


def moved(wrapper=OptimWrapper, scaler=None, **options):
    """How far one step moves each parameter."""
    made = torn()
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    attached = run(made, MMPareto(), wrapper, **options)
    if scaler:
        attached.optim_wrapper.scaler = scaler
    step(attached, halves())
    return {n: p.detach() - before[n] for n, p in made.named_parameters()}


def test_clipping_shortens_the_step_and_keeps_its_direction():
    made, given = torn(), halves()
    x = {m: s.x[:, 0] for m, s in given['inputs'].items()}
    x = {m: made.encoders[m].layer(v) for m, v in x.items()}
    loss = sum(
        cross_entropy(made.head(torch.cat([v if m in k else 0 * v for m, v in x.items()], 1)), t)
        for k in (('audio', 'visual'), ('audio',), ('visual',))
        for t in [given['target']]
    )
    plain = torch.autograd.grad(loss, list(made.parameters()))
    factor = 0.1 / torch.cat([g.flatten() for g in plain]).norm()
    assert factor < 1
    clipped = moved(clip_grad={'max_norm': 0.1})
    for name, expected in moved().items():
        torch.testing.assert_close(clipped[name], expected * factor, msg=name)


def test_a_loss_scale_leaves_no_trace():
    scaled = moved(Amp, torch.amp.GradScaler('cpu', init_scale=2.0**10))
    for name, expected in moved(Amp).items():
        torch.testing.assert_close(scaled[name], expected, msg=name)


def test_a_frozen_encoder_and_one_without_parameters_are_left_alone():
    made = model(3)
    made.encoders['audio'].requires_grad_(False)
    made.encoders['visual'].layer = torch.nn.Identity()
    before = made.encoders['audio'].layer.weight.clone()
    attached = run(made, MMPareto())
    step(attached, batch(3))
    assert list(attached.message_hub.logged) == ['train/balance_text']
    assert torch.equal(made.encoders['audio'].layer.weight, before)


@pytest.mark.parametrize('lacking', [['visual'], list(DIMS)])
def test_absence_in_the_whole_batch_trains_on(lacking):
    made, given = model(3), batch(3)
    given['inputs'] = {m: s.missing() if m in lacking else s for m, s in given['inputs'].items()}
    logged = step(run(made, MMPareto()), given)
    assert all(logged[f'loss_only_{m}'] == 0 for m in lacking)
    assert all(p.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize('wrapper', [OptimWrapper, Amp])
@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_beside_vgmr_any_fuser_head_and_a_short_float(fuser, wrapper):
    stages = {'calibrator': {'type': 'VGMR', 'width': 8}, 'fuser': {'type': fuser}}
    made = model(3, **stages, head={'type': 'Regress'})
    given = {**batch(3), 'target': torch.arange(6.0)}
    attached = run(made, MMPareto(), wrapper)
    logged = step(attached, given)
    assert logged['loss'].isfinite() and 'loss_value' in logged
    assert len(attached.message_hub.logged) == 3
    assert all(p.isfinite().all() for p in made.parameters())


def test_the_shares_travel_in_the_checkpoint():
    hook, resumed, checkpoint = MMPareto(), MMPareto(), {}
    step(run(torn(), hook), halves())
    hook.before_save_checkpoint(None, checkpoint)
    resumed.after_load_checkpoint(None, checkpoint)
    assert resumed.shares == hook.shares and hook.shares['audio'] != 0.5


def test_accumulation_and_a_bad_gamma_are_refused():
    with pytest.raises(ValueError, match='a step per batch, but accumulative_counts is 2'):
        run(model(), MMPareto(), accumulative_counts=2)
    with pytest.raises(ValueError, match=r'MMPareto\(gamma=0\); gamma is above 0'):
        MMPareto(gamma=0)
