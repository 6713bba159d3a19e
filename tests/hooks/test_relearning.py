"""Relearning on features whose clusters are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from steps import DIMS, model, runner
from torch.utils.data import DataLoader, Dataset

from mmcalib.contract import Signal
from mmcalib.datasets.collate import collate
from mmcalib.hooks.relearning import Relearning, purity


class Blobs(Dataset):
    """Twelve samples in two far blobs; labels follow the blobs of `clear` modalities only."""

    def __init__(self, clear, modalities=2, absent=()):
        self.clear, self.names, self.absent = clear, list(DIMS)[:modalities], absent

    def __len__(self):
        return 12

    def __getitem__(self, index):
        label, inputs = index % 2, {}
        for m in self.names:
            blob = label if m in self.clear else index // 2 % 2  # half of each blob is of a class
            x = torch.full((1, DIMS[m]), 100.0 * blob) + 0.01 * index
            inputs[m] = Signal(x, torch.tensor([m not in self.absent]))
        return {'inputs': inputs, 'target': torch.tensor(label), 'id': str(index)}


def loader(*args, **more):
    return DataLoader(Blobs(*args, **more), 5, collate_fn=collate)


def run(hook, train, val, modalities=2):
    made = model(modalities)
    for encoder in made.encoders.values():
        torch.nn.init.eye_(encoder.layer.weight)
    more = {'train_dataloader': train, 'val_dataloader': val}
    hub = SimpleNamespace(logged={}, update_scalar=lambda key, v: hub.logged.update({key: v}))
    return runner(made, hook, message_hub=hub, **more)


def shift(run):
    """As if training had moved every parameter by one."""
    before = {n: p.detach().clone() for n, p in run.model.named_parameters()}
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter += 1
    return before


@pytest.mark.parametrize('modalities', [2, 3])
def test_an_encoder_goes_back_by_the_gap_of_its_purity(modalities):
    # In training audio is pure (1), elsewhere in halves (1/2): gap 1/2. All else has no gap.
    hook = Relearning(every=2, strength=3.0)
    r = run(hook, loader(['audio'], modalities), loader([], modalities), modalities)
    before = shift(r)
    r.epoch = 2
    hook.before_train_epoch(r)
    weight = np.tanh(3 * 0.5)
    assert r.message_hub.logged['train/balance_audio'] == pytest.approx(weight, rel=1e-6)
    assert r.message_hub.logged['train/balance_visual'] == 0
    for name, parameter in r.model.named_parameters():
        left = 1 - weight if name.startswith('encoders.audio') else 1
        torch.testing.assert_close(parameter, before[name] + left, msg=name)


def test_it_acts_every_few_epochs_and_not_for_ever():
    hook = Relearning(every=2, times=2)
    r = run(hook, loader(['audio']), loader([]))
    acted = []
    for epoch in range(8):
        before = shift(r)
        r.epoch = epoch
        hook.before_train_epoch(r)
        weight = 'encoders.audio.layer.weight'
        if not torch.allclose(r.model.get_parameter(weight), before[weight] + 1):
            acted.append(epoch)
    assert acted == [2, 4]


def test_a_resumed_run_has_the_start_and_does_not_act_twice():
    hook = Relearning(every=1)
    r = run(hook, loader(['audio']), loader([]))
    start = r.model.encoders['audio'].layer.weight.detach().clone()
    shift(r)
    r.epoch = 1
    checkpoint: dict = {}
    hook.before_save_checkpoint(r, checkpoint)
    checkpoint = {'balancing': {k: dict(v) for k, v in checkpoint['balancing'].items()}}
    hook.before_train_epoch(r)
    expected = r.model.encoders['audio'].layer.weight.detach().clone()

    resumed = Relearning(every=1)
    other = model()
    more = {k: getattr(r, k) for k in ('train_dataloader', 'val_dataloader', 'message_hub')}
    again = SimpleNamespace(model=other, optim_wrapper=r.optim_wrapper, hooks=[resumed], **more)
    resumed.before_run(again)
    resumed.after_load_checkpoint(again, checkpoint)
    with torch.no_grad():
        for encoder in other.encoders.values():
            torch.nn.init.eye_(encoder.layer.weight).add_(1)
    resumed.before_train(again)
    assert torch.equal(resumed.start['audio.layer.weight'], start)
    again.epoch = 1
    resumed.before_train_epoch(again)
    torch.testing.assert_close(other.encoders['audio'].layer.weight, expected)
    resumed.before_train_epoch(again)  # the same epoch, continued
    torch.testing.assert_close(other.encoders['audio'].layer.weight, expected)


def test_training_goes_on_as_if_nobody_had_looked():
    hook = Relearning(every=1, strength=0.0)
    r = run(hook, loader(['audio']), loader([]))
    r.model.train()
    r.epoch, state = 1, torch.get_rng_state()
    hook.before_train_epoch(r)
    assert torch.equal(torch.get_rng_state(), state) and r.model.training


def test_a_modality_that_one_set_lacks_is_left_alone():
    hook = Relearning(every=1)
    r = run(hook, loader(['audio'], absent=['visual']), loader(['visual']))
    r.epoch = 1
    hook.before_train_epoch(r)
    assert r.message_hub.logged['train/balance_visual'] == 0


def test_samples_bound_what_is_looked_at():
    kept = Relearning(samples=3).batches(loader([])).dataset.indices
    assert kept == [0, 6, 11]  # 0, 5.5 and 11


def test_purity_counts_the_largest_label_of_each_cluster():
    clusters, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([4, 4, 7, 7, 7, 4])
    assert purity(clusters, labels) == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'every': 0}, r'Relearning\(every=0.*1 or more'),
        ({'strength': -1}, r'strength=-1.*0 or more'),
        ({'samples': 1}, r'samples=1\); at least 2'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Relearning(**arguments)


def test_a_run_without_validation_or_without_classes_is_refused():
    with pytest.raises(ValueError, match='this run has no val_dataloader'):
        run(Relearning(), loader([]), None)
    data = loader([])
    data.dataset.__class__ = type('Scores', (Blobs,), {})
    data.dataset.__class__.__getitem__ = lambda self, i: {'target': torch.tensor(0.5)}
    with pytest.raises(ValueError, match=r'one class per sample.*float32'):
        run(Relearning(), data, loader([]))


def test_features_are_scaled_before_they_are_clustered():
    # The second coordinate of audio tells the classes apart, the first is noise 1000 times as wide.
    class Faint(Blobs):
        def __getitem__(self, index):
            item = super().__getitem__(index)
            wide = 1000.0 * (index // 2 % 2) + index
            x = torch.tensor([[wide, float(index % 2), float(index % 2)]])
            item['inputs']['audio'] = Signal(x, torch.tensor([True]))
            return item

    hook = Relearning(every=1)
    r = run(hook, DataLoader(Faint([]), 5, collate_fn=collate), loader([]))
    assert hook.purities(r.model, r.train_dataloader)[0] == 1
