"""ARL against its two formulas and a step computed by hand."""

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step

from mmcalib.contract import Signal
from mmcalib.hooks.arl import ARL, observe, weigh


def paper(entropy, magnitude, temperature, floor):
    """w for audio and visual, written for two as the public code has it."""
    h_a, h_v = (max(h / sum(entropy), floor) for h in entropy)
    d_a, d_v = (d / sum(magnitude) for d in magnitude)
    q_a, q_v = (1 / h / (1 / h_a + 1 / h_v) for h in (h_a, h_v))
    e = np.exp([temperature * d_v * q_a, temperature * d_a * q_v])
    return e / e.sum()


def general(entropy, magnitude, temperature, floor):
    """w for any number, modality by modality."""
    count, logits = len(entropy), []
    share = [max(h / sum(entropy), 2 * floor / count) for h in entropy]
    for m in range(count):
        others = np.mean([magnitude[o] / sum(magnitude) for o in range(count) if o != m])
        certainty = 1 / share[m] / sum(1 / s for s in share)
        logits.append(temperature * others * certainty)
    return np.exp(logits) / np.exp(logits).sum()


def hand(made, given, gamma, temperature):
    """Unimodal losses, w, and the gradients by name of a plain backward pass."""
    there = {m: given['inputs'][m].present for m in made.encoders}
    losses, entropy, magnitude, start = {}, [], [], 0
    for m in made.encoders:
        x = made.encoders[m].layer(given['inputs'][m].clean())[there[m], 0]
        z = x @ made.head.linear.weight[:, start : start + DIMS[m]].T + made.head.linear.bias
        start += DIMS[m]
        losses[m] = torch.nn.functional.cross_entropy(z, given['target'][there[m]])
        p = np.exp(z.detach().numpy())
        p = p / p.sum(1, keepdims=True)
        entropy.append((-p * np.log(p)).sum(1).mean())
        magnitude.append(np.abs(z.detach().numpy()).mean(0).sum())
    fused = torch.nn.functional.cross_entropy(made(given['inputs']), given['target'])
    total = fused + gamma * sum(losses.values())
    gradients = torch.autograd.grad(total, list(made.parameters()))
    names = [n for n, _ in made.named_parameters()]
    weights = general(entropy, magnitude, temperature, 0.3)
    return losses, weights, dict(zip(names, gradients, strict=True))


@pytest.mark.parametrize(
    'given', [([0.9, 0.5], [3.0, 7.0]), ([1.0, 0.1], [2.0, 2.0]), ([0.2, 0.2], [9.0, 1.0])]
)
@pytest.mark.parametrize('temperature', [1.0, 8.0])
def test_two_modalities_have_the_weights_of_the_public_code(given, temperature):
    entropy, magnitude = given
    expected = paper(entropy, magnitude, temperature, 0.3)
    found = weigh(torch.tensor(entropy), torch.tensor(magnitude), temperature, 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(general(entropy, magnitude, temperature, 0.3), expected)


def test_the_certain_modality_that_the_others_outweigh_learns_most():
    w = weigh(torch.tensor([0.2, 1.0, 1.0]), torch.tensor([1.0, 1.0, 5.0]), 8.0, 0.3)
    assert w[0] > w[1] > w[2]


@pytest.mark.parametrize('active', [True, False])
@pytest.mark.parametrize('modalities', [2, 3])
def test_a_step_adds_unimodal_losses_and_enlarges_the_gradients_of_encoders(modalities, active):
    made, given = model(modalities), batch(modalities)
    mask = given['inputs']['audio'].mask.clone()
    mask[1] = False
    x = given['inputs']['audio'].x.masked_fill(~mask.unsqueeze(-1), torch.nan)
    given['inputs']['audio'] = Signal(x, mask)
    gamma, temperature = (4.0, 8.0) if active else (1.0, 0.0)
    losses, weights, gradients = hand(made, given, gamma, temperature)
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    hook = ARL()
    run = runner(made, hook, lr=0.1)
    run.epoch = 6 if active else 5
    hook.before_train_epoch(run)
    logged = step(run, given)
    for m, weight in zip(made.encoders, weights, strict=True):
        assert logged[f'balance_{m}'] == pytest.approx(weight, rel=1e-5)
        torch.testing.assert_close(logged[f'loss_only_{m}'], gamma * losses[m])
    total = logged['loss_task'] + sum(logged[f'loss_only_{m}'] for m in made.encoders)
    torch.testing.assert_close(logged['loss'], total)
    scales = {m: 1 + w for m, w in zip(made.encoders, weights, strict=True)}
    for name, parameter in made.named_parameters():
        scale = next((s for m, s in scales.items() if f'encoders.{m}.' in name), 1.0)
        expected = before[name] - 0.1 * scale * gradients[name]
        torch.testing.assert_close(parameter, expected, msg=name)


def test_a_modality_that_the_batch_lacks_takes_no_part_in_the_weights():
    logits = [torch.randn(4, 3), torch.randn(4, 3), torch.randn(0, 3)]
    entropy, magnitude, count = torch.stack([observe(x) for x in logits]).unbind(1)
    entropy, magnitude = entropy / count.clamp(min=1), magnitude / count.clamp(min=1)
    found = weigh(entropy, magnitude, 8.0, 0.3)
    expected = paper(entropy[:2].tolist(), magnitude[:2].tolist(), 8.0, 0.3)
    np.testing.assert_allclose(found, [*expected, 0], rtol=1e-5)
    assert weigh(torch.zeros(2), torch.zeros(2), 8.0, 0.3).eq(0).all()


@pytest.mark.parametrize('lacking', [['visual'], ['audio', 'visual', 'text']])
def test_absence_in_the_whole_batch_trains_on(lacking):
    made, given = model(3), batch(3)
    given['inputs'] = {m: s.missing() if m in lacking else s for m, s in given['inputs'].items()}
    hook = ARL(begin=0)
    run = runner(made, hook)
    hook.before_train_epoch(run)
    logged = step(run, given)
    assert all(logged[f'balance_{m}'] == logged[f'loss_only_{m}'] == 0 for m in lacking)
    assert all(p.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize('short', [False, True])
@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_beside_vgmr_any_fuser_and_a_short_float(fuser, short):
    made = model(3, calibrator={'type': 'VGMR', 'width': 8}, fuser={'type': fuser})
    hook = ARL(begin=0)
    run = runner(made, hook)
    hook.before_train_epoch(run)
    with torch.autocast('cpu', torch.bfloat16, enabled=short):
        logged = step(run, batch(3))
    assert logged['loss'].isfinite() and {'balance_text', 'loss_value'} <= logged.keys()


@pytest.mark.parametrize(
    ('head', 'target'),
    [
        ({'type': 'Regress'}, torch.zeros(6)),
        ({'type': 'MultiLabel', 'num_classes': 3}, torch.zeros(6, 3)),
    ],
)
def test_a_task_without_one_class_per_sample_is_refused(head, target):
    given = {**batch(), 'target': target}
    with pytest.raises(ValueError, match=r'ARL needs the entropy over classes.*float32 of shape'):
        step(runner(model(head=head), ARL()), given)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'gamma': -1}, r'ARL\(gamma=-1.*0 or more'),
        ({'begin': -1}, r'begin=-1\); all are 0 or more'),
        ({'floor': 0.6}, r'floor=0.6.*\(0, 0.5\]'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ARL(**arguments)
