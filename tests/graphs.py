"""Small calibrated models that become graphs, by torch.export and by torch.compile."""

from dataclasses import replace

import torch
from sweep import RAW, Case, case
from torch import nn

from mmcalib.contract import Signals
from mmcalib.model import MultimodalModel


def small(
    calibrator: str = 'Identity',
    fuser: str = 'Concat',
    head: str = 'Classify',
    encoder: str = 'Features',
) -> Case:
    """Audio behind a registered encoder, video as it is; every batch holds garbage."""
    plain = case(2, calibrator, fuser, head)
    arguments, shape = RAW[encoder]
    if encoder == 'ResNet':
        arguments = {**arguments, 'base_channels': 4}
    encoders = {**plain.parts['encoders'], 'audio': {'type': encoder, **arguments}}
    return replace(
        plain,
        parts={**plain.parts, 'encoders': encoders},
        shapes={**plain.shapes, 'audio': shape},
    )


CASES = {
    'conv': small('VGMR', 'Concat', encoder='ResNet'),
    'seq': small('VGMR', 'TokenTransformer'),
}


def frozen(given: Case) -> MultimodalModel:
    """In evaluation, where attention would take its fused kernel, with statistics of a batch."""
    model = given.model()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model(given.mixed()[0])
    return model.eval().requires_grad_(False)


def example(given: Case) -> Signals:
    """Two samples, nothing missing."""
    return given.batch(torch.ones(2, 2, dtype=torch.bool))
