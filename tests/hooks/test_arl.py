"""ARL against a step computed by hand."""

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step
from torch.nn import functional as F

from mmcalib.hooks.arl import ARL


def given_with_gaps(modalities):
    given = batch(modalities)
    given['inputs']['audio'].mask[0] = False
    given['inputs']['visual'].mask[1] = False
    return given


def plain(made, given, gamma):
    """Gradients of L_f + gamma sum L_m, by autograd alone; and logits of each alone."""
    signals = {m: made.encoders[m](s) for m, s in given['inputs'].items()}
    parts = {m: s.clean()[:, 0] for m, s in signals.items()}
    target = given['target']
    loss = F.cross_entropy(made.head.linear(torch.cat(list(parts.values()), 1)), target)
    logits = {}
    for m in parts:
        alone = torch.cat([x * (o == m) for o, x in parts.items()], 1)
        logits[m] = made.head.linear(alone)
        here = given['inputs'][m].present
        loss = loss + gamma * F.cross_entropy(logits[m][here], target[here])
        logits[m] = (logits[m][here].detach().numpy().astype(float), target[here].numpy())
    return torch.autograd.grad(loss, list(made.parameters())), logits


def factors(logits, temperature):
    """1 + w, in numpy."""
    names, h, s = list(logits), {}, {}
    for m, (f, y) in logits.items():
        p = np.exp(f) / np.exp(f).sum(1, keepdims=True)
        s[m] = np.mean([p[i, y[i]] for i in range(len(y))])
        h[m] = max(0.3, np.mean(-(p * np.log(p)).sum(1)) / np.log(p.shape[1]))
    q = {m: (1 / h[m]) / sum(1 / h[o] for o in names) for m in names}
    dep = {m: s[m] / sum(s.values()) for m in names}
    raw = {m: np.exp(temperature * q[m] * np.mean([dep[o] for o in names if o != m])) for m in q}
    return {m: 1 + raw[m] / sum(raw.values()) for m in names}


@pytest.mark.parametrize('modalities', [2, 3])
@pytest.mark.parametrize('temperature', [0.0, 8.0])
def test_a_step_trains_all_alone_and_speeds_up_the_neglected(modalities, temperature):
    made, given = model(modalities), given_with_gaps(modalities)
    with torch.no_grad():
        made.head.linear.weight.mul_(6)  # so that entropies differ
    gradients, logits = plain(made, given, gamma=4.0)
    expected = factors(logits, temperature)
    assert sum(expected.values()) == pytest.approx(modalities + 1)
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    hook = ARL(temperature=temperature, begin=0)
    run = runner(made, hook)
    hook.before_train_epoch(run)
    logged = step(run, given)
    for m, factor in expected.items():
        assert logged[f'balance_{m}'] == pytest.approx(factor, rel=1e-5)
    for (name, parameter), gradient in zip(made.named_parameters(), gradients, strict=True):
        of = [m for m in expected if name.startswith(f'encoders.{m}.')]
        factor = expected[of[0]] if of else 1.0
        torch.testing.assert_close(parameter, before[name] - 0.1 * factor * gradient, msg=name)


def test_a_certain_modality_counts_as_if_it_were_at_the_floor():
    sure = {m: (np.array([[30.0, 0.0, 0.0]]), np.array([0])) for m in ('audio', 'visual')}
    assert factors(sure, 8.0) == {'audio': 1.5, 'visual': 1.5}
    from mmcalib.hooks.arl import weigh

    seen = torch.tensor([[1.0, 0.0, 1.0], [0.5, 0.6, 1.0]])
    q, dep = np.array([2 / 3, 1 / 3]), np.array([1 / 3, 2 / 3])  # 1 / .3 and 1 / .6; 1/2 : 1
    raw = np.exp(8.0 * q * dep)
    np.testing.assert_allclose(weigh(seen, 8.0).numpy(), raw / raw.sum(), rtol=1e-5)


def test_a_modality_that_the_batch_lacks_takes_no_part():
    made, given = model(3), batch(3)
    given['inputs']['text'].mask[:] = False
    hook = ARL(begin=0)
    run = runner(made, hook)
    hook.before_train_epoch(run)
    logged = step(run, given)
    assert logged['balance_text'] == 1 and logged['loss_only_text'] == 0
    assert logged['balance_audio'] + logged['balance_visual'] == pytest.approx(3)
    for signal in given['inputs'].values():
        signal.mask[:] = False
    logged = step(run, given)
    assert logged['loss'].isfinite() and logged['balance_audio'] == 1


def test_before_its_epoch_only_the_losses_are_added():
    made, given = model(), batch()
    gradients, _ = plain(made, given, gamma=2.0)
    before = [p.detach().clone() for p in made.parameters()]
    hook = ARL(gamma=2.0, begin=3)
    run = runner(made, hook)
    run.epoch = 2
    hook.before_train_epoch(run)
    assert 'balance_audio' not in step(run, given)
    for parameter, old, gradient in zip(made.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter, old - 0.1 * gradient)


@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_beside_vgmr_and_any_fuser(fuser):
    made = model(3, calibrator={'type': 'VGMR', 'width': 8}, fuser={'type': fuser})
    hook = ARL(begin=0)
    run = runner(made, hook)
    hook.before_train_epoch(run)
    logged = step(run, batch(3))
    assert logged['loss'].isfinite() and {'balance_text', 'loss_value'} <= logged.keys()
    assert {f'loss_only_{m}' for m in DIMS} <= logged.keys()


def test_bad_arguments_and_other_heads_are_refused():
    with pytest.raises(ValueError, match=r'ARL\(gamma=-1.*0 or more'):
        ARL(gamma=-1)
    with pytest.raises(ValueError, match='ARL needs the head Classify; the model has Regress'):
        runner(model(head={'type': 'Regress'}), ARL())
