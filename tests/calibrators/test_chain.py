"""Chain against its steps, applied by hand."""

import pytest
import torch
from rivals import WIDTHS, signals
from torch import Tensor, nn

from mmcalib.calibrators.chain import Chain
from mmcalib.calibrators.norm_only import NormOnly
from mmcalib.calibrators.vgmr import VGMR
from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS

GATE = {'type': 'VGMR', 'width': 5, 'dropout': 0.0, 'warmup_steps': 0}
STRANGER = {'type': 'VGMR', 'width': 4, 'dropout': 0.0, 'context': 'shuffled'}
NORM = {'type': 'NormOnly', 'dropout': 0.0}


class Asks(Calibrator):
    """Adds one, and returns what it is told of its own output."""

    def __init__(self, dims: dict[str, int], name: str = 'loss_asked') -> None:
        super().__init__(dims)
        self.name = name

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        moved = {m: Signal(s.clean() + 1, s.mask) for m, s in signals.items()}
        if supervision is None:
            return Calibration(moved)
        return Calibration(moved, {self.name: supervision.task_loss(moved).sum()})


class Counts(Calibrator):
    """Doubles, and counts in a buffer how often; the count is added to the signals."""

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.register_buffer('calls', torch.zeros(()))
        self.norm = nn.BatchNorm1d(1, affine=False)

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        self.calls += 1
        self.norm(torch.ones(2, 1, dtype=self.calls.dtype))
        moved = {m: Signal(2 * s.clean() + self.calls, s.mask) for m, s in signals.items()}
        losses = {} if supervision is None else {'loss_counts': self.calls.clone()}
        return Calibration(moved, losses)


def task_loss(given: Signals) -> Tensor:
    return torch.stack([s.clean().square().sum((1, 2)) for s in given.values()]).sum(0)


def supervise() -> Supervision:
    return Supervision(torch.zeros(8), task_loss)


def chain(*steps: dict) -> Chain:
    """In training, float64 and away from its start."""
    torch.manual_seed(0)
    module = Chain(WIDTHS, list(steps)).double().train()
    for parameter in module.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return module


def test_steps_are_applied_in_order_and_their_evidence_is_kept():
    module, given = chain(GATE, NORM, {'type': 'ChannelScale'}).eval(), signals()
    calibration = module(given)
    one = module.steps[0](given)
    three = module.steps[2](module.steps[1](one.signals).signals)
    for m, signal in three.signals.items():
        assert torch.equal(calibration.signals[m].x, signal.x)
        assert torch.equal(calibration.signals[m].mask, signal.mask)
    assert torch.equal(calibration.evidence['0_value']['text'], one.evidence['value']['text'])
    for m in WIDTHS:  # both steps call it a gate, so all have numbers
        assert torch.equal(calibration.evidence['0_gate'][m], one.evidence['gate'][m])
        assert torch.equal(calibration.evidence['2_gate'][m], three.evidence['gate'][m])
    assert not calibration.losses


def test_one_step_is_that_step():
    module, given = chain(GATE), signals()
    state = {k: v.clone() for k, v in module.state_dict().items()}
    whole = module(given, supervise())
    module.load_state_dict(state)
    alone = module.steps[0](given, supervise())
    assert whole.losses == alone.losses and whole.evidence.keys() == alone.evidence.keys()
    for m in WIDTHS:
        assert torch.equal(whole.signals[m].x, alone.signals[m].x)


def test_names_stay_as_long_as_no_two_steps_share_one():
    calibration = chain(GATE, NORM, {'type': Counts})(signals(), supervise())
    assert calibration.losses.keys() == {'loss_value', 'loss_gate', 'loss_counts'}
    assert calibration.evidence.keys() == {'value', 'channel_value', 'gate', 'effective_gate'}


def test_two_vgmrs_have_numbered_losses_which_are_those_of_the_steps():
    module, given = chain(GATE, GATE, {'type': Counts}), signals()
    state = {k: v.clone() for k, v in module.state_dict().items()}
    calibration = module(given, supervise())
    names = {f'loss_{i}_{name}' for i in (0, 1) for name in ('value', 'gate')}
    assert calibration.losses.keys() == names | {'loss_2_counts'}
    module.load_state_dict(state)
    first, second, _ = module.steps

    def behind_first(given):  # the count is 1 in each pass
        refined = second(given).signals
        return task_loss({m: Signal(2 * s.clean() + 1, s.mask) for m, s in refined.items()})

    def behind_second(given):
        return task_loss({m: Signal(2 * s.clean() + 1, s.mask) for m, s in given.items()})

    one = first(given, Supervision(torch.zeros(8), behind_first))
    two = second(one.signals, Supervision(torch.zeros(8), behind_second))
    for index, step in enumerate((one, two)):
        for name, loss in step.losses.items():
            numbered = name.replace('loss_', f'loss_{index}_')
            torch.testing.assert_close(calibration.losses[numbered], loss, rtol=1e-10, atol=0)


def test_a_step_is_told_what_the_rest_makes_of_its_signals():
    """By hand: x + 1 from the first, then 2 (x + 1) + 1 before the task loss."""
    given = signals()
    asked = chain({'type': Asks}, {'type': Counts})(given, supervise()).losses['loss_asked']
    expected = sum((2 * (s.x[s.mask] + 1) + 1).square().sum() for s in given.values())
    torch.testing.assert_close(asked, expected)
    last = chain({'type': Counts}, {'type': Asks})(given, supervise()).losses['loss_asked']
    expected = sum((2 * s.x[s.mask] + 2).square().sum() for s in given.values())
    torch.testing.assert_close(last, expected)


def test_asking_moves_no_buffer_of_later_steps():
    """One batch moves them once, however often an earlier step asks."""
    module, given = chain(GATE, STRANGER, {'type': Counts}), signals()
    module(given, supervise())
    counts, strangers = module.steps[2], module.steps[1].strangers
    assert counts.calls == 1 and counts.norm.num_batches_tracked == 1
    assert strangers.count == 8
    one = module.steps[0](given).signals
    other = chain(GATE, STRANGER).steps[1]
    other(one)
    assert torch.equal(other.strangers.rows, strangers.rows)


def test_a_task_loss_can_be_differentiated_through_later_steps():
    module, given = chain({'type': Asks}, STRANGER, NORM), signals()
    one = {m: Signal(s.x[:1].nan_to_num().requires_grad_(), s.mask[:1]) for m, s in given.items()}
    module(one, supervise()).losses['loss_asked'].backward()
    for m, signal in one.items():
        assert signal.x.grad.abs().sum() > 0, m
    assert module.steps[1].branches['text'].gate_x.weight.grad is not None


def test_a_chain_may_be_a_step():
    """Numbers nest: the inner chain's `loss_1_value` does not meet the outer one's."""
    inner = {'type': 'Chain', 'steps': [GATE, GATE]}
    calibration = chain(inner, GATE)(signals(), supervise())
    assert {n for n in calibration.losses if 'value' in n} == {
        'loss_0_value', 'loss_1_value', 'loss_value',
    }  # fmt: skip
    calibration = chain(inner, GATE, GATE)(signals(), supervise())
    assert {n for n in calibration.losses if 'value' in n} == {
        'loss_0_0_value', 'loss_0_1_value', 'loss_1_value', 'loss_2_value',
    }  # fmt: skip
    assert {'0_0_gate', '0_1_gate', '1_gate', '2_gate'} <= calibration.evidence.keys()


def test_a_nested_step_is_told_of_all_that_follows():
    given = signals()
    nested = {'type': 'Chain', 'steps': [{'type': Asks}, {'type': Counts}]}
    told = chain(nested, NORM, {'type': 'ChannelScale'})(given, supervise()).losses['loss_asked']
    flat = chain({'type': Asks}, {'type': Counts}, NORM, {'type': 'ChannelScale'})
    torch.testing.assert_close(flat(given, supervise()).losses['loss_asked'], told)


def test_a_misnamed_loss_is_refused():
    module = chain({'type': Asks, 'name': 'asked'}, {'type': Asks, 'name': 'asked'})
    with pytest.raises(ValueError, match="'asked'; names start with"):
        module(signals(), supervise())


@pytest.mark.parametrize('steps', [[], ()])
def test_no_steps_are_refused(steps):
    with pytest.raises(ValueError, match=r'Chain\(steps=.*one or more'):
        Chain(WIDTHS, steps)


def test_steps_get_the_widths_and_only_from_the_chain():
    module = CALIBRATORS.build({'type': 'Chain', 'steps': [GATE, NORM]}, dims=WIDTHS)
    assert [type(step) for step in module.steps] == [VGMR, NormOnly]
    assert all(step.dims == WIDTHS for step in module.steps)
    with pytest.raises(TypeError, match='set by its owner'):
        Chain(WIDTHS, [{**NORM, 'dims': WIDTHS}])


@pytest.mark.parametrize('steps', [['NormOnly', 'SE'], [{'type': 'NormOnly'}, 'SE']])
def test_a_step_may_be_a_name(steps):
    made = Chain({'audio': 4, 'video': 5}, steps=steps)
    assert [type(step).__name__ for step in made.steps] == ['NormOnly', 'SE']
    assert [type(step).__name__ for step in Chain({'audio': 4}, steps='SE').steps] == ['SE']
