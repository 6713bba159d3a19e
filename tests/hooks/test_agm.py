"""AGM against steps computed by hand."""

from itertools import permutations

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step

from mmcalib.contract import Signal
from mmcalib.hooks import agm
from mmcalib.hooks.agm import AGM


def predictions(made, given):
    """f(S) in numpy for a linear head on concatenated features; nothing is worth zero."""
    numbers = {n: p.detach().numpy().copy() for n, p in made.named_parameters()}
    parts, start = {}, 0
    for m in made.encoders:
        signal = given['inputs'][m]
        x = signal.x[:, 0].numpy() @ numbers[f'encoders.{m}.layer.weight'].T
        x = (x + numbers[f'encoders.{m}.layer.bias']) * signal.mask.numpy()
        parts[m] = x @ numbers['head.linear.weight'][:, start : start + DIMS[m]].T
        start += DIMS[m]
    return lambda names: sum(parts[m] for m in names) + numbers['head.linear.bias'] if names else 0


def scores(made, given):
    """s per modality: the loss of its mean gain over all orders in which modalities can come."""
    f, names = predictions(made, given), list(made.encoders)
    orders, found = list(permutations(names)), {}
    for m in names:
        gains = [f(o[: o.index(m) + 1]) - f(o[: o.index(m)]) for o in orders]
        phi = np.mean(gains, axis=0)
        target = given['target'].numpy()
        log_p = phi - np.log(np.exp(phi).sum(1, keepdims=True))
        loss = -log_p[np.arange(len(phi)), target]
        if len(having := loss[given['inputs'][m].mask[:, 0].numpy()]):
            found[m] = having.mean()
    return found


def ratio(s, m):
    return np.exp(np.mean([s[o] for o in s if o != m]) - s[m])


def gradients(made, given):
    loss = made(given['inputs'], given['target'], mode='loss')['loss_task']
    names = [n for n, _ in made.named_parameters()]
    return dict(zip(names, torch.autograd.grad(loss, list(made.parameters())), strict=True))


@pytest.mark.parametrize(('modalities', 'cap'), [(2, 10.0), (3, 10.0), (3, 1e-3)])
def test_three_steps_scale_every_encoder_against_its_running_mean(modalities, cap):
    made = model(modalities)
    run = runner(made, AGM(2.0, cap), lr=0.5)
    past = dict.fromkeys(made.encoders, 0.0)
    for index in range(3):
        given = batch(modalities, seed=index)
        twin = model(modalities)
        twin.load_state_dict(made.state_dict())
        s = scores(twin, given)
        kappa = {m: np.exp(2 * min(ratio(past, m) - ratio(s, m), cap)) for m in s}
        logged = step(run, given)
        for m in s:
            assert logged[f'balance_{m}'] == pytest.approx(kappa[m], rel=1e-4)
            past[m] = (past[m] * index + s[m]) / (index + 1)
        for name, gradient in gradients(twin, given).items():
            of = [m for m in s if name.startswith(f'encoders.{m}.')]
            expected = twin.get_parameter(name) - 0.5 * (kappa[of[0]] if of else 1) * gradient
            torch.testing.assert_close(made.get_parameter(name), expected, msg=name)
    assert len({round(k, 4) for k in kappa.values()}) == modalities or cap < 1


def test_a_modality_that_got_ahead_of_its_past_is_slowed():
    made = model()
    run = runner(made, hook := AGM(), lr=0.0)
    hook.load_state_dict({'running': torch.tensor([2.0, 0.0]), 'steps': torch.tensor([9.0, 9.0])})
    logged = step(run, batch())  # here both are about equal, so that audio has caught up
    assert logged['balance_audio'] < 1 < logged['balance_visual']


def test_samples_count_for_the_modalities_they_have():
    given = batch(3)
    for m, gone in {'audio': [0, 1], 'text': [1, 5]}.items():
        signal = given['inputs'][m]
        mask = signal.mask.clone()
        mask[gone] = False
        given['inputs'][m] = Signal(signal.x, mask)
    s = scores(model(3), given)
    logged = step(runner(model(3), AGM()), given)
    for m in s:
        assert logged[f'balance_{m}'] == pytest.approx(np.exp(1 - ratio(s, m)), rel=1e-4)


def test_a_modality_that_is_nowhere_is_left_out():
    given = batch(3)
    given['inputs']['text'] = given['inputs']['text'].missing()
    s = scores(model(3), given)
    run = runner(model(3), hook := AGM())
    logged = step(run, given)
    assert logged['balance_text'] == 1 and logged['loss'].isfinite()
    assert logged['balance_audio'] == pytest.approx(np.exp(1 - ratio(s, 'audio')), rel=1e-4)
    assert hook.steps.tolist() == [1, 1, 0] and hook.running[2] == 0
    step(run, batch(3, seed=1))
    mean = hook.running[2].item()
    step(run, given)
    assert hook.steps.tolist() == [3, 3, 1] and hook.running[2] == mean > 0


def test_a_resumed_run_goes_on_as_the_other():
    made, checkpoint = model(), {}
    run = runner(made, hook := AGM())
    hook.before_save_checkpoint(run, {})  # nothing to save yet
    step(run, batch())
    weights = {n: v.clone() for n, v in made.state_dict().items()}
    hook.before_save_checkpoint(run, checkpoint)
    expected = step(run, batch(seed=1))
    resumed = model()
    resumed.load_state_dict(weights)
    run = runner(resumed, hook := AGM())
    hook.after_load_checkpoint(run, checkpoint)
    again = step(run, batch(seed=1))
    assert all(torch.equal(again[name], value) for name, value in expected.items())
    for name, value in made.named_parameters():
        assert torch.equal(value, resumed.get_parameter(name)), name


def test_scores_are_those_of_all_processes(monkeypatch):
    given, halves = batch(), [{}, {}]
    for half, places in zip(halves, (slice(0, 2), slice(2, 6)), strict=True):
        cut = {m: Signal(s.x[places], s.mask[places]) for m, s in given['inputs'].items()}
        half.update(inputs=cut, target=given['target'][places])
    sums = []
    monkeypatch.setattr(agm, 'mean_over_ranks', lambda value: sums.append(value) or value)
    for half in halves:
        step(runner(model(), AGM()), half)
    monkeypatch.setattr(agm, 'mean_over_ranks', lambda value: (sums[0] + sums[1]) / 2)
    logged = step(runner(model(), AGM()), halves[0])
    s = scores(model(), given)
    assert logged['balance_audio'] == pytest.approx(np.exp(1 - ratio(s, 'audio')), rel=1e-4)


def test_it_draws_nothing_and_leaves_every_part_in_its_mode():
    made = model(fuser={'type': 'TokenTransformer', 'dropout': 0.5})
    run = runner(made, hook := AGM())
    frozen = next(p for p in made.fuser.modules() if isinstance(p, torch.nn.Dropout))
    seen, losses = [], hook.losses

    def watch(asked):
        frozen.eval()
        torch.manual_seed(5)
        told = losses(asked)
        seen.append((torch.rand(3), frozen.training, made.fuser.training, made.head.training))
        return told

    hook.losses = watch
    step(run, batch())
    torch.manual_seed(5)
    assert torch.equal(seen[0][0], torch.rand(3)) and seen[0][1:] == (False, True, True)


def test_losses_whose_ratio_would_overflow_leave_a_number():
    run = runner(model(), hook := AGM())
    hook.scores = lambda step: (torch.tensor([0.0, 1e3]), torch.ones(2))
    assert step(run, batch())['balance_audio'] == 0
    assert step(run, batch())['balance_audio'] == 1  # now the past is as far apart


@pytest.mark.parametrize('calibrator', [{'type': 'Identity'}, {'type': 'VGMR', 'width': 8}])
@pytest.mark.parametrize('head', ['Classify', 'Regress'])
def test_it_works_with_any_calibrator_fuser_and_head_and_in_bfloat16(calibrator, head):
    heads = {'Classify': {'type': head, 'num_classes': 3}, 'Regress': {'type': head}}
    parts = {'fuser': {'type': 'TokenTransformer'}, 'head': heads[head], 'calibrator': calibrator}
    made, given = model(3, **parts), batch(3)
    if head == 'Regress':
        given['target'] = given['target'].float()
    with torch.autocast('cpu', torch.bfloat16):
        logged = step(runner(made, AGM()), given)
    assert logged['loss'].isfinite() and logged['balance_text'].isfinite()
    assert all(p.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize('arguments', [{'alpha': -1}, {'cap': 0}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r'AGM\(alpha=.*cap=.*cap above 0'):
        AGM(**arguments)
