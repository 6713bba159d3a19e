"""MultimodalModel against a model small enough to compute by hand.

Raw audio (B, L, 2) and video (B, L, 1) pass through; the calibrator adds 1 to every real token; the
fuser sums over modalities and widths; the head multiplies by a weight of 3; the loss is the square.
"""

import pytest
import torch
from torch import nn

from mmcalib.calibrators.identity import Identity
from mmcalib.contract import (
    Calibration,
    Calibrator,
    Encoder,
    Fuser,
    Fusion,
    Head,
    Signal,
    Supervision,
)
from mmcalib.model import MultimodalModel


class Pass(Encoder):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def encode(self, raw: Signal) -> Signal:
        return raw


class AddOne(Calibrator):
    """Returns as a loss what it asked: the summed task loss without audio."""

    def __init__(self, dims: dict[str, int], loss_name: str = 'loss_removed') -> None:
        super().__init__(dims)
        self.loss_name = loss_name
        self.given: list[Supervision | None] = []
        self.order: list[list[str]] = []

    def forward(self, signals, supervision=None):
        self.given.append(supervision)
        self.order.append(list(signals))
        raised = {m: Signal(s.x + 1, s.mask) for m, s in signals.items()}
        if supervision is None:
            return Calibration(raised)
        removed = supervision.task_loss({**raised, 'audio': raised['audio'].missing()})
        assert removed.shape == supervision.target.shape
        return Calibration(raised, {self.loss_name: removed.sum()})


class Sum(Fuser):
    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.out_dim = 1

    def forward(self, signals):
        total = sum(s.clean().sum(dim=(1, 2)) for s in signals.values()).unsqueeze(-1)
        return Fusion(total, {'loss_fuser': torch.tensor(100.0)})


class Triple(Head):
    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.weight = nn.Parameter(torch.tensor(3.0))

    def forward(self, vector):
        return self.weight * vector.squeeze(-1)

    def loss(self, prediction, target):
        return (prediction - target).square()


def model(**calibrator: object) -> MultimodalModel:
    return MultimodalModel(
        encoders={'video': {'type': Pass, 'dim': 1}, 'audio': {'type': Pass, 'dim': 2}},
        fuser={'type': Sum},
        head={'type': Triple},
        **({'calibrator': calibrator} if calibrator else {}),
    )


def batch() -> dict[str, Signal]:
    """Two samples; the second has no video, and one of its audio tokens is padding.

    Sample 0: audio 1 + 2 + 3 + 4 = 10, video 5. Sample 1: audio 1 + 1 = 2.
    """
    audio = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [9.0, 9.0]]])
    return {
        'audio': Signal(audio, torch.tensor([[True, True], [True, False]])),
        'video': Signal(torch.tensor([[[5.0]], [[7.0]]]), torch.tensor([[True], [False]])),
    }


# With AddOne: sample 0 sums to 10 + 4 + 5 + 1 = 20, sample 1 to 2 + 2 = 4; times 3.
CALIBRATED = [60.0, 12.0]
# The baseline: 15 and 2, times 3.
BASELINE = [45.0, 6.0]
TARGET = torch.tensor([50.0, 10.0])


def test_mode_tensor_runs_the_stages_in_order():
    assert model(type=AddOne)(batch()).tolist() == CALIBRATED


def test_the_default_calibrator_is_the_baseline():
    baseline = model()
    assert isinstance(baseline.calibrator, Identity)
    assert baseline(batch(), mode='tensor').tolist() == BASELINE


def test_mode_loss_names_every_loss_and_averages_the_task_loss_over_samples():
    losses = model(type=AddOne)(batch(), TARGET, mode='loss')
    assert list(losses) == ['loss_task', 'loss_removed', 'loss_fuser']
    assert losses['loss_task'].item() == (10.0**2 + 2.0**2) / 2
    assert losses['loss_fuser'].item() == 100.0
    # Without audio: 3 * (5 + 1) = 18 and 0.
    assert losses['loss_removed'].item() == (18.0 - 50.0) ** 2 + 10.0**2


def test_task_loss_is_the_loss_per_sample_of_the_head_when_nothing_is_missing():
    whole = model(type=AddOne)
    whole(batch(), TARGET, mode='loss')
    supervision = whole.calibrator.given[0]
    assert torch.equal(supervision.target, TARGET)
    raised = whole.calibrator(batch()).signals
    per_sample = supervision.task_loss(raised)
    expected = whole.head.loss(whole(batch()), TARGET)
    assert torch.equal(per_sample, expected) and per_sample.tolist() == [100.0, 4.0]
    gone = {m: s.missing() for m, s in raised.items()}
    assert supervision.task_loss(gone).tolist() == [2500.0, 100.0]


def test_task_loss_reaches_the_head_with_its_gradient():
    whole = model(type=AddOne)
    whole(batch(), TARGET, mode='loss')
    whole.calibrator.given[0].task_loss(batch()).sum().backward()
    # d/dw (15 w - 50)^2 + (2 w - 10)^2 at w = 3.
    assert whole.head.weight.grad.item() == 2 * 15 * (45 - 50) + 2 * 2 * (6 - 10)


def test_the_calibrator_sees_labels_in_mode_loss_only():
    whole = model(type=AddOne)
    for mode in ('tensor', 'predict', 'loss'):
        whole(batch(), TARGET, mode=mode)
    assert [given is not None for given in whole.calibrator.given] == [False, False, True]


def test_the_order_of_the_encoders_is_the_order_of_modalities_everywhere():
    whole = model(type=AddOne)
    whole(batch())
    assert list(batch()) == ['audio', 'video']
    assert whole.calibrator.order == [['video', 'audio']]
    assert whole.calibrator.modalities == whole.fuser.modalities == ('video', 'audio')
    assert whole.calibrator.dims == whole.fuser.dims == {'video': 1, 'audio': 2}


def test_mode_predict_returns_one_dict_per_sample():
    rows = model(type=AddOne)(batch(), TARGET, id=['a', 'b'], mode='predict')
    assert [row['prediction'].item() for row in rows] == CALIBRATED
    assert [row['target'].item() for row in rows] == TARGET.tolist()
    assert [row['id'] for row in rows] == ['a', 'b']
    assert all(set(row) == {'prediction', 'target', 'id'} for row in rows)


def test_mode_predict_leaves_out_what_was_not_given():
    rows = model()(batch(), unreadable=[{}, {'video': 'no such file'}], mode='predict')
    assert [set(row) for row in rows] == [{'prediction'}, {'prediction'}]


def test_mode_predict_refuses_ids_that_do_not_match_the_batch():
    with pytest.raises(ValueError, match='shorter'):
        model()(batch(), id=['a'], mode='predict')


def test_inputs_beyond_the_encoders_are_ignored():
    assert model()({**batch(), 'text': batch()['audio']}).tolist() == BASELINE


def test_a_modality_that_the_data_set_lacks_is_named():
    given = {'audio': batch()['audio']}
    with pytest.raises(ValueError, match=r"\['video', 'audio'\].*\['audio'\].*\['video'\]"):
        model()(given)


def test_mode_loss_without_target_and_an_unknown_mode_are_refused():
    with pytest.raises(ValueError, match="mode='loss' needs a target"):
        model()(batch(), mode='loss')
    with pytest.raises(ValueError, match=r"'los'.*'tensor', 'loss' or 'predict'"):
        model()(batch(), TARGET, mode='los')


def test_two_components_cannot_return_a_loss_of_one_name():
    with pytest.raises(ValueError, match="'loss_fuser'"):
        model(type=AddOne, loss_name='loss_fuser')(batch(), TARGET, mode='loss')


def test_a_config_cannot_set_what_the_model_gives():
    with pytest.raises(TypeError, match=r'AddOne\(dims=\.\.\.\) is set by its owner'):
        model(type=AddOne, dims={'audio': 1})


def test_init_weights_reaches_the_encoders_that_have_any():
    class Read(Pass):
        read = False

        def init_weights(self) -> None:
            self.read = True

    encoders = {'video': {'type': Read, 'dim': 1}, 'audio': {'type': Pass, 'dim': 2}}
    whole = MultimodalModel(encoders, {'type': Sum}, {'type': Triple})
    whole.init_weights()
    assert whole.encoders['video'].read


def test_the_stages_have_public_names():
    names = dict(model(type=AddOne).named_children())
    assert {'encoders', 'calibrator', 'fuser', 'head'} <= names.keys()
    assert list(names['encoders']) == ['video', 'audio']


def test_with_one_seed_all_but_the_calibrator_begins_alike():
    def state(calibrator):
        torch.manual_seed(0)
        model = MultimodalModel(
            encoders={m: {'type': 'ResNet', 'in_channels': 1} for m in ('audio', 'video')},
            fuser={'type': 'TokenTransformer', 'width': 8, 'depth': 1, 'heads': 2},
            head={'type': 'Classify', 'num_classes': 3},
            calibrator={'type': calibrator},
        )
        return model.state_dict()

    base, calibrated = state('Identity'), state('VGMR')
    assert base.keys() < calibrated.keys()
    assert all(torch.equal(base[name], calibrated[name]) for name in base)
