"""GMU against its equations in numpy, sample by sample."""

import numpy as np
import pytest
import torch
from rivals import WIDTHS, affine, away, same, sigmoid, signals, tokens, widths

from mmcalib.calibrators.gmu import GMU


@pytest.mark.parametrize('modalities', [2, 3])
def test_each_token_is_the_papers_before_the_sum(modalities):
    module, given = away(GMU(widths(modalities))), signals(modalities)
    calibration = module(given)
    for row in range(2**modalities):
        own = tokens(given, row)
        means = [own[m].mean(0) if m in own else np.zeros(WIDTHS[m]) for m in given]
        for m, x in own.items():
            gate = sigmoid(affine(module.gate[m], np.concatenate(means)))
            expected = gate * np.tanh(affine(module.squash[m], x))
            same(calibration.evidence['gate'][m][row], gate)
            same(calibration.signals[m].x[row, given[m].mask[row]], expected)


def test_masks_stay():
    given = signals()
    refined = GMU(WIDTHS).double()(given).signals
    assert all(torch.equal(refined[m].mask, given[m].mask) for m in given)


def test_one_modality_is_refused():
    with pytest.raises(ValueError, match=r"GMU needs two or more modalities.*\['audio'\]"):
        GMU({'audio': 3})
