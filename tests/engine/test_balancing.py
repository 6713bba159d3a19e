"""What balancing methods share, with methods made for the test."""

from types import SimpleNamespace

import pytest
import torch
from steps import batch, model, runner, step

from mmcalib.engine.balancing import Balancing


class Doubles(Balancing):
    """Adds the loss of the first modality alone, and doubles its encoder's gradients."""

    def losses(self, step):
        self.seen = step
        alone = step.loss(step.predict(step.only(self.modalities[0])))
        return {**step.losses, 'loss_alone': alone.mean(), 'balance_audio': torch.tensor(2.0)}

    def gradients(self, model):
        for parameter in model.encoders[self.modalities[0]].parameters():
            parameter.grad.mul_(2)

    def predictions(self, model, signals):
        return torch.zeros(len(signals['audio'].mask), 3)

    def state_dict(self):
        return {'count': torch.tensor(3)}

    def load_state_dict(self, state):
        self.count = state['count']


def by_hand(lr=0.1):
    """The parameters after the step of Doubles, from autograd alone."""
    made, given = model(), batch()
    signals = {m: made.encoders[m](s) for m, s in given['inputs'].items()}
    whole = torch.cat([signals[m].x[:, 0] for m in signals], dim=1)
    alone = torch.cat([signals['audio'].x[:, 0], torch.zeros(6, 4)], dim=1)
    loss = sum(
        torch.nn.functional.cross_entropy(made.head.linear(x), given['target'])
        for x in (whole, alone)
    )
    gradients = torch.autograd.grad(loss, list(made.parameters()))
    named = zip(made.named_parameters(), gradients, strict=True)
    return {n: p - lr * g * (2 if 'encoders.audio' in n else 1) for (n, p), g in named}


def test_losses_are_added_and_gradients_changed_before_the_step():
    made, hook = model(), Doubles()
    logged = step(runner(made, hook), batch())
    torch.testing.assert_close(logged['loss'], logged['loss_task'] + logged['loss_alone'])
    assert logged['balance_audio'] == 2  # logged, and no part of the loss
    for name, expected in by_hand().items():
        torch.testing.assert_close(made.get_parameter(name), expected, msg=name)


def test_a_step_shows_what_the_model_computed():
    made, hook = model(), Doubles()
    given = batch()
    run = runner(made, hook, lr=0.0)
    step(run, given)
    torch.testing.assert_close(hook.seen.prediction, made(given['inputs']))
    assert list(hook.seen.losses) == ['loss_task']
    only = hook.seen.only('visual')
    assert not only['audio'].mask.any() and only['visual'].mask.all()
    assert torch.equal(hook.seen.target, given['target'])


def test_predictions_are_replaced_in_validation_only():
    made, given = model(), batch()
    run = runner(made, Doubles())
    made.eval()
    assert all(row['prediction'].eq(0).all() for row in made(**given, mode='predict'))
    assert made(given['inputs']).ne(0).any()
    run.hooks[0].after_run(run)
    assert any(row['prediction'].ne(0).any() for row in made(**given, mode='predict'))


def test_after_the_run_nothing_is_left_on_the_model_or_the_optimiser():
    plain, made = model(), model()
    run = runner(made, Doubles())
    run.hooks[0].after_run(run)
    step(run, batch())
    step(runner(plain, Balancing()), batch())  # the base alone changes nothing
    for name, expected in plain.named_parameters():
        assert torch.equal(made.get_parameter(name), expected), name


def test_the_state_travels_in_the_checkpoint():
    checkpoint: dict = {}
    Doubles().before_save_checkpoint(None, checkpoint)
    Balancing().before_save_checkpoint(None, checkpoint)  # has none
    assert checkpoint == {'balancing': {'Doubles': {'count': torch.tensor(3)}}}
    restored = Doubles()
    restored.after_load_checkpoint(None, checkpoint)
    assert restored.count == 3
    tuned = Doubles()
    tuned.after_load_checkpoint(SimpleNamespace(_resume=False), checkpoint)  # load_from
    assert not hasattr(tuned, 'count')


def test_one_modality_and_two_methods_are_refused():
    with pytest.raises(ValueError, match=r"Doubles needs two or more.*\('audio',\)"):
        runner(model(1), Doubles())
    hooks = [Doubles(), Balancing()]
    with pytest.raises(ValueError, match='Doubles and Balancing balance one run'):
        hooks[0].before_run(SimpleNamespace(model=model(), hooks=hooks))
