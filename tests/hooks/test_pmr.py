"""PMR against epochs computed by hand."""

import numpy as np
import pytest
import torch
from steps import batch, model, runner, step
from torch.nn import functional as F

from mmcalib.contract import Signal
from mmcalib.hooks import pmr
from mmcalib.hooks.pmr import PMR


def features(made, given, m):
    """(B, D) of a linear encoder on one token, zero where it is missing."""
    signal, layer = given['inputs'][m], made.encoders[m].layer
    x = torch.where(signal.mask, signal.x[:, 0], torch.zeros(()))
    return F.linear(x, layer.weight, layer.bias)


def means(made, batches, m):
    """The class means, sample by sample."""
    found: dict[int, list] = {}
    for given in batches:
        z = features(made, given, m).detach().numpy()
        for row, k, there in zip(z, given['target'].tolist(), given['inputs'][m].mask, strict=True):
            if there:
                found.setdefault(k, []).append(row)
    return {k: np.mean(rows, axis=0) for k, rows in found.items()}


def judged(made, given, m, prototypes):
    """Mean loss and mean p of the right class, over samples that have both."""
    losses, right = [], []
    for z, k, there in zip(
        features(made, given, m), given['target'].tolist(), given['inputs'][m].mask, strict=True
    ):
        if there and k in prototypes:
            d = {c: (z - torch.tensor(p)).square().sum().sqrt() for c, p in prototypes.items()}
            p = torch.exp(-d[k]) / sum(torch.exp(-v) for v in d.values())
            losses.append(-p.log())
            right.append(p.item())
    return (sum(losses) / len(losses), np.mean(right)) if losses else (None, None)


def epoch(run, batches):
    logged = [step(run, given) for given in batches]
    for hook in run.hooks:
        hook.after_train_epoch(run)
    return logged


def without(given, m, gone):
    mask = given['inputs'][m].mask.clone()
    mask[gone] = False
    x = given['inputs'][m].x.masked_fill(~mask.unsqueeze(-1), torch.nan)
    return {**given, 'inputs': {**given['inputs'], m: Signal(x, mask)}}


@pytest.mark.parametrize('modalities', [2, 3])
def test_after_an_epoch_the_slower_modalities_are_trained_on_their_prototypes(modalities):
    made = model(modalities)
    run = runner(made, hook := PMR(0.7, 0.25), lr=0.0)
    # Class 2 has no sample in the first epoch, and the last sample no audio.
    few = [{**batch(modalities, seed=s), 'target': torch.tensor([0, 1] * 3)} for s in (1, 2)]
    few = [without(given, 'audio', [5]) for given in few]
    for logged in epoch(run, few):
        assert not [name for name in logged if 'prototype' in name or 'balance' in name]
    names = list(made.encoders)
    first = {m: means(made, few, m) for m in names}
    new = without(batch(modalities, seed=3), 'visual', [0, 1])
    result = {m: judged(made, new, m, first[m]) for m in names}
    p = {m: result[m][1] for m in names}
    weight = {m: 0.7 * (p[m] < np.mean([p[o] for o in names if o != m])) for m in names}
    assert 0 < sum(w > 0 for w in weight.values()) < modalities
    run.optim_wrapper.param_groups[0]['lr'] = 0.1
    total = made(new['inputs'], new['target'], mode='loss')['loss_task']
    total = total + sum(weight[m] * result[m][0] for m in names)
    named = dict(made.named_parameters())
    gradients = dict(zip(named, torch.autograd.grad(total, list(named.values())), strict=True))
    expected = {n: v.detach() - 0.1 * gradients[n] for n, v in named.items()}
    second = {m: means(made, [new], m) for m in names}
    logged = step(run, new)
    for m in names:
        assert logged[f'balance_{m}'] == pytest.approx(weight[m])
        wanted = (weight[m] * result[m][0]).item()
        assert logged[f'loss_prototype_{m}'].item() == pytest.approx(wanted, rel=1e-5)
    torch.testing.assert_close(logged['loss'], total)
    for name, value in expected.items():
        torch.testing.assert_close(made.get_parameter(name), value, msg=name)
    hook.after_train_epoch(run)
    for m in names:
        for k in range(3):
            old, mean = first[m].get(k), second[m].get(k)
            moved = mean if old is None else old if mean is None else 0.25 * old + 0.75 * mean
            np.testing.assert_allclose(hook.prototypes[m][k], moved, rtol=1e-4, atol=1e-6)


def test_a_class_without_a_prototype_gives_no_loss_and_a_class_unseen_keeps_its_own():
    run = runner(model(), hook := PMR(), lr=0.0)
    epoch(run, [{**batch(), 'target': torch.zeros(6, dtype=torch.long)}])
    kept = hook.prototypes['audio'][0].clone()
    [logged] = epoch(run, [{**batch(), 'target': torch.ones(6, dtype=torch.long)}])
    assert logged['loss'] == logged['loss_task'] and logged['balance_audio'] == 0
    assert torch.equal(hook.prototypes['audio'][0], kept)
    assert hook.prototypes['audio'][1].isfinite().all()
    assert hook.prototypes['audio'][2].isnan().all()


def test_a_modality_that_is_nowhere_is_neither_behind_nor_a_partner():
    made = model(3)
    run = runner(made, PMR())
    epoch(run, [batch(3)])
    gone = without(batch(3, seed=1), 'text', list(range(6)))
    logged = step(run, gone)
    assert logged['balance_text'] == 0 and logged['loss_prototype_text'] == 0
    assert logged['balance_audio'] + logged['balance_visual'] == 1
    assert all(p.isfinite().all() for p in made.parameters())
    alone = without(gone, 'audio', list(range(6)))
    assert step(run, alone)['balance_visual'] == 0


def test_a_feature_on_its_prototype_has_a_finite_gradient():
    made = model()
    run = runner(made, hook := PMR())
    epoch(run, [batch()])
    with torch.no_grad():
        for m in hook.prototypes:
            hook.prototypes[m] = features(made, batch(), m)[:3]
    step(run, batch())
    assert all(p.isfinite().all() for p in made.parameters())


def test_a_resumed_run_goes_on_as_the_other_amid_an_epoch():
    made, checkpoint = model(), {}
    run = runner(made, hook := PMR())
    assert hook.state_dict() == {}
    epoch(run, [batch()])
    step(run, batch(seed=1))
    weights = {n: v.clone() for n, v in made.state_dict().items()}
    hook.before_save_checkpoint(run, checkpoint)
    rest = [batch(seed=2)]
    expected = epoch(run, rest) + epoch(run, rest)
    resumed = model()
    resumed.load_state_dict(weights)
    run = runner(resumed, hook := PMR())
    hook.after_load_checkpoint(run, checkpoint)
    again = epoch(run, rest) + epoch(run, rest)
    for one, other in zip(expected, again, strict=True):
        assert 'balance_audio' in one and all(torch.equal(other[n], v) for n, v in one.items())


def test_scores_and_prototypes_are_those_of_all_processes(monkeypatch):
    asked = []
    monkeypatch.setattr(pmr, 'mean_over_ranks', lambda value: asked.append(value) or value * 0.5)
    run = runner(model(), hook := PMR(), lr=0.0)
    epoch(run, [batch()])
    expected = means(model(), [batch()], 'audio')  # half of both, sums and counts
    np.testing.assert_allclose(hook.prototypes['audio'][1], expected[1], rtol=1e-5)
    before = len(asked)
    step(run, batch(seed=1))
    assert asked[before].shape == (2, 2) and len(asked) == before + 3


@pytest.mark.parametrize('calibrator', [{'type': 'Identity'}, {'type': 'VGMR', 'width': 8}])
def test_it_works_with_any_calibrator_and_fuser_and_in_bfloat16(calibrator):
    made = model(3, calibrator=calibrator, fuser={'type': 'TokenTransformer'})
    run = runner(made, PMR())
    with torch.autocast('cpu', torch.bfloat16):
        epoch(run, [batch(3)])
        [logged] = epoch(run, [batch(3, seed=1)])
    assert logged['loss'].isfinite() and logged['loss'] > logged['loss_task']
    assert all(p.isfinite().all() for p in made.parameters())


def test_heads_and_targets_without_one_class_per_sample_are_refused():
    with pytest.raises(ValueError, match='PMR needs a head with num_classes; Regress has none'):
        runner(model(head={'type': 'Regress'}), PMR())
    run = runner(model(head={'type': 'MultiLabel', 'num_classes': 3}), PMR())
    with pytest.raises(ValueError, match=r'one class per sample.*\(6, 3\) of torch.float32'):
        step(run, {**batch(), 'target': torch.ones(6, 3)})


@pytest.mark.parametrize('arguments', [{'alpha': -1}, {'momentum': 1.0}, {'momentum': -0.1}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r'PMR\(alpha=.*momentum=.*in \[0, 1\)'):
        PMR(**arguments)
