"""OGM against a step computed by hand."""

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step

from mmcalib.hooks.ogm import OGM


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def factors(made, given, alpha):
    """k per modality in numpy: one linear head on concatenated features, the others zero."""
    names = list(made.encoders)
    weight = made.head.linear.weight.detach().numpy()
    bias = made.head.linear.bias.detach().numpy()
    scores, start = {}, 0
    for m in names:
        layer = made.encoders[m].layer
        x = given['inputs'][m].x[:, 0].numpy() @ layer.weight.detach().numpy().T
        x = x + layer.bias.detach().numpy()
        p = softmax(x @ weight[:, start : start + DIMS[m]].T + bias)
        scores[m] = p[np.arange(len(p)), given['target'].numpy()].sum()
        start += DIMS[m]
    made_of = {}
    for m in names:
        ratio = scores[m] / np.mean([scores[o] for o in names if o != m])
        made_of[m] = 1 - np.tanh(alpha * ratio) if ratio > 1 else 1.0
    return made_of


def gradients(made, given):
    """Without balancing."""
    twin = made
    loss = twin(given['inputs'], given['target'], mode='loss')['loss_task']
    return torch.autograd.grad(loss, list(twin.parameters()))


@pytest.mark.parametrize('modalities', [2, 3])
@pytest.mark.parametrize('alpha', [0.1, 0.8])
def test_a_step_scales_the_dominant_encoder_by_its_factor(modalities, alpha):
    made, given = model(modalities), batch(modalities)
    expected = factors(made, given, alpha)
    assert min(expected.values()) < 1 and max(expected.values()) == 1
    plain = gradients(model(modalities), given)
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    hook = OGM(alpha)
    run = runner(made, hook, lr=0.1)
    hook.before_train_epoch(run)
    logged = step(run, given)
    for m, factor in expected.items():
        assert logged[f'balance_{m}'] == pytest.approx(factor, rel=1e-5)
    for (name, parameter), gradient in zip(made.named_parameters(), plain, strict=True):
        of = [m for m in expected if name.startswith(f'encoders.{m}.')]
        factor = expected[of[0]] if of else 1.0
        torch.testing.assert_close(parameter, before[name] - 0.1 * factor * gradient, msg=name)


@pytest.mark.parametrize('epoch', [0, 3])
def test_outside_its_epochs_it_changes_nothing(epoch):
    made, plain, given = model(), model(), batch()
    hook = OGM(begin=1, end=3)
    run = runner(made, hook)
    run.epoch = epoch
    hook.before_train_epoch(run)
    logged = step(run, given)
    assert 'balance_audio' not in logged
    step(runner(plain, OGM(begin=1, end=3)), given)
    loss_free = zip(made.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in loss_free)


@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_beside_vgmr_and_any_fuser(fuser):
    made = model(3, calibrator={'type': 'VGMR', 'width': 8}, fuser={'type': fuser})
    hook = OGM()
    run = runner(made, hook)
    hook.before_train_epoch(run)
    logged = step(run, batch(3))
    assert logged['loss'].isfinite() and {'balance_text', 'loss_value'} <= logged.keys()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [({'alpha': -1}, r'OGM\(alpha=-1\).*0 or more'), ({'begin': 5, 'end': 4}, 'begin=5, end=4')],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        OGM(**arguments)
