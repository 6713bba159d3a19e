"""OPM against its formulas by hand, and against frequencies of what it drops."""

import math

import pytest
import torch
from rivals import WIDTHS, complete, graded, same, signals, widths

from mmcalib.calibrators.opm import OPM
from mmcalib.contract import Signal


def scored(*score: float, **arguments: float) -> OPM:
    """In training, with running scores of our choice, and modulating in every step."""
    module = OPM(widths(len(score)), **{'p_exe': 1.0, **arguments})
    module.score.copy_(torch.tensor(score))
    return module


def test_the_rates_are_the_papers():
    module = scored(0.9, 0.3, q_base=0.4, lam=0.5)
    rate = module(complete(3)).evidence['drop_rate']
    expected = 0.4 * (1 + 0.5 * math.tanh(0.9 / 0.3 - 1))
    assert rate['text'].tolist() == pytest.approx([expected] * 3)
    assert rate['audio'].tolist() == [0.0] * 3


def test_with_three_a_modality_is_compared_with_the_mean_of_its_partners():
    rate = scored(0.6, 0.5, 0.1, q_base=0.4, lam=0.5)(complete(1, 3)).evidence['drop_rate']
    assert rate['text'].item() == pytest.approx(0.4 * (1 + 0.5 * math.tanh(0.6 / 0.3 - 1)))
    assert rate['audio'].item() == pytest.approx(0.4 * (1 + 0.5 * math.tanh(0.5 / 0.35 - 1)))
    assert rate['video'].item() == 0


def test_it_drops_as_often_as_it_says():
    module, given = scored(0.9, 0.3, q_base=0.4), complete(4000)
    calibration = module(given)
    dropped = calibration.evidence['dropped']
    rate = calibration.evidence['drop_rate']['text'][0].item()
    assert dropped['text'].mean().item() == pytest.approx(rate, abs=0.03)
    assert dropped['audio'].sum() == 0
    assert torch.equal(calibration.signals['text'].present, dropped['text'] == 0)
    assert calibration.signals['audio'].present.all()


def test_it_modulates_in_a_share_of_steps():
    module, given = scored(0.9, 0.3, p_exe=0.3), complete(20)
    steps = [module(given).evidence['dropped']['text'].any() for _ in range(400)]
    assert sum(steps) / 400 == pytest.approx(0.3, abs=0.08)


def test_a_sample_never_loses_all_that_it_has():
    module, given = scored(0.9, 0.9, 0.01, q_base=0.6), signals()
    before = torch.stack([s.present for s in given.values()]).any(0)
    for _ in range(50):
        after = torch.stack([s.present for s in module(given).signals.values()]).any(0)
        assert torch.equal(after, before)


def test_it_begins_with_no_modality_dominant_and_does_nothing_in_evaluation():
    given = complete(50)
    for module in (OPM(widths(2), p_exe=1.0), scored(0.9, 0.3).eval()):
        for m, signal in module(given).signals.items():
            assert torch.equal(signal.x, given[m].x)
            assert torch.equal(signal.mask, given[m].mask)


def test_a_score_is_a_running_mean_of_the_probability_of_the_truth():
    module = OPM(widths(2), momentum=0.25)
    mask = torch.tensor([[True, True], [True, True], [False, False]])
    given = complete(3)
    given['audio'] = Signal(given['audio'].x, mask)
    task = {'text': [0.1, 0.2, 0.6], 'audio': [1.0, 2.0, 50.0]}
    module(given, graded(task))
    text = (math.exp(-0.1) + math.exp(-0.2) + math.exp(-0.6)) / 3
    audio = (math.exp(-1) + math.exp(-2)) / 2  # the third has none
    expected = [0.75 + 0.25 * text, 0.75 + 0.25 * audio]
    assert module.score.tolist() == pytest.approx(expected)
    module(given, graded(task))
    again = [0.75 * old + 0.25 * new for old, new in zip(expected, (text, audio), strict=True)]
    assert module.score.tolist() == pytest.approx(again)


def test_a_modality_that_the_batch_lacks_keeps_its_score():
    module, given = scored(0.9, 0.3), complete(2)
    given['audio'] = given['audio'].missing()
    module(given, graded({'text': [0.5, 0.5]}))
    assert module.score[1].item() == pytest.approx(0.3)
    assert module.score[0].item() == pytest.approx(0.9 * 0.9 + 0.1 * math.exp(-0.5))


def test_labels_of_a_step_reach_the_next_step_only():
    given = complete(200)
    seen = []
    for task in (
        {'text': [0.0] * 200, 'audio': [3.0] * 200},
        {'text': [3.0] * 200, 'audio': [0.0] * 200},
    ):
        module = OPM(widths(2), p_exe=1.0)
        torch.manual_seed(0)
        seen.append([module(given, graded(task)).evidence['dropped'] for _ in range(2)])
    (first, then), (other, after) = seen
    same(first['text'], other['text'].numpy())
    assert then['text'].any() and not after['text'].any()
    assert after['audio'].any() and not then['audio'].any()


@pytest.mark.parametrize(
    ('dims', 'arguments', 'message'),
    [
        ({'audio': 3}, {}, r"OPM needs two or more modalities.*\['audio'\]"),
        (WIDTHS, {'q_base': 1.0}, r'OPM\(q_base=1.0, lam=0.5\); q_base lies in \[0, 1\)'),
        (WIDTHS, {'q_base': 0.6, 'lam': 0.9}, r'q_base \* \(1 \+ lam\) is at most 1'),
        (WIDTHS, {'p_exe': 1.5}, r'OPM\(p_exe=1.5, momentum=0.1\); p_exe lies in \[0, 1\]'),
        (WIDTHS, {'momentum': 0.0}, r'momentum=0.0\).*momentum in \(0, 1\]'),
    ],
)
def test_bad_arguments_are_refused(dims, arguments, message):
    with pytest.raises(ValueError, match=message):
        OPM(dims, **arguments)
