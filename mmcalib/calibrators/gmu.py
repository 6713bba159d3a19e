"""GMU: a gate from all modalities on a squashed copy of each."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class GMU(Calibrator):
    """Gated multimodal unit before its sum: a squashed copy of each modality, gated by all.

    Arevalo et al., "Gated Multimodal Units for Information Fusion", ICLR workshop 2017,
    arXiv:1702.01992, section 3: h_m = tanh(W_m X_m); z_m = sigmoid(V_m [s_1; ..; s_M]), s the means
    over tokens; X~_m = z_m * h_m.

    Differs from the paper: the sum over modalities is left to the fuser, so each h_m keeps its
    width, and with two modalities the gates are z_1 and z_2 as with more, not z and 1 - z. Both
    layers have a bias.

    Missing: an absent modality stays absent, and is zeros in the gates of the others.
    Evidence: `gate` z_m (B, D).
    """

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'GMU needs two or more modalities; it was given {list(dims)}')
        total = sum(dims.values())
        self.squash = nn.ModuleDict({m: nn.Linear(dim, dim) for m, dim in dims.items()})
        self.gate = nn.ModuleDict({m: nn.Linear(total, dim) for m, dim in dims.items()})

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        joint = torch.cat([signals[m].mean() for m in self.modalities], dim=-1)
        gates: dict[str, Tensor] = {m: self.gate[m](joint).sigmoid() for m in self.modalities}
        gated = {
            m: Signal(self.squash[m](signals[m].clean()).tanh() * g.unsqueeze(1), signals[m].mask)
            for m, g in gates.items()
        }
        return Calibration(gated, evidence={'gate': {m: g.detach() for m, g in gates.items()}})
