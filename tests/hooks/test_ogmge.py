"""OGM-GE against a step computed by hand, and its noise."""

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step

from mmcalib.hooks import ogmge
from mmcalib.hooks.ogmge import OGMGE


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def factors(made, given, alpha):
    """k per modality in numpy: one linear head on concatenated features, the others zero."""
    names = list(made.encoders)
    numbers = {n: p.detach().numpy() for n, p in made.named_parameters()}
    scores, start = [], 0
    for m in names:
        x = given['inputs'][m].x[:, 0].numpy() @ numbers[f'encoders.{m}.layer.weight'].T
        x = x + numbers[f'encoders.{m}.layer.bias']
        columns = numbers['head.linear.weight'][:, start : start + DIMS[m]]
        p = softmax(x @ columns.T + numbers['head.linear.bias'])
        scores.append(p[np.arange(len(p)), given['target'].numpy()].sum())
        start += DIMS[m]
    ratios = [s / np.mean(scores[:i] + scores[i + 1 :]) for i, s in enumerate(scores)]
    return {m: 1 - np.tanh(alpha * r) if r > 1 else 1.0 for m, r in zip(names, ratios, strict=True)}


def gradients(made, given):
    loss = made(given['inputs'], given['target'], mode='loss')['loss_task']
    names = [n for n, _ in made.named_parameters()]
    return dict(zip(names, torch.autograd.grad(loss, list(made.parameters())), strict=True))


def trained(hook, seed=7, iteration=0, modalities=2, state=0, **stages):
    """The model after one step, and what was logged."""
    made = model(modalities, **stages)
    run = runner(made, hook, lr=0.1, seed=seed)
    run.iter = iteration
    hook.before_train_epoch(run)
    torch.manual_seed(state)
    return made, step(run, batch(modalities))


def noise(made, hook_alpha=0.8, modalities=2):
    """What is in the step of `made` besides the scaled gradient, in units of its deviation."""
    before, given = model(modalities), batch(modalities)
    k, found = factors(before, given, hook_alpha), {}
    for name, gradient in gradients(model(modalities), given).items():
        taken = (before.get_parameter(name) - made.get_parameter(name)).detach() / 0.1
        of = [m for m in k if name.startswith(f'encoders.{m}.')]
        rest = taken - (k[of[0]] if of else 1.0) * gradient
        found[name] = rest / np.std(gradient.numpy(), ddof=1) if of else rest
    return found


@pytest.mark.parametrize('modalities', [2, 3])
def test_besides_the_scaled_gradient_there_is_noise_in_all_encoders_and_nothing_else(modalities):
    made, logged = trained(OGMGE(0.8), modalities=modalities)
    k = factors(model(modalities), batch(modalities), 0.8)
    assert min(k.values()) < 1
    for m, factor in k.items():
        assert logged[f'balance_{m}'] == pytest.approx(factor, rel=1e-5)
    for name, rest in noise(made, modalities=modalities).items():
        if name.startswith('encoders'):
            assert (rest.abs() > 1e-4).all() and (rest.abs() < 5).all(), name
        else:
            torch.testing.assert_close(rest, torch.zeros_like(rest), atol=1e-5, rtol=0)


def test_the_noise_has_the_deviation_of_the_gradient_before_its_scaling():
    pooled = [
        torch.cat([n.flatten() for name, n in noise(made).items() if name.startswith('encoders')])
        for made in (trained(OGMGE(0.8), iteration=i)[0] for i in range(40))
    ]
    z = torch.stack(pooled)  # (40, 32)
    # Five standard errors of the mean and of the deviation of 1280 normal numbers.
    assert abs(z.mean()) < 5 / 1280**0.5 and abs(z.std() - 1) < 5 / 2560**0.5
    half = torch.corrcoef(z.T).fill_diagonal_(0)  # each element has its own
    assert half.abs().max() < 0.75


def test_the_noise_depends_on_seed_and_iteration_and_on_no_random_state():
    first, _ = trained(OGMGE(), seed=7, iteration=5)
    again, _ = trained(OGMGE(), seed=7, iteration=5, state=99)
    others = [trained(OGMGE(), seed=7, iteration=6)[0], trained(OGMGE(), seed=8, iteration=5)[0]]
    for name, value in first.named_parameters():
        assert torch.equal(value, again.get_parameter(name)), name
        if name.startswith('encoders'):
            assert all((value != other.get_parameter(name)).any() for other in others)


def test_all_processes_use_the_seed_of_the_first(monkeypatch):
    expected, _ = trained(OGMGE(), seed=7)
    monkeypatch.setattr(ogmge, 'broadcast', lambda tensor: tensor.fill_(7))
    other, _ = trained(OGMGE(), seed=8)
    for name, value in expected.named_parameters():
        assert torch.equal(value, other.get_parameter(name)), name


def test_the_random_numbers_of_training_stay_as_they_are():
    run = runner(model(), hook := OGMGE(), seed=7)
    hook.before_train_epoch(run)
    torch.manual_seed(1)
    step(run, batch())
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(3))


@pytest.mark.parametrize('epoch', [0, 3])
def test_outside_its_epochs_it_changes_nothing(epoch):
    made, given = model(), batch()
    run = runner(made, hook := OGMGE(begin=1, end=3), seed=7)
    run.epoch = epoch
    hook.before_train_epoch(run)
    assert 'balance_audio' not in step(run, given)
    for name, gradient in gradients(model(), given).items():
        expected = model().get_parameter(name) - 0.1 * gradient
        torch.testing.assert_close(made.get_parameter(name), expected, msg=name)


def test_a_gradient_of_one_element_gets_no_noise():
    made = model()
    made.encoders['audio'].extra = torch.nn.Parameter(torch.zeros(1))
    run = runner(made, hook := OGMGE(), seed=7)
    hook.active, hook.factors = True, {'audio': 0.5}
    made.encoders['audio'].extra.grad = torch.ones(1)
    hook.gradients(made)
    assert made.encoders['audio'].extra.grad == 0.5 and run.seed == 7


@pytest.mark.parametrize('calibrator', [{'type': 'Identity'}, {'type': 'VGMR', 'width': 8}])
@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_with_any_calibrator_and_fuser_and_in_bfloat16(calibrator, fuser):
    with torch.autocast('cpu', torch.bfloat16):
        made, logged = trained(OGMGE(), modalities=3, calibrator=calibrator, fuser={'type': fuser})
    assert logged['loss'].isfinite() and 'balance_text' in logged
    assert all(p.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'alpha': -1}, r'OGMGE\(alpha=-1\).*0 or more'),
        ({'begin': 5, 'end': 4}, 'begin=5, end=4'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        OGMGE(**arguments)
