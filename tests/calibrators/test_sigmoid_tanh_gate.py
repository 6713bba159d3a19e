"""SigmoidTanhGate against its equation in numpy, and its size against the published one."""

import numpy as np
import pytest
from rivals import affine, away, same, sigmoid, signals, tokens, widths

from mmcalib.calibrators.sigmoid_tanh_gate import SigmoidTanhGate


@pytest.mark.parametrize('modalities', [2, 3])
def test_each_token_is_a_gate_times_a_squashed_copy(modalities):
    module, given = away(SigmoidTanhGate(widths(modalities), width=6)), signals(modalities)
    calibration = module(given)
    for row in range(2**modalities):
        own = tokens(given, row)
        for m, x in own.items():
            said = [affine(module.project[o], own[o].mean(0)) for o in own if o != m]
            context = np.mean(said, axis=0) if said else np.zeros(6)
            both = np.concatenate([x, np.tile(context, (len(x), 1))], axis=1)
            gate = sigmoid(affine(module.gate[m], both))
            real = given[m].mask[row]
            same(calibration.evidence['gate'][m][row, real], gate)
            same(
                calibration.signals[m].x[row, real],
                gate * np.tanh(affine(module.squash[m], x)),
            )


def test_the_default_has_the_published_size():
    module = SigmoidTanhGate({'text': 768, 'audio': 74, 'video': 35})
    assert sum(p.numel() for p in module.parameters()) == pytest.approx(2.35e6, rel=5e-3)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"SigmoidTanhGate needs two or more.*\['audio'\]"):
        SigmoidTanhGate({'audio': 3})
    with pytest.raises(ValueError, match=r'SigmoidTanhGate\(width=0\); it is 1 or more'):
        SigmoidTanhGate({'audio': 3, 'video': 4}, width=0)
