"""QMF against its formulas in numpy, with heads of its own and without."""

from dataclasses import replace

import checks
import invariances
import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, complete, graded, same, signals, tokens, widths
from sweep import case

from mmcalib.calibrators.qmf import QMF, rank
from mmcalib.contract import Signal, Supervision

HEAD = {'type': 'Classify', 'num_classes': 3}
CHECKS = [check for kind in (checks, invariances) for check in vars(kind).values()]
CHECKS = [check for check in CHECKS if getattr(check, '__name__', '').startswith('check_')]


def confidence(module, m, x, head):
    """u of the tokens (L, D)."""
    if head is None:
        return affine(module.heads[m], x.mean(0))[0]
    return 0.1 * np.log(np.exp(affine(module.heads[m].linear, x.mean(0))).sum())


@pytest.mark.parametrize('head', [None, HEAD])
@pytest.mark.parametrize('modalities', [2, 3])
def test_weights_are_normalised_confidences(modalities, head):
    module, given = away(QMF(widths(modalities), head=head)), signals(modalities)
    calibration = module(given)
    assert not calibration.losses
    for row in range(2**modalities):
        own = tokens(given, row)
        u = {m: confidence(module, m, x, head) for m, x in own.items()}
        for m, x in own.items():
            weight = len(own) * np.exp(u[m]) / sum(map(np.exp, u.values()))
            same(calibration.evidence['confidence'][m][row], u[m])
            same(calibration.evidence['weight'][m][row], weight)
            same(calibration.signals[m].x[row, given[m].mask[row]], weight * x)
        for m in given.keys() - own.keys():
            assert calibration.evidence['weight'][m][row] == 0


def hinge(loss, u, pairs):
    """The ranking over pairs (i, j), by its definition: more confident by the lead in k."""
    total = 0.0
    for i, j in pairs:
        lead = np.exp(-loss[i]) - np.exp(-loss[j])
        total += max(0, abs(lead) - np.sign(lead) * (u[i] - u[j]))
    return total / max(1, len(pairs))


def test_the_ranking_is_a_hinge_over_neighbours_that_are_both_there():
    loss, u = torch.tensor([0.1, 2.0, 0.5, 1.0]), torch.tensor([0.9, 0.0, -0.4, 0.3])
    everyone = torch.ones(4, dtype=torch.bool)
    neighbours = [(0, 1), (1, 2), (2, 3), (3, 0)]
    expected = hinge(loss.numpy(), u.numpy(), neighbours)
    assert rank(loss, u, everyone).item() == pytest.approx(expected, rel=1e-5)
    some = torch.tensor([True, True, False, True])
    expected = hinge(loss.numpy(), u.numpy(), [(0, 1), (3, 0)])
    assert rank(loss, u, some).item() == pytest.approx(expected, rel=1e-5)


def test_a_ranking_that_follows_the_losses_costs_nothing_and_its_reverse_does():
    loss = torch.tensor([0.1, 2.0, 0.5])
    ordered = 2 * (-loss).exp()
    everyone = torch.ones(3, dtype=torch.bool)
    assert rank(loss, ordered, everyone) == 0
    assert rank(loss, -ordered, everyone) > rank(loss, torch.zeros(3), everyone) > 0


def test_without_heads_the_ranking_asks_the_model_with_one_modality_at_a_time():
    task = {'text': [0.2, 1.0, 3.0], 'audio': [2.0, 0.1, 0.4]}
    module = away(QMF(widths(2), rank_weight=0.3)).train()
    calibration = module(complete(3), graded(task))
    u = {m: v.numpy() for m, v in calibration.evidence['confidence'].items()}
    neighbours = [(0, 1), (1, 2), (2, 0)]
    expected = sum(hinge(np.array(task[m]), u[m], neighbours) for m in u)
    assert list(calibration.losses) == ['loss_rank']
    assert calibration.losses['loss_rank'].item() == pytest.approx(0.3 * expected, rel=1e-5)


def test_with_heads_each_modality_has_a_loss_over_the_samples_that_have_it():
    module = away(QMF(widths(2), head=HEAD, unimodal_weight=0.5, rank_weight=0.3)).train()
    given, target = complete(3), np.array([2, 0, 1])
    given['audio'] = Signal(given['audio'].x, torch.tensor([[True] * 2, [False] * 2, [True] * 2]))
    calibration = module(given, Supervision(torch.from_numpy(target), lambda _: 1 / 0))
    alone = ranks = 0.0
    chosen = {'text': ([0, 1, 2], [(0, 1), (1, 2), (2, 0)]), 'audio': ([0, 2], [(2, 0)])}
    for m, (rows, pairs) in chosen.items():
        loss, u = np.zeros(3), np.zeros(3)
        for row in rows:
            x = tokens(given, row)[m]
            logits = affine(module.heads[m].linear, x.mean(0))
            loss[row] = np.log(np.exp(logits).sum()) - logits[target[row]]
            u[row] = 0.1 * np.log(np.exp(logits).sum())
        alone += loss[rows].mean()
        ranks += hinge(loss, u, pairs)
    same(calibration.losses['loss_unimodal'], 0.5 * alone)
    same(calibration.losses['loss_rank'], 0.3 * ranks)


def test_without_heads_and_without_ranking_the_model_is_asked_nothing():
    module = QMF(widths(2), rank_weight=0.0).double().train()
    assert not module(complete(2), Supervision(torch.zeros(2), lambda _: 1 / 0)).losses


def test_the_fused_task_trains_confidence_only_without_heads():
    for head, trained in ((None, True), (HEAD, False)):
        module = QMF(widths(2), head=head).double()
        leaves = {m: Signal(s.x.requires_grad_(), s.mask) for m, s in complete(3).items()}
        sum(s.x.sum() for s in module(leaves).signals.values()).backward()
        assert all((p.grad is not None) is trained for p in module.parameters())


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__)
def test_with_heads_it_keeps_the_contract(check):
    made = case(2, calibrator='QMF')
    check(replace(made, parts={**made.parts, 'calibrator': {'type': 'QMF', 'head': HEAD}}))


@pytest.mark.parametrize(
    ('dims', 'arguments', 'message'),
    [
        ({'audio': 3}, {}, r"QMF needs two or more modalities.*\['audio'\]"),
        (WIDTHS, {'rank_weight': -1.0}, r'QMF\(unimodal_weight=1.0, rank_weight=-1.0\); weights'),
        (WIDTHS, {'unimodal_weight': -1.0}, r'QMF\(unimodal_weight=-1.0.*are 0 or more'),
        (WIDTHS, {'head': {'type': 'Classify', 'num_classes': 1}}, r'Classify\(num_classes=1'),
    ],
)
def test_bad_arguments_are_refused(dims, arguments, message):
    with pytest.raises(ValueError, match=message):
        QMF(dims, **arguments)
