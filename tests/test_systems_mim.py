"""MIM as a whole, from its configs: it trains, its losses are there, and it predicts the same."""

from pathlib import Path

import pytest
import torch
from sweep import predict, soil
from torch import nn

from mmcalib import config
from mmcalib.calibrators.upn import UPN
from mmcalib.contract import Signal, Supervision
from mmcalib.registry import MODELS

CONFIGS = Path(__file__).parents[1] / 'configs'
WIDTHS = {
    'mim_mosi': {'text': 768, 'audio': 74, 'vision': 47},
    'mim_mosei': {'text': 768, 'audio': 74, 'vision': 35},
}
LENGTH = 50  # of every modality, most of it padding
LOSSES = ('task', 'l0', 'kg_unmasked', 'kg_masked', 'kg_intra', 'kg_inter')
NAMES = pytest.mark.parametrize('name', WIDTHS)


def build(name):
    torch.manual_seed(0)
    return MODELS.build(config.load(str(CONFIGS / f'{name}.py')).model)


def batch(name, samples=6):
    """Ragged, with garbage for padding; each modality is absent once, and once all but text."""
    generator = torch.Generator().manual_seed(0)
    inputs = {}
    for index, (m, width) in enumerate(WIDTHS[name].items()):
        mask = torch.arange(LENGTH) < 5 + 3 * torch.arange(samples).unsqueeze(1)
        mask[index] = False
        if m != 'text':
            mask[-1] = False
        inputs[m] = soil(Signal(torch.randn(samples, LENGTH, width, generator=generator), mask))
    return inputs, torch.linspace(-1, 3, samples)  # uneven: |e| may balance a bias


@NAMES
def test_two_steps_move_every_parameter_by_all_losses(name):
    cfg = config.load(str(CONFIGS / f'{name}.py'))
    optimizer = dict(cfg.optim_wrapper.optimizer)
    assert optimizer == {'type': 'Adam', 'lr': 1e-5}
    model, (inputs, target) = build(name).train(), batch(name)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-5)
    before = {k: v.clone() for k, v in model.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        losses = model(inputs, target, mode='loss')
        assert losses.keys() == {f'loss_{loss}' for loss in LOSSES}
        assert all(loss.isfinite() and loss > 0 for loss in losses.values())
        sum(losses.values()).backward()
        optimiser.step()
    still = [k for k, v in model.named_parameters() if torch.equal(v, before[k])]
    assert not still


@NAMES
def test_evaluation_is_deterministic_and_a_sample_stands_alone(name):
    model, (inputs, _) = build(name), batch(name)
    together = predict(model, inputs)
    torch.manual_seed(7)
    assert torch.equal(predict(model, inputs), together)
    for row in range(len(together)):
        alone = {m: Signal(s.x[[row], :30], s.mask[[row], :30]) for m, s in inputs.items()}
        torch.testing.assert_close(predict(model, alone)[0], together[row], rtol=1e-4, atol=1e-5)


def test_the_sizes_are_the_papers():
    model = build('mim_mosi')
    assert {m: e.out_dim for m, e in model.encoders.items()} == dict.fromkeys(model.encoders, 80)
    assert {m: len(e.layers) for m, e in model.encoders.items()} == {
        'text': 0,
        'audio': 3,
        'vision': 3,
    }
    for m in ('audio', 'vision'):
        first = model.encoders[m].layers[0]
        assert first.attention.num_heads == 5
        assert (first.attention.dropout, first.dropout.p, first.relu_dropout.p) == (0.5, 0.3, 0.3)
        assert model.encoders[m].dropout.p == 0.2
    convolutions = [e.conv for e in model.encoders.values()]
    assert {c.kernel_size for c in convolutions} == {(3,)}
    assert all(c.bias is None for c in convolutions)
    assert (model.fuser.out_dim, model.head.kind) == (80, 'l1')
    gate = model.calibrator.calibrator
    assert isinstance(gate, UPN)
    assert all(scorer.lstm.hidden_size == 40 for scorer in gate.scorers.values())
    assert all(isinstance(r.project, nn.Identity) for r in model.calibrator.readers.values())


def test_the_penalty_closes_gates_that_the_task_does_not_need():
    model, (inputs, target) = build('mim_mosi').train(), batch('mim_mosi')
    optimiser = torch.optim.Adam(model.calibrator.calibrator.parameters(), lr=0.01)
    signals = {m: encoder(inputs[m]) for m, encoder in model.encoders.items()}
    signals = {m: Signal(s.x.detach(), s.mask) for m, s in signals.items()}
    supervision, shares = Supervision(target, lambda _: 1 / 0), []
    for _ in range(30):
        optimiser.zero_grad()
        calibration = model.calibrator.calibrator(signals, supervision)
        calibration.losses['loss_l0'].backward()
        optimiser.step()
        gates = calibration.evidence['gate']
        real = sum(s.mask.sum() for s in signals.values())
        shares.append((sum(gate.sum() for gate in gates.values()) / real).item())
    assert shares[0] > 0.8
    assert shares[-1] < 0.2
