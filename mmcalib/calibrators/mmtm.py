"""MMTM: a joint summary gates the features of all modalities."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class MMTM(Calibrator):
    """Multimodal transfer module: gate each feature by a joint squeeze of all modalities.

    Joze et al., "MMTM: Multimodal Transfer Module for CNN Fusion", CVPR 2020, arXiv:1911.08670:
    S = [mean over tokens of X_1; ..; of X_M]; Z = relu(W S + b); G_m = scale * sigmoid(W_m Z +
    b_m); X~_m = G_m * X_m. The gate starts around 1 with scale 2.

    Differs from the paper: any number of modalities, and one module behind the encoders, where the
    paper has several between them.

    Missing: an absent modality stays absent, and is zeros in S; padding does not enter S.
    Evidence: `gate` G_m (B, D), in (0, scale).

    Args:
        ratio: Z is 2 * (sum of widths) / ratio wide, at least 1.
        scale: of the sigmoid; 2 in the paper, 1 in its public code.
    """

    def __init__(self, dims: dict[str, int], ratio: int = 4, scale: float = 2.0) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'MMTM needs two or more modalities; it was given {list(dims)}')
        if ratio < 1 or scale <= 0:
            raise ValueError(
                f'MMTM(ratio={ratio}, scale={scale}); ratio is 1 or more, scale is positive'
            )
        self.scale = scale
        total = sum(dims.values())
        hidden = max(1, 2 * total // ratio)
        self.squeeze = nn.Sequential(nn.Linear(total, hidden), nn.ReLU())
        self.excite = nn.ModuleDict({m: nn.Linear(hidden, dim) for m, dim in dims.items()})

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        joint = self.squeeze(torch.cat([signals[m].mean() for m in self.modalities], dim=-1))
        gates: dict[str, Tensor] = {
            m: self.scale * self.excite[m](joint).sigmoid() for m in self.modalities
        }
        gated = {
            m: Signal(signals[m].clean() * g.unsqueeze(1), signals[m].mask)
            for m, g in gates.items()
        }
        return Calibration(gated, evidence={'gate': {m: g.detach() for m, g in gates.items()}})
