import numpy as np
import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.fusers.inter_cad import InterCAD

DIMS = {'text': 5, 'audio': 6, 'visual': 4}
LENGTHS = {'text': 3, 'audio': 2, 'visual': 1}
WIDTH = 4


def made(**kwargs):
    """In float64, and away from its start."""
    model = InterCAD(**{'dims': DIMS, 'width': WIDTH, **kwargs}).double()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


def signals(batch=3, blocks=6, absent=()):
    """Six parts per token, padded behind; (modality, row) pairs are absent."""
    given = {}
    for m, length in LENGTHS.items():
        mask = torch.arange(length) < 1 + torch.arange(batch).unsqueeze(1) % length
        for name, row in absent:
            if name == m:
                mask[row] = False
        x = torch.randn(batch, blocks * length, DIMS[m], dtype=torch.float64)
        given[m] = Signal(x, mask.repeat_interleave(blocks, dim=1))
    return given


def values(*parameters):
    return [p.detach().numpy() for p in parameters]


def linear(layer, x):
    weight, *bias = values(*layer.parameters())
    return x @ weight.T + (bias[0] if bias else 0)


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def layer_norm(layer, x):
    weight, bias = values(*layer.parameters())
    return norm(x) * weight + bias


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def oracle(model, given, row, streams=2):
    """s, p (M', K, width), omega and the vector of one sample, for its present modalities."""
    here = [m for m in DIMS if given[m].mask[row].any()]
    s, p = [], []
    for m in here:
        x, mask = given[m].x[row].numpy(), given[m].mask[row].numpy()
        for level in range(3):
            pair = []
            for stream in (0, streams - 1):
                at = level * streams + stream
                block, real = x[at :: 3 * streams], mask[at :: 3 * streams]
                pair.append(block[real].mean(0))
            s.append(layer_norm(model.shared[m][1], linear(model.shared[m][0], pair[0])))
            p.append(layer_norm(model.private[m][1], linear(model.private[m][0], pair[1])))
    s, p = (np.stack(z).reshape(len(here), 3, WIDTH) for z in (s, p))
    both = np.concatenate([s.mean(0), p.mean(0)], axis=-1).reshape(-1)
    hidden = torch.nn.functional.gelu(torch.tensor(linear(model.score[0], both))).numpy()
    anchors = model.anchors.detach().numpy()
    scores = linear(model.score[2], hidden) + (s.mean(0) * anchors).sum(-1) / 2
    omega = softmax(scores)
    shared, private = (np.einsum('k,mkd->md', omega, z) for z in (s, p))
    query = linear(model.query, shared.mean(0))
    weights = softmax(linear(model.key, shared) @ query / 2)
    joined = weights @ linear(model.value, shared)
    gated = np.zeros(WIDTH)
    for m, part in zip(here, private, strict=True):
        first, second, last = model.confidence[m]
        eta = 1 / (1 + np.exp(-linear(last, layer_norm(second, linear(first, part)))))
        gated += eta * part
    return s, p, omega, np.concatenate([joined, gated])


ABSENT = [('audio', 0), ('text', 1), ('visual', 1)]


@pytest.mark.parametrize('streams', [1, 2])
def test_the_vector_is_the_published_equation_over_present_modalities(streams):
    model, given = made(streams=streams), signals(blocks=3 * streams, absent=ABSENT)
    vector = model(given).vector.detach()
    assert vector.shape == (3, model.out_dim)
    for row in range(3):
        np.testing.assert_allclose(vector[row], oracle(model, given, row, streams)[-1], rtol=1e-9)


def test_the_loss_is_its_three_parts_over_present_modalities():
    model, given = made(weight=0.5), signals(absent=ABSENT)
    within, across, mixes = [], [], []

    def cosine(a, b):
        return (a @ b) / np.linalg.norm(a) / np.linalg.norm(b)

    for row in range(3):
        s, p, omega, _ = oracle(model, given, row)
        for m in range(len(s)):
            for low in range(3):
                for high in range(3):
                    if low < high:
                        within.append(cosine(p[m, low], p[m, high]) ** 2)
                    if low != high:
                        across.append(cosine(s[m, low], p[m, high]) ** 2)
        mixes.append(omega[0] * omega[1] / 2 + omega[1] * omega[2] / 2 + omega[0] * omega[2])
    expected = 0.5 * (np.mean(within) + np.mean(across) + np.mean(mixes))
    assert not model(given).losses
    loss = model.train()(given).losses['loss_inter'].item()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_one_level_has_nothing_to_decorrelate():
    model = made(levels=1, streams=1).train()
    assert model(signals(blocks=1)).losses['loss_inter'].item() == 0


def test_a_sample_with_nothing_is_zeros():
    given = signals(absent=[(m, 2) for m in DIMS])
    vector = made()(given).vector
    assert vector[2].eq(0).all() and vector[:2].ne(0).any(1).all()


def test_a_modality_that_the_whole_batch_lacks_may_have_one_token():
    model, given = made(), signals()
    gone = Signal(torch.full((3, 1, 6), torch.nan).double(), torch.zeros(3, 1).bool())
    expected = model({**given, 'audio': given['audio'].missing()}).vector
    torch.testing.assert_close(model({**given, 'audio': gone}).vector, expected)


def test_tokens_that_are_no_multiple_of_levels_and_streams_are_named():
    given = signals()
    given['text'] = Signal(given['text'].x[:, 1:], given['text'].mask[:, 1:])
    with pytest.raises(ValueError, match=r'levels=3, streams=2.*17 tokens.*multiple of 6'):
        made()(given)


@pytest.mark.parametrize(
    'kwargs', [{'levels': 0}, {'streams': 3}, {'streams': 0}, {'width': 0}, {'weight': -0.1}]
)
def test_bad_arguments_are_named(kwargs):
    (name, value), *_ = kwargs.items()
    with pytest.raises(ValueError, match=f'{name}={value}.*streams 1 or 2'):
        InterCAD(DIMS, **kwargs)
