"""CrossAttention against its equation in numpy loops."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, same, signals, tokens, widths

from mmcalib.calibrators.cross_attention import CrossAttention


def attend(module, own, m, x, heads):
    """What one token x (D,) finds, and the share of each partner that is there."""
    others = [o for o in own if o != m]
    query = affine(module.query[m], x).reshape(heads, -1)
    found, share = [], np.zeros(len(others))
    for head in range(heads):
        scores, values, source = [], [], []
        for index, o in enumerate(others):
            for y in own[o]:
                key = affine(module.key[o], y).reshape(heads, -1)[head]
                scores.append(query[head] @ key / np.sqrt(len(key)))
                values.append(affine(module.value[o], y).reshape(heads, -1)[head])
                source.append(index)
        weights = np.exp(scores) / np.exp(scores).sum()
        found.append(weights @ np.array(values))
        for index, weight in zip(source, weights, strict=True):
            share[index] += weight / heads
    return affine(module.out[m], np.concatenate(found)), dict(zip(others, share, strict=True))


@pytest.mark.parametrize('heads', [1, 3])
@pytest.mark.parametrize('modalities', [2, 3])
def test_each_token_adds_what_it_finds_among_the_partners(modalities, heads):
    module = away(CrossAttention(widths(modalities), width=6, heads=heads))
    given = signals(modalities)
    calibration = module(given)
    for row in range(2**modalities):
        own = tokens(given, row)
        for m in own if len(own) > 1 else ():
            partners = [o for o in given if o != m]
            for t, x in enumerate(own[m]):
                found, share = attend(module, own, m, x, heads)
                same(calibration.signals[m].x[row, t], x + found)
                seen = calibration.evidence['attention'][m][row, t]
                same(seen, np.array([share.get(o, 0.0) for o in partners]))


def test_a_sample_without_partners_stays_as_it_is():
    given = signals()
    calibration = away(CrossAttention(WIDTHS, width=6, heads=2))(given)
    for row, m in ((3, 'text'), (5, 'audio'), (6, 'video')):
        real = given[m].mask[row]
        assert list(tokens(given, row)) == [m]
        assert torch.equal(calibration.signals[m].x[row, real], given[m].x[row, real])
        assert calibration.evidence['attention'][m][row].eq(0).all()


def test_the_default_has_the_published_size():
    module = CrossAttention({'text': 768, 'audio': 74, 'video': 35})
    assert sum(p.numel() for p in module.parameters()) == pytest.approx(2.33e6, rel=5e-3)


@pytest.mark.parametrize(
    ('dims', 'arguments', 'message'),
    [
        ({'audio': 3}, {}, r"CrossAttention needs two or more modalities.*\['audio'\]"),
        (WIDTHS, {'width': 8, 'heads': 3}, r'\(width=8, heads=3\); width is a multiple of heads'),
        (WIDTHS, {'width': 8, 'heads': 0}, r'\(width=8, heads=0\); width is a multiple of heads'),
    ],
)
def test_bad_arguments_are_refused(dims, arguments, message):
    with pytest.raises(ValueError, match=message):
        CrossAttention(dims, **arguments)
