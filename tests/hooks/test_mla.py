"""MLA against turns computed by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from steps import DIMS, batch, model, runner
from torch.nn import functional as F

from mmcalib.hooks.mla import MLA

LENGTH = 10  # batches of an epoch


def start(made, lr=0.1):
    return runner(made, MLA(), lr, train_dataloader=range(LENGTH))


def turn(run, given, index):
    """As `steps.step`, at batch `index` of the epoch."""
    run.model.train()
    run.hooks[0].before_train_iter(run, index, given)
    logged = run.model.train_step(given, run.optim_wrapper)
    run.iter += 1
    return logged


def alone(made, given, m):
    """The head's input when only m is there (B, D), in numpy."""
    parts = []
    for o, encoder in made.encoders.items():
        layer = encoder.layer
        x = given['inputs'][o].x[:, 0].numpy() @ layer.weight.detach().numpy().T
        x = x + layer.bias.detach().numpy()
        here = given['inputs'][o].mask.numpy() * (o == m)
        parts.append(x * here)
    return np.concatenate(parts, axis=1)


def plain(made, given, m):
    """Gradients of the task loss of m alone, for the encoder of m and the head."""
    signals = {o: made.encoders[o](s) for o, s in given['inputs'].items()}
    parts = [s.clean()[:, 0] * (o == m) for o, s in signals.items()]
    present = given['inputs'][m].present
    loss = F.cross_entropy(made.head.linear(torch.cat(parts, 1)), given['target'], reduction='none')
    own = {n: p for n, p in made.named_parameters() if n.startswith((f'encoders.{m}.', 'head'))}
    return dict(zip(own, torch.autograd.grad(loss[present].mean(), own.values()), strict=True))


@pytest.mark.parametrize('modalities', [2, 3])
def test_modalities_take_turns_and_the_head_is_projected(modalities):
    made = model(modalities)
    names, run = list(made.encoders), start(made)
    width = made.fuser.out_dim
    projection = np.eye(width)
    for index in range(4):
        given, m = batch(modalities, seed=index), names[index % modalities]
        given['inputs'][m].mask[0] = False  # a sample without it
        old = {n: p.detach().clone() for n, p in made.named_parameters()}
        gradients = plain(made, given, m)
        vectors = alone(made, given, m)[1:]
        logged = turn(run, given, index)
        if index:
            r, a = vectors.mean(0), 0.1 ** (1 + index / LENGTH)
            k = projection @ r
            projection = projection - np.outer(k, k) / (a + r @ projection @ r)
            projection = projection / np.sqrt((projection**2).sum())
            weight = gradients['head.linear.weight'].numpy() @ projection.T
            gradients['head.linear.weight'] = torch.tensor(weight, dtype=torch.float32)
        for name, parameter in made.named_parameters():
            moved = old[name] - 0.1 * gradients.get(name, torch.zeros(()))
            torch.testing.assert_close(parameter, moved, msg=f'{name}, turn {index}')
        assert [logged[f'balance_{o}'] for o in names] == [float(o == m) for o in names]


def test_momentum_moves_no_encoder_out_of_its_turn():
    made = model()
    run = start(made)
    run.optim_wrapper.optimizer.param_groups[0].update(momentum=0.9, weight_decay=0.1)
    for index in range(2):
        turn(run, batch(seed=index), index)
    audio = made.encoders['audio'].layer.weight.detach().clone()
    turn(run, batch(seed=3), 2)
    assert not torch.equal(made.encoders['audio'].layer.weight, audio)  # its turn again
    visual = made.encoders['visual'].layer.weight.detach().clone()
    audio = made.encoders['audio'].layer.weight.detach().clone()
    turn(run, batch(seed=4), 3)
    assert torch.equal(made.encoders['audio'].layer.weight, audio)
    assert not torch.equal(made.encoders['visual'].layer.weight, visual)


def entropy(p):
    return -(p * np.log(p)).sum()


def test_the_certain_modality_weighs_more_in_evaluation():
    made, given = model(3), batch(3)
    given['inputs']['text'].mask[1] = False
    given['inputs']['audio'].mask[2] = given['inputs']['text'].mask[2] = False
    start(made)
    rows = made.eval()(**given, mode='predict')
    weight = made.head.linear.weight.detach().numpy()
    bias = made.head.linear.bias.detach().numpy()
    logits = {m: alone(made, given, m) @ weight.T + bias for m in DIMS}
    for index, row in enumerate(rows):
        here = [m for m in DIMS if given['inputs'][m].present[index]]
        f = np.stack([logits[m][index] for m in here])
        p = np.exp(f) / np.exp(f).sum(1, keepdims=True)
        h = np.array([entropy(x) for x in p])
        w = np.exp(h.max() - h)
        expected = (w[:, None] / w.sum() * f).sum(0)
        np.testing.assert_allclose(row['prediction'].detach().numpy(), expected, rtol=1e-4)


def test_a_sample_with_nothing_keeps_the_models_prediction():
    made, given = model(), batch()
    for signal in given['inputs'].values():
        signal.mask[0] = False
    expected = made.eval()(given['inputs'])[0]
    start(made)
    torch.testing.assert_close(made(**given, mode='predict')[0]['prediction'], expected)


def test_a_resumed_run_goes_on_with_the_same_projection():
    whole, parts = model(), model()
    run, half = start(whole), start(parts)
    for index in range(5):
        turn(run, batch(seed=index), index)
    for index in range(3):
        turn(half, batch(seed=index), index)
    checkpoint: dict = {}
    half.hooks[0].before_save_checkpoint(half, checkpoint)
    resumed = model()
    resumed.load_state_dict(parts.state_dict())
    again = start(resumed)
    again.hooks[0].after_load_checkpoint(again, checkpoint)
    again.iter = 3
    for index in range(3, 5):
        turn(again, batch(seed=index), index)
    for name, expected in whole.named_parameters():
        assert torch.equal(resumed.get_parameter(name), expected), name


@pytest.mark.parametrize('fuser', ['Concat', 'TokenTransformer'])
def test_it_works_beside_vgmr_and_any_fuser(fuser):
    made = model(3, calibrator={'type': 'VGMR', 'width': 8}, fuser={'type': fuser})
    run = start(made)
    for index in range(3):
        logged = turn(run, batch(3, seed=index), index)
        assert logged['loss'].isfinite() and {'balance_text', 'loss_value'} <= logged.keys()


def test_other_heads_and_accumulated_gradients_are_refused():
    with pytest.raises(ValueError, match='MLA needs the head Classify; the model has Regress'):
        start(model(head={'type': 'Regress'}))
    wrapper = SimpleNamespace(optimizer=None, _accumulative_counts=4)
    run = SimpleNamespace(model=model(), optim_wrapper=wrapper)
    with pytest.raises(ValueError, match='accumulative_counts is 4'):
        MLA().before_train(run)
