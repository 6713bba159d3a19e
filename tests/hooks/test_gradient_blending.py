"""GradientBlending against losses and weights computed by hand."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner, step
from torch.nn import functional as F

from mmcalib.contract import Signal
from mmcalib.hooks import gradient_blending
from mmcalib.hooks.gradient_blending import GradientBlending, blend


class Loader:
    """Batches in the order of an epoch; as a DataLoader it draws from all global generators."""

    def __init__(self, *batches):
        self.batches, self.sampler, self.read = batches, self, []
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        random.random(), np.random.rand(), torch.rand(1)
        for index in range(len(self.batches)):
            place = (index + self.epoch) % len(self.batches)
            self.read.append(place)
            yield self.batches[place]


def loaders(modalities=2, size=6):
    train = Loader(*(batch(modalities, size, seed=s) for s in (1, 2, 3)))
    return {'train_dataloader': train, 'val_dataloader': Loader(batch(modalities, size, seed=4))}


def per_sample(made, given, names):
    """Loss of each sample when only these modalities are there: linear layers and zeros."""
    parts = []
    for m in made.encoders:
        signal = given['inputs'][m]
        x = made.encoders[m](Signal(signal.clean(), signal.mask)).x[:, 0] * signal.mask
        parts.append(x if m in names else torch.zeros(len(x), DIMS[m]))
    prediction = made.head.linear(torch.cat(parts, dim=1))
    return F.cross_entropy(prediction, given['target'], reduction='none')


def losses_of(made, batches):
    """Per modality the mean over the samples that have it, then all modalities over all."""
    found = []
    for names in [*([m] for m in made.encoders), list(made.encoders)]:
        own = names[0] if len(names) == 1 else None
        rows = [
            per_sample(made, given, names)[given['inputs'][own].mask[:, 0] if own else slice(None)]
            for given in batches
        ]
        found.append(torch.cat(rows).mean())
    return found


def gone(given, m, samples):
    mask = given['inputs'][m].mask.clone()
    mask[samples] = False
    x = given['inputs'][m].x.masked_fill(~mask.unsqueeze(-1), torch.nan)
    return {**given, 'inputs': {**given['inputs'], m: Signal(x, mask)}}


def copied(made, modalities):
    twin = model(modalities)
    twin.load_state_dict(made.state_dict())
    return twin


def close_epoch(run):
    for hook in run.hooks:
        hook.after_train_epoch(run)
    run.epoch += 1


@pytest.mark.parametrize('modalities', [2, 3])
def test_a_step_trains_on_the_weighted_losses(modalities):
    made, hook = model(modalities), GradientBlending()
    given = gone(batch(modalities), 'audio', [0, 1])
    run = runner(made, hook, lr=0.1, **loaders(modalities))
    hook.weights = torch.arange(1, modalities + 2) / 10
    names = [*made.encoders, 'fused']
    by_hand = losses_of(made, [given])
    total = sum(w * loss for w, loss in zip(hook.weights, by_hand, strict=True))
    gradients = torch.autograd.grad(total, list(made.parameters()))
    before = [p.detach().clone() for p in made.parameters()]
    logged = step(run, given)
    torch.testing.assert_close(logged['loss'], total)
    torch.testing.assert_close(logged['loss_task'], hook.weights[-1] * by_hand[-1])
    torch.testing.assert_close(logged['loss_blend_audio'], 0.1 * by_hand[0])
    assert [logged[f'balance_{n}'] for n in names] == hook.weights.tolist()
    for p, old, gradient in zip(made.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(p, old - 0.1 * gradient)


@pytest.mark.parametrize('modalities', [2, 3])
def test_weights_are_gain_over_squared_overfitting_of_the_last_super_epoch(modalities):
    made, given = model(modalities), loaders(modalities)
    given['val_dataloader'].batches = (gone(batch(modalities, seed=4), 'visual', [0, 3]),)
    run = runner(made, hook := GradientBlending(2, train_batches=2), lr=0.2, **given)
    equal = 1 / (modalities + 1)
    both = given['train_dataloader'].batches[:2], given['val_dataloader'].batches

    def numbers():
        return [[loss.item() for loss in losses_of(made, batches)] for batches in both]

    told = [numbers()]
    for _ in range(2):
        torch.testing.assert_close(hook.weights, torch.full((modalities + 1,), equal))
        for one in both[0]:
            step(run, one)
        close_epoch(run)
    (t0, v0), (t1, v1) = np.array([*told, numbers()])
    raw = np.maximum(v0 - v1, 0) / ((v1 - t1) - (v0 - t0)) ** 2
    assert raw.sum() > 0
    np.testing.assert_allclose(hook.weights, raw / raw.sum(), rtol=1e-3)
    np.testing.assert_allclose(hook.measured, [t1, v1], rtol=1e-5)
    assert given['train_dataloader'].read == [0, 1] * 2  # the same batches, in whichever epoch


def test_no_gain_is_no_weight_and_no_gain_at_all_keeps_the_weights():
    before, old = torch.tensor([[1.0, 1, 1], [2.0, 2, 2]]), torch.tensor([0.2, 0.3, 0.5])
    # Validation: worse, better by .5 with a gap grown by .5, better by 1 with a gap grown by 2.
    now = torch.tensor([[1.0, 0, -2], [2.5, 1.5, 1.0]])
    torch.testing.assert_close(blend(before, now, old, 1e-8), torch.tensor([0, 8 / 9, 1 / 9]))
    assert torch.equal(blend(before, before + 1, old, 1e-8), old)
    # The gap stayed: the smallest O^2 counts instead, here 0.25.
    now = torch.tensor([[0.5, 1, 1], [1.5, 2, 1.5]])
    expected = torch.tensor([2 / 4, 0, 2 / 4])
    torch.testing.assert_close(blend(before, now, old, 0.25), expected)
    nowhere = torch.tensor([[torch.nan, 0.5, 0.5], [torch.nan, 1, 1.5]])
    assert blend(before, nowhere, old, 1e-8)[0] == 0


def test_measuring_leaves_random_numbers_order_modes_and_parameters_alone():
    given = loaders()
    made = model(fuser={'type': 'TokenTransformer', 'dropout': 0.5})
    frozen = next(p for p in made.modules() if isinstance(p, torch.nn.Dropout))
    run = runner(made, hook := GradientBlending(1), **given)
    made.train()
    frozen.eval()
    run.epoch = 4
    given['train_dataloader'].set_epoch(4)
    before = {n: v.clone() for n, v in made.state_dict().items()}

    def numbers():
        return random.random(), np.random.rand(), torch.rand(1).item()

    def seed():
        random.seed(1), np.random.seed(1), torch.manual_seed(1)

    seed()
    expected = numbers()
    seed()
    first = hook.measure(run)
    assert numbers() == expected
    assert torch.equal(first, hook.measure(run))  # no dropout
    assert given['train_dataloader'].epoch == 4
    assert made.fuser.training and not frozen.training
    assert all(torch.equal(made.state_dict()[n], v) for n, v in before.items())
    assert hook._calibration is None and all(p.grad is None for p in made.parameters())


def test_a_resumed_run_goes_on_as_the_other_and_does_not_measure_anew():
    def train(run):
        found = []
        for _ in range(3):
            found.append(step(run, batch(seed=run.epoch)))
            close_epoch(run)
        return found

    made, checkpoint = model(), {}
    run = runner(made, hook := GradientBlending(2), **loaders())
    step(run, batch())
    close_epoch(run)
    hook.before_save_checkpoint(run, checkpoint)
    twin = copied(made, 2)
    expected = train(run)
    fresh, other = GradientBlending(2), loaders()
    resumed = SimpleNamespace(
        **{**vars(run), **other, 'model': twin, 'hooks': [fresh], 'epoch': 1, 'iter': 1}
    )
    resumed.optim_wrapper = type(run.optim_wrapper)(torch.optim.SGD(twin.parameters(), lr=0.1))
    fresh.before_run(resumed)
    fresh.after_load_checkpoint(resumed, checkpoint)
    fresh.before_train(resumed)
    assert other['train_dataloader'].read == []
    for one, again in zip(expected, train(resumed), strict=True):
        assert 'balance_fused' in one and all(torch.equal(again[n], v) for n, v in one.items())
    assert len({float(one['balance_fused']) for one in expected}) > 1


def test_the_losses_measured_are_those_of_all_processes(monkeypatch):
    run = runner(model(), hook := GradientBlending(), **loaders())
    alone = hook.measure(run)
    other = torch.tensor([[0.0, 0, 0], [6.0, 6, 6]])  # six samples more, without any loss
    monkeypatch.setattr(gradient_blending, 'mean_over_ranks', lambda sums: (sums + other) / 2)
    expected = alone * torch.tensor([[18 / 24], [6 / 12]])
    torch.testing.assert_close(hook.measure(run), expected)


def test_a_modality_that_is_nowhere_in_a_batch_costs_nothing():
    made = model(3)
    run = runner(made, GradientBlending(), **loaders(3))
    logged = step(run, gone(batch(3), 'text', list(range(6))))
    assert logged['loss_blend_text'] == 0 and logged['loss'].isfinite()
    assert all(p.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize('calibrator', [{'type': 'Identity'}, {'type': 'VGMR', 'width': 8}])
@pytest.mark.parametrize('head', ['Classify', 'Regress'])
def test_it_works_with_any_calibrator_fuser_and_head_and_in_bfloat16(calibrator, head):
    heads = {'Classify': {'type': head, 'num_classes': 3}, 'Regress': {'type': head}}
    parts = {'fuser': {'type': 'TokenTransformer'}, 'head': heads[head], 'calibrator': calibrator}
    made, given = model(3, **parts), loaders(3)
    batches = [*given['train_dataloader'].batches, *given['val_dataloader'].batches]
    if head == 'Regress':
        for one in batches:
            one['target'] = one['target'].float()
    with torch.autocast('cpu', torch.bfloat16):
        run = runner(made, hook := GradientBlending(1), **given)
        step(run, batches[0])
        close_epoch(run)
        logged = step(run, batches[1])
    assert logged['loss'].isfinite() and hook.weights.sum() == pytest.approx(1)
    assert ('loss_value' in logged) == (calibrator['type'] == 'VGMR')
    assert all(p.isfinite().all() for p in made.parameters())


def test_a_run_without_validation_is_refused():
    for given in ({}, {'val_dataloader': None}):
        with pytest.raises(ValueError, match=r'needs validation data.*no val_dataloader'):
            runner(model(), GradientBlending(), **given)


@pytest.mark.parametrize('arguments', [{'super_epoch': 0}, {'train_batches': 0}, {'epsilon': 0}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r'GradientBlending\(super_epoch=.*epsilon is above 0'):
        GradientBlending(**arguments)
