"""Every head's loss against its formula in numpy, one sample at a time."""

import numpy as np
import pytest
import torch

from mmcalib.heads.classify import Classify
from mmcalib.heads.localize import Localize
from mmcalib.heads.multi_label import MultiLabel
from mmcalib.heads.regress import Regress


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def vectors(width=6):
    torch.manual_seed(0)
    return torch.randn(4, width)


def linear(head, x):
    return x.numpy() @ head.linear.weight.detach().numpy().T + head.linear.bias.detach().numpy()


def same(actual, expected):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_classify_smooths_labels_and_weighs_classes():
    head = Classify(6, 3, label_smoothing=0.3, class_weights=[0.5, 2.0, 1.0])
    x, target = vectors(), torch.tensor([0, 1, 2, 1])
    expected = []
    for row, t in zip(linear(head, x), target.tolist(), strict=True):
        wanted = np.full(3, 0.1) + 0.7 * np.eye(3)[t]
        expected.append([0.5, 2.0, 1.0][t] * -(wanted * log_softmax(row)).sum())
    same(head.loss(head(x), target), expected)


def test_multi_label_is_the_mean_of_binary_cross_entropies():
    head = MultiLabel(6, 3, positive_weights=[1.0, 3.0, 0.5])
    x, target = vectors(), torch.tensor([[0, 1, 1], [0, 0, 0], [1, 1, 1], [0.5, 0.25, 1]])
    p = 1 / (1 + np.exp(-linear(head, x)))
    y = target.numpy()
    expected = -(np.array([1.0, 3.0, 0.5]) * y * np.log(p) + (1 - y) * np.log(1 - p)).mean(1)
    same(head.loss(head(x), target), expected)


@pytest.mark.parametrize('outputs', [1, 2])
@pytest.mark.parametrize('kind', ['l1', 'mse', 'huber'])
def test_regress_is_its_distance(kind, outputs):
    head, x = Regress(6, outputs, kind, delta=0.7), vectors()
    torch.manual_seed(1)
    target = 2 * torch.randn(4, outputs)
    e = np.abs(linear(head, x) - target.numpy())
    distance = {
        'l1': e,
        'mse': e**2,
        'huber': np.where(e < 0.7, e**2 / 2, 0.7 * (e - 0.35)),
    }[kind]
    target = target.squeeze(-1)
    assert head(x).shape == target.shape
    same(head.loss(head(x), target), distance.mean(1))


@pytest.mark.parametrize('per_segment', [False, True])
def test_localize_is_a_classification_per_segment(per_segment):
    head, x = Localize(6, segments=2, num_classes=3, per_segment=per_segment), vectors()
    target = torch.tensor([[0, 1], [2, 2], [1, 0], [0, 0]])
    expected = []
    for row, t in zip(x, target.tolist(), strict=True):
        if per_segment:
            logits = [linear(head, part) for part in row.chunk(2)]
        else:
            logits = np.split(linear(head, row), 2)
        expected.append(np.mean([-log_softmax(logits[s])[t[s]] for s in range(2)]))
    same(head.loss(head(x), target), expected)
    same(head.loss(head(x), torch.eye(3, dtype=torch.long)[target]), expected)


def test_localize_takes_shares_of_classes():
    head, x = Localize(6, segments=1, num_classes=3), vectors()
    shares = torch.tensor([0.5, 0.3, 0.2])
    expected = [-(shares.numpy() * log_softmax(row)).sum() for row in linear(head, x)]
    same(head.loss(head(x), shares.expand(4, 1, 3)), expected)


def test_regress_refuses_targets_that_are_no_numbers():
    head, target = Regress(6), torch.tensor([1.0, float('nan'), 2.0, float('nan')])
    with pytest.raises(ValueError, match='2 targets that are NaN, of 4'):
        head.loss(head(vectors()), target)


def test_a_segment_of_the_vector_reaches_its_own_segment_only():
    head = Localize(6, segments=3, num_classes=2, per_segment=True)
    x = vectors().requires_grad_()
    head(x)[:, :, 1].sum().backward()
    assert x.grad[:, 2:4].abs().min() > 0
    assert x.grad[:, :2].eq(0).all() and x.grad[:, 4:].eq(0).all()


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: Classify(6, 3, label_smoothing=1.0), r'label_smoothing=1.0.*\[0, 1\)'),
        (lambda: Classify(6, 3, class_weights=[1.0]), r'class_weights=\[1.0\].*needs 3'),
        (lambda: Classify(6, 2, class_weights=[1.0, -1.0]), 'needs 2 weights of 0 or more'),
        (lambda: MultiLabel(6, 0), 'num_classes=0.*at least 1'),
        (lambda: MultiLabel(6, 2, [1.0, 0.0]), 'needs 2 weights above 0'),
        (lambda: Regress(6, 0), 'outputs=0.*at least 1'),
        (lambda: Regress(6, kind='l2'), "kind='l2'.*l1, mse, huber"),
        (lambda: Regress(6, kind='huber', delta=0), 'delta=0.*above 0'),
        (lambda: Localize(6, 0), 'segments=0.*at least 1'),
        (lambda: Localize(6, 4, per_segment=True), 'multiple of 4; the fuser gives 6'),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ('head', 'shape'),
    [
        (MultiLabel(6, 3), (4,)),
        (Regress(6), (4, 1)),
        (Localize(6, 2, 3), (4, 3)),
    ],
)
def test_a_target_of_another_shape_is_refused_instead_of_broadcast(head, shape):
    with pytest.raises(ValueError, match='needs a target'):
        head.loss(head(vectors()), torch.zeros(shape).long())
