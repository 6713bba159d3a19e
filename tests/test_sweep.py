"""Every registered component keeps the contract, alone and together; every check can fail."""

import broken
import checks
import invariances
import pytest
from sweep import RAW, Case, case, each_combination, each_component, names

from mmcalib.registry import ENCODERS

CHECKS = {
    name.removeprefix('check_'): check
    for name, check in [*vars(checks).items(), *vars(invariances).items()]
    if name.startswith('check_')
}
COMPONENTS = [pytest.param(made, id=made.name) for made in each_component()]
COMBINATIONS = [pytest.param(made, id=made.name) for made in each_combination()]
NO_INPUT = pytest.mark.skip(reason='no small raw input is known: RAW in tests/sweep.py')
UNSWEPT = [
    pytest.param(None, id=name, marks=NO_INPUT) for name in names(ENCODERS) if name not in RAW
]
# All that a combination could break although each of its parts is sound.
JOINT = ('shapes', 'losses', 'gradients', 'padding', 'absence', 'samples')

BROKEN = {
    'shapes': {
        'modalities': [{'calibrator': broken.DropsAModality}, {'calibrator': broken.Reorders}],
        'audio is .*calibrated': [{'calibrator': broken.Narrows}],
        'mask of audio .*calibrated': [{'calibrator': broken.FloatMask}],
        'audio is .*encoded': [{'encoder': broken.NarrowEncoder}],
        'vector': [{'fuser': broken.WiderThanItSays}],
        'loss of the head': [{'head': broken.AveragesItsLoss}],
    },
    'losses': {
        'align does not start': [{'calibrator': broken.MisnamesALoss}],
        'not a scalar': [{'calibrator': broken.ReturnsALossPerSample}],
    },
    'evidence': {'not detached': [{'calibrator': broken.AttachesEvidence}]},
    'padding': {
        'longer': [{'fuser': broken.PadsIntoTheMean}],
        'padding leaks': [{'encoder': broken.BlurredEncoder}],
        'in training': [{'encoder': broken.NormsPadding}],
    },
    'absence': {'absence leaks': [{'fuser': broken.SeesTheAbsent}]},
    'labels': {'labels reach': [{'calibrator': broken.LabelsTheSignals}]},
    'samples': {
        'prediction of sample': [{'calibrator': broken.MixesSamples}],
        'loss of sample': [{'head': broken.ComparesSamples}],
    },
    'gradients': {
        'unused has no gradient': [{'calibrator': broken.HasAnUnusedParameter}],
        'no gradient, whole batch': [{'calibrator': broken.SkipsWhatIsMissing}],
        'wild gradient': [
            {'calibrator': broken.HasNaNGradients},
            {'calibrator': broken.LetsGarbageReachTheGradient},
        ],
        'more than 1 value': [{'fuser': broken.NormsOverTheBatch}],
    },
    'autocast': {'dtype': [{'calibrator': broken.FixesTheDtype}]},
    'writes': {
        'last': [{'calibrator': broken.Remembers}],
        'seen': [{'calibrator': broken.Collects}],
        '_buffers': [{'calibrator': broken.Counts}],
    },
    'inputs': {
        'calibrator changes': [
            {'calibrator': broken.ChangesItsInput},
            {'calibrator': broken.ChangesTheDict},
        ]
    },
    'state_dict': {'does not hold': [{'calibrator': broken.HidesAWeight}]},
    'determinism': {'random': [{'calibrator': broken.IsRandom}]},
}


def flat() -> list[tuple[str, str, dict[str, type]]]:
    return [
        (check, message, parts)
        for check, messages in BROKEN.items()
        for message, several in messages.items()
        for parts in several
    ]


@pytest.mark.parametrize('check', CHECKS)
@pytest.mark.parametrize('made', COMPONENTS + UNSWEPT)
def test_a_component_keeps_its_promise_of(check: str, made: Case):
    CHECKS[check](made)


@pytest.mark.parametrize('made', COMBINATIONS)
def test_a_combination_keeps_what_it_could_break(made: Case):
    for check in JOINT:
        CHECKS[check](made)


@pytest.mark.parametrize('check', CHECKS)
@pytest.mark.parametrize('modalities', [1, 2, 3])
def test_sound_components_keep_every_promise(check: str, modalities: int):
    CHECKS[check](case(modalities))


@pytest.mark.parametrize(
    ('check', 'message', 'parts'), flat(), ids=lambda v: v if isinstance(v, str) else ''
)
def test_a_broken_component_is_caught(check: str, message: str, parts: dict[str, type]):
    with pytest.raises((AssertionError, RuntimeError, ValueError), match=message):
        CHECKS[check](case(**parts))


def test_every_check_has_a_component_that_fails_it():
    assert CHECKS.keys() == BROKEN.keys()
