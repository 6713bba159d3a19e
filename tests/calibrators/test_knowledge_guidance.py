"""KnowledgeGuidance: its four losses by hand, sample by sample, and whom each of them teaches."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, complete, same, signals, tokens, widths
from torch import nn

from mmcalib.calibrators.knowledge_guidance import KnowledgeGuidance, teach
from mmcalib.contract import Calibration, Calibrator, Signal, Supervision

REGRESS = {'type': 'Regress', 'kind': 'l1'}
CLASSIFY = {'type': 'Classify', 'num_classes': 3}
LOCALIZE = {'type': 'Localize', 'segments': 2, 'num_classes': 3}
TARGETS = {
    'Regress': lambda b: torch.linspace(-3, 3, b).double(),
    'Classify': lambda b: torch.arange(b) % 3,
    'Localize': lambda b: torch.arange(2 * b).reshape(b, 2) % 3,
}


class Noisy(Calibrator):
    """Scales each modality, times noise in training; has a loss and evidence of its own."""

    def __init__(self, dims: dict[str, int], noise: float = 1.0) -> None:
        super().__init__(dims)
        self.noise = noise
        self.scales = nn.ParameterDict({m: torch.tensor(0.7) for m in dims})

    def forward(self, signals, supervision=None):
        moved = {}
        for m, s in signals.items():
            noise = 1 + self.noise * torch.rand(len(s.mask), 1, 1) if self.training else 1.0
            moved[m] = Signal(s.clean() * self.scales[m] * noise, s.mask)
        losses = {}
        if supervision is not None and self.training:
            losses['loss_own'] = sum(s.x.sum() for s in moved.values())
        seen = {m: s.mean().detach() for m, s in moved.items()}
        return Calibration(moved, losses, {'seen': seen})


def guided(dims, head=REGRESS, noise=1.0, **arguments):
    torch.manual_seed(0)
    cfg = {'type': Noisy, 'noise': noise}
    return away(KnowledgeGuidance(dims, calibrator=cfg, head=head, **arguments)).train()


def supervise(batch, head=REGRESS):
    return Supervision(TARGETS[head['type']](batch), lambda _: 1 / 0)


def read(module, m, x, head, target):
    """Vector, prediction and loss of the tokens (L, D) of one sample."""
    reader, vector = module.readers[m], x.mean(0)
    if isinstance(reader.project, nn.Linear):
        vector = affine(reader.project, vector)
    raw = affine(reader.head.linear, vector)
    if head['type'] == 'Regress':
        return vector, raw, abs(raw[0] - float(target))
    rows = raw.reshape(-1, 3)  # one per segment
    right = np.atleast_1d(target.numpy())
    logs = rows - np.log(np.exp(rows).sum(1, keepdims=True))
    return vector, raw, np.mean([-log[c] for log, c in zip(logs, right, strict=True)])


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def by_hand(module, before, after, target, head):
    """The four losses, without weights and with tau = 1."""
    rows = range(len(target))
    after = {m: Signal(s.x.detach(), s.mask) for m, s in after.items()}
    read_all = [
        {
            (m, row): read(module, m, tokens(given, row)[m], head, target[row])
            for m in given
            for row in rows
            if m in tokens(given, row)
        }
        for given in (before, after)
    ]
    unmasked, masked = read_all
    whose = {m: [row for row in rows if (m, row) in masked] for m in before}
    alone, refined = (
        {m: np.mean([part[m, row][2] for row in whose[m]]) for m in before} for part in read_all
    )
    intra = 0.0
    for m in before:
        apart = [(masked[m, row][1] - unmasked[m, row][1]) ** 2 for row in whose[m]]
        intra += np.mean(apart)
    best = min(refined, key=refined.get)
    share = {m: refined[m] / sum(refined.values()) for m in before}
    rest = {m: np.prod([1 + share[o] for o in before if o != m]) for m in before}
    alpha = len(before) * rest[best] / sum(rest.values())
    inter = 0.0
    for m in set(before) - {best}:
        pairs = [row for row in whose[m] if row in whose[best]]
        each = []
        for row in pairs:
            p, q = (softmax(masked[o, row][0]) for o in (best, m))
            each.append((p * np.log(p / q)).sum())
        inter += np.mean(each)
    return {
        'loss_kg_unmasked': sum(alone.values()),
        'loss_kg_masked': sum(refined.values()),
        'loss_kg_intra': intra,
        'loss_kg_inter': alpha**2 * inter / (len(before) - 1),
    }


@pytest.mark.parametrize('head', [REGRESS, CLASSIFY, LOCALIZE], ids=lambda h: h['type'])
@pytest.mark.parametrize('modalities', [2, 3])
def test_the_four_losses_are_those_by_hand_over_the_samples_that_count(modalities, head):
    module, given = guided(widths(modalities), head, tau=3.0), signals(modalities)
    supervision = supervise(2**modalities, head)
    calibration = module(given, supervision)
    expected = by_hand(module, given, calibration.signals, supervision.target, head)
    assert calibration.losses.keys() == {'loss_own', *expected}
    expected['loss_kg_inter'] *= 3.0**2
    for name, value in expected.items():
        same(calibration.losses[name], value)


@pytest.mark.parametrize('name', ['unmasked', 'masked', 'intra', 'inter'])
def test_a_weight_scales_its_loss_only(name):
    losses = []
    for arguments in ({}, {f'{name}_weight': 0.25}):
        module = guided(WIDTHS, **arguments)
        torch.manual_seed(1)
        losses.append(module(complete(4, 3), supervise(4)).losses)
    for key, loss in losses[0].items():
        same(losses[1][key], loss.item() * (0.25 if key == f'loss_kg_{name}' else 1.0))


def test_with_three_modalities_tau_is_ten_and_the_factor_one_half():
    given, supervision = complete(4, 3), supervise(4)
    module = guided(WIDTHS)
    calibration = module(given, supervision)
    hand = by_hand(module, given, calibration.signals, supervision.target, REGRESS)
    assert calibration.losses['loss_kg_inter'].item() == pytest.approx(100 * hand['loss_kg_inter'])


def gradients(module, loss, inputs):
    """Who learns from a loss: parameters by name, and signals by modality."""
    named = {**dict(module.named_parameters()), **{m: s.x for m, s in inputs.items()}}
    found = torch.autograd.grad(loss, [*named.values()], allow_unused=True, retain_graph=True)
    moved = zip(named, found, strict=True)
    return {name: g for name, g in moved if g is not None and g.any()}


def leaves(batch=5, modalities=3):
    given = complete(batch, modalities)
    return {m: Signal(s.x.requires_grad_(), s.mask) for m, s in given.items()}


def test_only_the_calibrator_learns_from_the_masked_loss_and_its_own():
    module, given, supervision = guided(WIDTHS), leaves(), supervise(5)
    calibration = module(given, supervision)
    scales = {f'calibrator.scales.{m}' for m in given}
    masked = gradients(module, calibration.losses['loss_kg_masked'], given)
    assert masked.keys() == scales
    assert gradients(module, calibration.losses['loss_own'], given).keys() == scales
    # y = scale (noise w . mean) + b, so d|y - t| / d scale = sign(y - t) (y - b) / scale
    for m, signal in calibration.signals.items():
        scale = module.calibrator.scales[m].item()
        each = []
        for row in range(5):
            x = signal.x[row].detach().numpy()
            y = read(module, m, x, REGRESS, supervision.target[row])[1][0]
            zero = read(module, m, 0 * x, REGRESS, supervision.target[row])[1][0]
            each.append(np.sign(y - supervision.target[row].item()) * (y - zero) / scale)
        same(masked[f'calibrator.scales.{m}'], np.mean(each))


def test_all_that_is_read_learns_from_the_other_losses():
    module, given = guided(WIDTHS), leaves()
    losses = module(given, supervise(5)).losses
    heads = {name for name, _ in module.named_parameters() if name.startswith('readers')}
    unmasked = gradients(module, losses['loss_kg_unmasked'], given)
    assert unmasked.keys() == heads | given.keys()
    inter = gradients(module, losses['loss_kg_inter'], given)
    students = inter.keys() & given.keys()
    assert len(students) == 2
    assert {f'calibrator.scales.{m}' for m in students} <= inter.keys()
    assert not any('head' in name for name in inter)


@pytest.mark.parametrize('better', [True, False])
def test_within_a_modality_the_version_with_the_lower_loss_teaches(better):
    module, given = guided(widths(2), noise=0.0), leaves(modalities=2)
    weight = module.readers['text'].head.linear
    scale = module.calibrator.scales['text'].item()
    mean = given['text'].x.detach().mean(1).numpy()
    unmasked, masked = (affine(weight, factor * mean)[:, 0] for factor in (1, scale))
    near, far = (masked, unmasked) if better else (unmasked, masked)
    target = torch.from_numpy(near + 0.01 * (near - far))
    losses = module(given, Supervision(target, lambda _: 1 / 0)).losses
    text = gradients(module, losses['loss_kg_intra'], given)['text']
    apart = masked - unmasked
    factor = -1 if better else scale  # only the student's own factor of x is in the gradient
    w = weight.weight.detach().numpy()[0]
    same(text, np.tile((2 * apart * factor / 5 / 2)[:, None, None] * w, (1, 2, 1)))
    learns = 'calibrator.scales.text' in gradients(module, losses['loss_kg_intra'], given)
    assert learns is not better


def test_the_modality_with_the_smallest_loss_teaches_those_beside_it():
    torch.manual_seed(0)
    vectors = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    loss = torch.tensor([2.0, 0.5, 1.5]).double()
    here = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1]]).bool()
    gradient = torch.autograd.grad(teach(vectors, loss, here), vectors)[0].numpy()
    p = np.array([[softmax(v) for v in row] for row in vectors.detach().numpy()])
    share = loss.numpy() / 4
    rest = [np.prod(1 + np.delete(share, m)) for m in range(3)]
    alpha = 3 * rest[1] / sum(rest)
    expected = np.zeros((3, 4, 5))
    for student, rows in ((0, [0, 1]), (2, [1, 2])):
        for row in rows:  # d KL(p || softmax(v)) / dv = softmax(v) - p
            expected[student, row] = alpha**2 / 2 * (p[student, row] - p[1, row]) / 2
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)


def test_a_modality_that_the_batch_lacks_neither_teaches_nor_counts():
    torch.manual_seed(0)
    vectors = torch.randn(3, 4, 5).double()
    loss = torch.tensor([0.0, 0.5, 1.5]).double()  # the first one's is that of no sample
    here = torch.ones(3, 4).bool()
    here[0] = False
    same(teach(vectors, loss, here), teach(vectors[1:], loss[1:], here[1:]).item())
    for alone in ([True, False, False], [False, False, False]):
        here = torch.tensor(alone).unsqueeze(1).expand(3, 4)
        assert teach(vectors, loss, here) == 0
    apart = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]]).bool()  # no sample has both
    assert teach(vectors[:2], loss[1:], apart) == 0


def test_equal_losses_and_losses_of_zero_give_an_alpha_of_one():
    torch.manual_seed(0)
    vectors, here = torch.randn(2, 1, 5).double(), torch.ones(2, 1).bool()
    p, q = (softmax(v) for v in vectors[:, 0].numpy())
    for value in (0.0, 1.3):
        loss = torch.full((2,), value).double()
        same(teach(vectors, loss, here), (p * np.log(p / q)).sum())


def test_what_the_calibrator_returns_passes_through():
    module, given = guided(WIDTHS), complete(4, 3)
    for training in (True, False):
        module.train(training)
        torch.manual_seed(1)
        outer = module(given, supervise(4))
        torch.manual_seed(1)
        inner = module.calibrator(given, supervise(4))
        assert outer.evidence.keys() == {'seen'}
        for m in given:
            assert torch.equal(outer.signals[m].x, inner.signals[m].x)
            assert torch.equal(outer.evidence['seen'][m], inner.evidence['seen'][m])
        assert set(outer.losses) >= set(inner.losses)
        assert all(torch.equal(outer.losses[name], loss) for name, loss in inner.losses.items())
        assert len(outer.losses) == (5 if training else 0)


def test_in_evaluation_nothing_but_the_calibrator_runs():
    module = guided(WIDTHS).eval()
    module.readers = None
    assert not module(complete(4, 3), supervise(4)).losses
    assert not module.train()(complete(4, 3)).losses


def test_equal_widths_need_no_layer_before_the_head():
    equal = guided({'audio': 4, 'text': 4})
    assert all(isinstance(r.project, nn.Identity) for r in equal.readers.values())
    assert guided(widths(2), width=3).readers['audio'].head.in_dim == 3
    assert guided(widths(2)).readers['audio'].head.in_dim == 7


def test_a_target_that_the_head_cannot_score_is_named():
    for head, target in ((REGRESS, torch.zeros(4, 2)), (CLASSIFY, torch.zeros(4).double())):
        with pytest.raises(ValueError, match=rf'KnowledgeGuidance\(head={head["type"]}\) cannot'):
            guided(WIDTHS, head)(complete(4, 3), Supervision(target, lambda _: 1 / 0))


@pytest.mark.parametrize(
    ('dims', 'arguments', 'message'),
    [
        ({'audio': 3}, {}, r"needs two or more modalities; it was given \['audio'\]"),
        (WIDTHS, {'inter_weight': -1.0}, r"given {'inter_weight': -1.0}; weights are 0 or more"),
        (WIDTHS, {'tau': 0.0}, r'KnowledgeGuidance\(width=None, tau=0.0\).*tau above 0'),
        (WIDTHS, {'width': 0}, r'KnowledgeGuidance\(width=0, tau=10.0\); width is 1 or more'),
        (WIDTHS, {'head': {'type': 'Regress', 'outputs': 0}}, r'Regress\(outputs=0\)'),
    ],
)
def test_bad_arguments_are_refused(dims, arguments, message):
    with pytest.raises(ValueError, match=message):
        guided(dims, **arguments)
