"""SE, MMTM and FiLM against their papers' formulas in numpy, sample by sample."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from mmcalib.calibrators.film import FiLM
from mmcalib.calibrators.mmtm import MMTM
from mmcalib.calibrators.se import SE
from mmcalib.contract import Signal

DIMS = {'audio': 4, 'video': 6, 'text': 2}
# Rows: all present, ragged, video absent, only text there.
LENGTHS = {'audio': (3, 1, 2, 0), 'video': (2, 1, 0, 0), 'text': (1, 1, 1, 1)}


def signals():
    torch.manual_seed(0)
    given = {}
    for m, dim in DIMS.items():
        mask = torch.arange(3) < torch.tensor(LENGTHS[m]).unsqueeze(1)
        x = torch.randn(4, 3, dim).masked_fill(~mask.unsqueeze(-1), float('nan'))
        given[m] = Signal(x, mask)
    return given


def away(module):
    torch.manual_seed(1)
    for parameter in module.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return module.eval()


def tokens(given, m, row):
    return given[m].x[row, given[m].mask[row]].double().numpy()


def mean(given, m, row):
    x = tokens(given, m, row)
    return x.mean(0) if len(x) else np.zeros(DIMS[m])


def layer(module, name, x):
    state = module.state_dict()
    weight, bias = (state[f'{name}.{kind}'].double().numpy() for kind in ('weight', 'bias'))
    return x @ weight.T + bias


def check(module, factors):
    """`factors(module, given, m, row)` -> scale and shift that the tokens must have got."""
    given = signals()
    refined = module(given).signals
    for m in DIMS:
        assert torch.equal(refined[m].mask, given[m].mask)
        for row in range(4):
            scale, shift = factors(module, given, m, row)
            expected = tokens(given, m, row) * scale + shift
            actual = refined[m].x[row, given[m].mask[row]].detach().numpy()
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_se_is_the_papers():
    def factors(module, given, m, row):
        hidden = np.maximum(layer(module, f'gates.{m}.0', mean(given, m, row)), 0)
        return expit(layer(module, f'gates.{m}.2', hidden)), 0

    check(away(SE(DIMS, reduction=2)), factors)


def test_mmtm_is_the_papers():
    def factors(module, given, m, row):
        squeezed = np.concatenate([mean(given, o, row) for o in DIMS])
        code = np.maximum(layer(module, 'squeeze.0', squeezed), 0)
        assert len(code) == 6  # 2 * 12 / 4
        return 2 * expit(layer(module, f'excite.{m}', code)), 0

    check(away(MMTM(DIMS)), factors)


def test_film_is_the_papers():
    def factors(module, given, m, row):
        others = [o for o in DIMS if o != m and len(tokens(given, o, row))]
        seen = [np.maximum(layer(module, f'project.{o}.0', mean(given, o, row)), 0) for o in others]
        context = np.mean(seen, axis=0) if seen else np.zeros(5)
        both = layer(module, f'modulate.{m}', context)
        return 1 + both[: DIMS[m]], both[DIMS[m] :]

    check(away(FiLM(DIMS, width=5)), factors)


def test_film_begins_as_the_identity():
    given = signals()
    for m, signal in FiLM(DIMS)(given).signals.items():
        assert torch.equal(signal.clean(), given[m].clean())


@pytest.mark.parametrize(('kind', 'crosses'), [(SE, False), (MMTM, True), (FiLM, True)])
def test_only_cross_modal_gates_see_the_other_modality(kind, crosses):
    given = signals()
    other = {**given, 'video': Signal(given['video'].x * 2, given['video'].mask)}
    module = away(kind(DIMS))
    one, two = (module(s).signals['audio'].clean()[0] for s in (given, other))
    assert torch.equal(one, two) is not crosses


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: SE(DIMS, reduction=0), r'SE\(reduction=0\).*1 or more'),
        (lambda: MMTM({'audio': 3}), r"two or more.*\['audio'\]"),
        (lambda: MMTM(DIMS, ratio=-1), r'MMTM\(ratio=-1, scale=2.0\).*ratio is 1 or more'),
        (lambda: FiLM({'audio': 3}), r"two or more.*\['audio'\]"),
        (lambda: FiLM(DIMS, width=0), r'FiLM\(width=0\).*1 or more'),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
