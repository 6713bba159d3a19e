"""What VGMR learns from, with a task loss whose every value is known beforehand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mmcalib.calibrators.vgmr import VGMR
from mmcalib.contract import Calibration, Signal, Signals, Supervision

DIMS = {'audio': 3, 'video': 4, 'text': 2}
HERE = {
    'audio': [True, True, True, False],
    'video': [True, False, True, True],
    'text': [True, True, False, False],
}
WHOLE = torch.tensor([1.0, 2.0, 0.5, 4.0])
REMOVED = {
    'audio': torch.tensor([3.0, 1.5, 0.5, 99.0]),  # 99: the sample has no such modality
    'video': torch.tensor([1.2, 99.0, 4.0, 4.5]),
    'text': torch.tensor([0.0, 2.5, 99.0, 99.0]),
}


class Oracle:
    """A task loss that knows which modality is gone, and remembers what it was asked."""

    def __init__(self, removed: dict[str, Tensor] = REMOVED) -> None:
        self.removed = removed
        self.asked: list[Signals] = []
        self.factor = torch.ones((), requires_grad=True)  # stands for the rest of the model

    def __call__(self, signals: Signals) -> Tensor:
        self.asked.append(signals)
        gone = [m for m, s in signals.items() if not s.mask.any()]
        # Depends on the signals, too: a target with a gradient would be found out.
        touch = sum(s.clean().sum() for s in signals.values()) * 0
        losses = self.removed[gone[0]] if gone else WHOLE
        return losses * self.factor + touch

    def supervise(self) -> Supervision:
        return Supervision(torch.zeros(4, dtype=torch.long), self)


def vgmr(**arguments: object) -> VGMR:
    """In training, without dropout, away from its start."""
    torch.manual_seed(0)
    module = VGMR(DIMS, width=5, dropout=0.0, **{'warmup_steps': 0, **arguments}).train()
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module


def signals() -> Signals:
    """Four samples, two tokens; the second token of the first sample is padding."""
    torch.manual_seed(1)
    given = {}
    for m, dim in DIMS.items():
        mask = torch.tensor(HERE[m]).unsqueeze(1).repeat(1, 2)
        mask[0, 1] = False
        x = torch.randn(4, 2, dim).masked_fill(~mask.unsqueeze(-1), float('nan'))
        given[m] = Signal(x, mask)
    return given


def smooth_l1(apart: np.ndarray) -> np.ndarray:
    return np.where(np.abs(apart) < 1, 0.5 * apart**2, np.abs(apart) - 0.5)


def targets(mean: float, var: float) -> dict[str, np.ndarray]:
    """sigmoid((Delta - mean) / std), per modality (B,)."""
    delta = {m: (REMOVED[m] - WHOLE).numpy().astype(float) for m in DIMS}
    return {m: 1 / (1 + np.exp(-(d - mean) / (np.sqrt(var) + 1e-6))) for m, d in delta.items()}


def moved(mean: float, var: float) -> tuple[float, float]:
    """Running statistics after one batch: a tenth of the batch's, over all that is present.

    Present rises, by hand: audio 2, -0.5, 0; video 0.2, 3.5, 0.5; text -1, 0.5.
    """
    rises = np.array([2, -0.5, 0, 0.2, 3.5, 0.5, -1, 0.5])
    return 0.9 * mean + 0.1 * rises.mean(), 0.9 * var + 0.1 * rises.var()


def value_loss(calibration: Calibration, target: dict[str, np.ndarray]) -> float:
    """Over modalities, then over the samples that have them."""
    total = []
    for m in DIMS:
        each = np.zeros(4)
        for name in {'value', 'channel_value'} & set(calibration.evidence):
            seen = calibration.evidence[name][m].numpy().reshape(4, -1).mean(axis=1)
            each = each + smooth_l1(seen - target[m])
        total.append(each[HERE[m]].mean())
    return float(np.mean(total))


def test_the_value_loss_is_the_distance_to_the_squashed_contribution():
    calibration = vgmr(value_weight=0.3)(signals(), Oracle().supervise())
    expected = 0.3 * value_loss(calibration, targets(*moved(0.0, 1.0)))
    np.testing.assert_allclose(calibration.losses['loss_value'].item(), expected, rtol=1e-5)


def test_the_value_weight_rises_over_the_warmup_while_statistics_run():
    module = vgmr(value_weight=0.3, warmup_steps=3)
    statistics = (0.0, 1.0)
    for share in (1 / 3, 2 / 3, 1.0, 1.0):
        calibration = module(signals(), Oracle().supervise())
        statistics = moved(*statistics)
        expected = share * 0.3 * value_loss(calibration, targets(*statistics))
        np.testing.assert_allclose(calibration.losses['loss_value'].item(), expected, rtol=1e-5)


def test_a_contribution_is_the_rise_of_the_loss_without_the_modality():
    """Refined, detached signals; all of them once, then each declared missing in turn."""
    oracle = Oracle()
    refined = vgmr()(signals(), oracle.supervise()).signals
    gone = [[m for m in DIMS if not asked[m].mask.any()] for asked in oracle.asked]
    assert gone == [[], ['audio'], ['video'], ['text']]
    for asked, without in zip(oracle.asked, gone, strict=True):
        for m, signal in asked.items():
            assert torch.equal(signal.x, refined[m].x) and not signal.x.requires_grad
            assert torch.equal(signal.mask, refined[m].mask) or without == [m]


def test_targets_send_no_gradient_anywhere():
    oracle, module = Oracle(), vgmr(value_weight=1.0)
    calibration = module(signals(), oracle.supervise())
    calibration.losses['loss_value'].backward()
    assert oracle.factor.grad is None
    target = targets(*moved(0.0, 1.0))
    for m, branch in module.branches.items():
        # d smooth_l1(g - t) / d b = (g - t) g (1 - g), when t is a constant.
        g = calibration.evidence['value'][m].numpy()
        slope = ((g - target[m]) * g * (1 - g))[HERE[m]].mean() / len(DIMS)
        np.testing.assert_allclose(branch.value.bias.grad.item(), slope, rtol=1e-4)
        assert branch.gate_x.weight.grad is None, 'the value loss trains the gate'


def test_a_modality_that_a_sample_lacks_teaches_nothing():
    lied = {m: torch.where(torch.tensor(HERE[m]), REMOVED[m], -1e3) for m in DIMS}
    one, two = vgmr(), vgmr()
    first = one(signals(), Oracle().supervise()).losses
    second = two(signals(), Oracle(lied).supervise()).losses
    assert first.keys() == second.keys() == {'loss_value', 'loss_gate'}
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name, buffer in one.named_buffers():
        assert torch.equal(buffer, two.get_buffer(name)), name


def test_a_batch_without_any_modality_teaches_nothing():
    module = vgmr()
    before = {n: b.clone() for n, b in module.named_buffers() if n != 'step'}
    gone = {m: s.missing() for m, s in signals().items()}
    losses = module(gone, Oracle().supervise()).losses
    assert losses['loss_value'] == 0 and losses['loss_gate'] == 0
    assert all(torch.equal(module.get_buffer(name), b) for name, b in before.items())


def test_there_is_nothing_to_learn_in_evaluation_or_without_labels():
    oracle = Oracle()
    assert not vgmr().eval()(signals(), oracle.supervise()).losses
    assert not vgmr()(signals()).losses
    assert not oracle.asked


def test_without_a_value_weight_the_model_is_not_asked():
    oracle = Oracle()
    losses = vgmr(value_weight=0.0)(signals(), oracle.supervise()).losses
    assert losses.keys() == {'loss_gate'} and not oracle.asked


@pytest.mark.parametrize('kept', ['value', 'channel_value'])
def test_the_value_loss_is_that_of_the_value_that_is_kept(kept):
    gone = {'value': 'channel_value', 'channel_value': 'value'}[kept]
    calibration = vgmr(value_weight=0.3, **{gone: False})(signals(), Oracle().supervise())
    assert kept in calibration.evidence and gone not in calibration.evidence
    expected = 0.3 * value_loss(calibration, targets(*moved(0.0, 1.0)))
    np.testing.assert_allclose(calibration.losses['loss_value'].item(), expected, rtol=1e-5)


def test_without_any_value_the_model_is_not_asked_and_gates_stay_near_one():
    oracle, module = Oracle(), vgmr(value=False, channel_value=False, reg_weight=0.7)
    given = signals()
    calibration = module(given, oracle.supervise())
    assert calibration.losses.keys() == {'loss_gate'} and not oracle.asked
    closeness = []
    for m in DIMS:
        apart = (calibration.evidence['effective_gate'][m].numpy() - 1) ** 2
        rows = [b for b in range(4) if HERE[m][b]]
        closeness.append(np.mean([apart[b, given[m].mask[b]].mean() for b in rows]))
    expected = 0.7 * 0.01 * np.mean(closeness)
    np.testing.assert_allclose(calibration.losses['loss_gate'].item(), expected, rtol=1e-4)


@pytest.mark.parametrize('stretch', [1.0, 0.02])
@pytest.mark.parametrize('gone', [None, 'value', 'channel_value'])
def test_the_regulariser_keeps_values_spread_and_gates_near_one(stretch, gone):
    """By numpy: hinge at 0.05 on population deviations, and a hundredth of (G-bar - 1)^2."""
    module = vgmr(reg_weight=0.7, **({gone: False} if gone else {}))
    kept = {'value', 'channel_value'} - {gone}
    for branch in module.branches.values():  # 0.02: values collapse and the hinge acts
        for name in kept:
            branch.get_submodule(name).weight.data *= stretch
    given = signals()
    calibration = module(given, Oracle().supervise())
    seen = {name: calibration.evidence[name] for name in calibration.evidence}
    spread, closeness = 0.0, []
    for m in DIMS:
        for name in kept:
            values = seen[name][m].numpy()[HERE[m]].astype(float)
            spread += (np.maximum(0, 0.05 - values.std(axis=0)) ** 2).mean()
        apart = (seen['effective_gate'][m].numpy() - 1) ** 2
        rows = [b for b in range(4) if HERE[m][b]]
        closeness.append(np.mean([apart[b, given[m].mask[b]].mean() for b in rows]))
    expected = 0.7 * (spread + 0.01 * np.mean(closeness))
    assert spread > 1e-4 or stretch == 1.0, 'the case does not reach the hinge'
    np.testing.assert_allclose(calibration.losses['loss_gate'].item(), expected, rtol=1e-4)


def test_one_sample_has_no_spread_to_keep():
    module = vgmr(reg_weight=1.0, alpha=0.0)
    one = {m: Signal(s.x[:1], s.mask[:1]) for m, s in signals().items()}
    losses = module(one, Supervision(torch.zeros(1), lambda given: torch.ones(1))).losses
    assert losses['loss_gate'] == 0
