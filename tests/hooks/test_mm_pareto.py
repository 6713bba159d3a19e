"""MMPareto against a step whose gradients autograd and numpy compute apart."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step
from torch.nn import functional as F

from mmcalib.hooks.mm_pareto import MMPareto, settle


def parts(made, given):
    """Flat gradients on each encoder: of all together, and of each modality alone."""
    signals = {m: made.encoders[m](s) for m, s in given['inputs'].items()}
    x = {m: s.clean()[:, 0] for m, s in signals.items()}
    target = given['target']
    together = F.cross_entropy(made.head.linear(torch.cat(list(x.values()), 1)), target)
    flat = {}
    for m in x:
        here = given['inputs'][m].present
        alone = torch.cat([v * (o == m) for o, v in x.items()], 1)
        single = F.cross_entropy(made.head.linear(alone)[here], target[here])
        own = list(made.encoders[m].parameters())
        flat[m] = [
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, own, retain_graph=True)])
            .numpy()
            .astype(float)
            for loss in (together, single)
        ]
    return flat


def joined(f, g, gamma):
    """What the encoder moves by, and the share of g; the least norm is found by search."""
    if f @ g >= 0:
        return f + g, 0.5
    shares = np.linspace(0, 1, 100_001)
    norms = shares**2 * (f @ f) + (1 - shares) ** 2 * (g @ g) + 2 * shares * (1 - shares) * (f @ g)
    a = shares[norms.argmin()]
    joint = 2 * a * f + 2 * (1 - a) * g
    return joint / np.linalg.norm(joint) * gamma * np.linalg.norm(f + g), 1 - a


def strong(modalities, seed):
    """A batch on which the last modality outshouts the others, so that some are in conflict."""
    made, given = model(modalities), batch(modalities, seed=seed)
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.head.linear.weight.normal_(generator=draws)
    last = list(given['inputs'])[-1]
    given['inputs'][last] = given['inputs'][last]._replace(x=9 * given['inputs'][last].x)
    given['inputs']['audio'].mask[0] = False
    return made, given


def moved(old, encoder):
    pairs = zip(old, encoder.parameters(), strict=True)
    return torch.cat([(before - after).flatten() for before, after in pairs]).detach().numpy()


@pytest.mark.parametrize('modalities', [2, 3])
def test_a_step_sums_what_agrees_and_settles_what_conflicts(modalities):
    conflicts, agreements = 0, 0
    for seed in range(24):
        made, given = strong(modalities, seed)
        flat = parts(made, given)
        old = {m: [p.detach().clone() for p in e.parameters()] for m, e in made.encoders.items()}
        run = runner(made, MMPareto(gamma=1.3))
        step(run, given)
        for m, (f, g) in flat.items():
            expected, share = joined(f, g, 1.3)
            actual = moved(old[m], made.encoders[m]) / 0.1
            np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=2e-4)
            assert run.hooks[0].shares[m] == pytest.approx(share, abs=1e-4)
            conflicts += f @ g < 0
            agreements += f @ g >= 0
    assert conflicts > 1 and agreements > 1  # both happened


def test_head_and_losses_are_those_of_the_plain_sum():
    made, given = strong(2, 1)
    x = {m: made.encoders[m](s).clean()[:, 0] for m, s in given['inputs'].items()}
    loss = F.cross_entropy(made.head.linear(torch.cat(list(x.values()), 1)), given['target'])
    for m in x:
        here = given['inputs'][m].present
        alone = torch.cat([v * (o == m) for o, v in x.items()], 1)[here]
        loss = loss + F.cross_entropy(made.head.linear(alone), given['target'][here])
    weight = made.head.linear.weight
    expected = weight.detach() - 0.1 * torch.autograd.grad(loss, weight, retain_graph=True)[0]
    logged = step(runner(made, MMPareto()), given)
    torch.testing.assert_close(logged['loss'], loss.detach())
    torch.testing.assert_close(weight.detach(), expected)


def test_the_least_norm_is_at_an_end_where_one_is_much_shorter():
    # g_f = (1, 0), g_m = (-.1, 0): the sum is zero at a = 1/11.
    found = settle(torch.tensor(-0.1), torch.tensor(1.0), torch.tensor(0.01))
    assert found.item() == pytest.approx(1 / 11)
    # g_f = (4, 0), g_m = (1, 1): the line is shortest beyond g_m, so it is g_m itself.
    assert settle(torch.tensor(4.0), torch.tensor(16.0), torch.tensor(2.0)) == 0


def test_exactly_opposite_gradients_cancel_to_a_finite_step():
    made = model()
    hook = MMPareto()
    run = runner(made, hook)
    own = list(made.encoders['audio'].parameters())
    for parameter in own:
        parameter.grad = torch.zeros_like(parameter)
    hook.alone = {'audio': [torch.ones_like(p) for p in own]}  # so the rest is -1 everywhere
    with torch.no_grad():
        hook.gradients(run.model)
    assert all(p.grad.eq(0).all() for p in own) and hook.shares['audio'] == 0.5


def test_the_share_is_logged_one_step_later_and_travels():
    for seed in range(24):
        made, given = strong(2, seed)
        hook = MMPareto()
        run = runner(made, hook)
        assert step(run, given)['balance_audio'] == 0.5
        if hook.shares['audio'] != 0.5:
            break
    shares = dict(hook.shares)
    checkpoint: dict = {}
    hook.before_save_checkpoint(run, checkpoint)
    assert step(run, given)['balance_audio'] == pytest.approx(shares['audio']) != 0.5
    other = MMPareto()
    other.after_load_checkpoint(None, checkpoint)
    assert other.shares == shares


@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_beside_vgmr_and_any_fuser(fuser):
    made = model(3, calibrator={'type': 'VGMR', 'width': 8}, fuser={'type': fuser})
    given = batch(3)
    given['inputs']['text'].mask[:] = False
    logged = step(runner(made, MMPareto()), given)
    assert logged['loss'].isfinite() and {'balance_text', 'loss_value'} <= logged.keys()
    assert {f'loss_only_{m}' for m in DIMS} <= logged.keys() and logged['loss_only_text'] == 0
    assert all(p.isfinite().all() for p in made.parameters())


def test_an_encoder_without_parameters_is_left_alone():
    made = model(encoders={m: {'type': 'Features', 'dim': DIMS[m]} for m in ('audio', 'visual')})
    for parameter in made.encoders['audio'].parameters():
        parameter.requires_grad = False
    assert step(runner(made, MMPareto()), batch())['loss'].isfinite()


def test_bad_arguments_and_mixed_gradients_are_refused():
    with pytest.raises(ValueError, match=r'MMPareto\(gamma=0\); gamma is above 0'):
        MMPareto(gamma=0)
    for more in ({'_accumulative_counts': 2}, {'clip_grad_kwargs': {'max_norm': 1.0}}):
        run = SimpleNamespace(model=model(), optim_wrapper=SimpleNamespace(**more))
        with pytest.raises(ValueError, match='possible are 1 and None'):
            MMPareto().before_train(run)
