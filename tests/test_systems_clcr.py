"""CLCR as a whole: three levels, two or three modalities, and its configs."""

from pathlib import Path

import pytest
import torch
from sweep import predict, soil

from mmcalib import config
from mmcalib.contract import Signal
from mmcalib.model import MultimodalModel
from mmcalib.registry import MODELS

CONFIGS = Path(__file__).parents[1] / 'configs'
WIDTHS = {'text': 5, 'audio': 4, 'visual': 3}
LENGTHS = {'text': 5, 'audio': 4, 'visual': 2}


def stack(modalities, seed=0):
    """Three levels of TemporalConv each, IntraCED and InterCAD; dropout would blur comparisons."""
    torch.manual_seed(seed)
    backbones = {
        m: {'type': 'TemporalConv', 'in_dim': WIDTHS[m], 'width': 6, 'dropout': 0.0}
        for m in modalities
    }
    model = MultimodalModel(
        {m: {'type': 'Hierarchy', 'backbone': b, 'width': 8} for m, b in backbones.items()},
        fuser={'type': 'InterCAD', 'width': 8},
        head={'type': 'Classify', 'num_classes': 3},
        calibrator={'type': 'IntraCED', 'shared': 4, 'private': 3, 'heads': 2},
    )
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def batch(modalities, presence, extra=0):
    """Ragged raw features, garbage where nothing is real, and `extra` tokens of padding."""
    generator, given = torch.Generator().manual_seed(0), {}
    for m, here in zip(modalities, presence, strict=True):
        rows, length = torch.arange(len(here)).unsqueeze(1), LENGTHS[m]
        x = torch.randn(len(here), length, WIDTHS[m], generator=generator)
        x = torch.cat([x, torch.zeros(len(here), extra, WIDTHS[m])], dim=1)
        mask = torch.arange(length + extra) < (length - rows % length)
        given[m] = soil(Signal(x, mask & here.unsqueeze(1)))
    return given


BIMODAL, TRIMODAL = ('audio', 'visual'), ('text', 'audio', 'visual')
CASES = pytest.mark.parametrize('modalities', [BIMODAL, TRIMODAL], ids=['bimodal', 'trimodal'])


def patterns(modalities):
    """Presence (M, B): every subset mixed, and every subset for the whole batch."""
    subsets = torch.cartesian_prod(*[torch.tensor([True, False])] * len(modalities))
    return [subsets.T, *(torch.stack([s, s], dim=1) for s in subsets)]


@CASES
def test_padding_stays_behind_and_changes_nothing(modalities):
    presence = patterns(modalities)[0]
    expected = predict(stack(modalities), batch(modalities, presence))
    longer = predict(stack(modalities), batch(modalities, presence, extra=3))
    torch.testing.assert_close(longer, expected, rtol=1e-4, atol=1e-5)
    signals, model = batch(modalities, presence, extra=3), stack(modalities).eval()
    for m in modalities:
        encoded = model.encoders[m](signals[m])
        assert torch.equal(encoded.mask, signals[m].mask.repeat_interleave(3, dim=1))


@CASES
def test_a_sample_does_not_depend_on_its_neighbours_or_on_who_is_absent_beside_it(modalities):
    model, signals = stack(modalities).eval(), batch(modalities, patterns(modalities)[0])
    together = predict(model, signals)
    for row in range(len(together)):
        alone = {m: Signal(s.x[[row]], s.mask[[row]]) for m, s in signals.items()}
        torch.testing.assert_close(predict(model, alone)[0], together[row], rtol=1e-4, atol=1e-5)


@CASES
def test_every_parameter_gets_a_finite_gradient_whoever_is_absent(modalities):
    model = stack(modalities)
    for presence in patterns(modalities):
        model.zero_grad(set_to_none=True)
        target = torch.arange(presence.shape[1]) % 3
        losses = model(batch(modalities, presence), target, mode='loss')
        assert losses.keys() == {'loss_task', 'loss_intra', 'loss_inter'}
        sum(losses.values()).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@CASES
def test_a_trained_stack_learns_its_batch_and_keeps_its_bases(modalities):
    model = stack(modalities)
    signals, target = batch(modalities, torch.ones(len(modalities), 6) > 0), torch.arange(6) % 3
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    for _ in range(30):
        optimiser.zero_grad()
        losses = model(signals, target, mode='loss')
        sum(losses.values()).backward()
        optimiser.step()
    assert losses['loss_task'] < 0.3  # chance is 1.1
    bases = model.calibrator.bases()
    for basis in (bases.shared, *bases.private.values()):
        eye = torch.eye(basis.shape[-1]).expand(3, -1, -1)
        torch.testing.assert_close(basis.mT @ basis, eye, rtol=0, atol=1e-5)


# Raw input (L, ...) of each modality, small; the shapes are those of the data set.
SOUND, FRAMES = (1, 1, 65, 66), (2, 3, 64, 64)
INPUTS = {
    'clcr_ave': {'audio': SOUND, 'visual': FRAMES},
    'clcr_cremad': {'audio': SOUND, 'visual': FRAMES},
    'clcr_kinetics_sounds': {'audio': SOUND, 'visual': FRAMES},
    'clcr_ucf101': {'rgb': FRAMES, 'flow': (2, 2, 64, 64)},
    'clcr_mosi': {'text': (50, 768), 'audio': (50, 74), 'vision': (50, 47)},
    'clcr_mosei': {'text': (50, 768), 'audio': (50, 74), 'vision': (50, 35)},
}
SENTIMENTS = {'clcr_mosi', 'clcr_mosei'}  # a number each; the others have classes


def raw(shape):
    """Three samples; the second is shorter, where it can be, and the third lacks the modality."""
    mask = torch.ones(3, shape[0], dtype=torch.bool)
    mask[1, 1:] = False
    mask[2] = False
    return Signal(torch.randn(3, *shape), mask)


@pytest.mark.parametrize('name', INPUTS)
def test_a_config_trains_its_model(name):
    cfg = config.load(str(CONFIGS / f'{name}.py'))
    model = MODELS.build(cfg.model).train()
    assert list(model.encoders) == list(INPUTS[name])
    optimizer = dict(cfg.optim_wrapper.optimizer)
    assert optimizer == {'type': 'SGD', 'lr': 1e-3, 'momentum': 0.9, 'weight_decay': 1e-4}
    optimizer.pop('type')
    optimiser = torch.optim.SGD(model.parameters(), **optimizer)
    inputs = {m: raw(shape) for m, shape in INPUTS[name].items()}
    first = next(iter(inputs))
    inputs[first].mask[2] = True  # so that every sample has something
    target = torch.tensor([0, 1, 2])
    if name in SENTIMENTS:
        target = torch.tensor([-2.4, 3.0, 0.2])
    before = {k: v.clone() for k, v in model.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        losses = model(inputs, target, mode='loss')
        sum(losses.values()).backward()
        optimiser.step()
        assert all(loss.isfinite() for loss in losses.values())
    still = [k for k, v in model.named_parameters() if torch.equal(v, before[k])]
    assert not still
