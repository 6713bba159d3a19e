"""The control that gates, but looks at nothing."""

import torch
from torch import nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class ChannelScale(Calibrator):
    """One learned factor per modality and feature, the same for every sample: X~ = w * X.

    A control for gates that depend on the sample: what this reaches needs no evidence. Starts
    at w = 1, the identity.

    Missing: an absent modality stays absent.
    Evidence: `gate` w repeated to (B, D).
    """

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.scales = nn.ParameterDict(
            {m: nn.Parameter(torch.ones(dim)) for m, dim in dims.items()}
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        scaled, gate = {}, {}
        for m in self.modalities:
            scaled[m] = Signal(signals[m].clean() * self.scales[m], signals[m].mask)
            gate[m] = self.scales[m].detach().expand(signals[m].mask.shape[0], -1)
        return Calibration(scaled, evidence={'gate': gate})
