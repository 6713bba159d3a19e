"""SigmoidTanhGate: a plain gate on a squashed copy, as large as VGMR."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class SigmoidTanhGate(Calibrator):
    """Plain cross-modal gate, matched to VGMR in size: what gating alone is worth.

    The control of Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679 (2026), Table 6:
    G_m = sigmoid(W_g [X_m; c_m]); X~_m = G_m * tanh(W_x X_m).

    The paper leaves open, and we decide: the form above, per token; c_m is the mean over the other
    modalities o of P_o mean(X_o), with P_o affine.

    Missing: an absent partner is left out of the mean over partners; without any, c is zero. An
    absent modality stays absent.
    Evidence: `gate` G_m (B, L, D), meaningful where the token is real.

    Args:
        width: of c; the default gives the published 2.35 M parameters on 768/74/35 wide inputs.
    """

    def __init__(self, dims: dict[str, int], width: int = 656) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(
                f'SigmoidTanhGate needs two or more modalities; it was given {list(dims)}'
            )
        if width < 1:
            raise ValueError(f'SigmoidTanhGate(width={width}); it is 1 or more')
        self.project = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.gate = nn.ModuleDict({m: nn.Linear(dim + width, dim) for m, dim in dims.items()})
        self.squash = nn.ModuleDict({m: nn.Linear(dim, dim) for m, dim in dims.items()})

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        gated: Signals = {}
        gates: dict[str, Tensor] = {}
        for m in self.modalities:
            x = signals[m].clean()
            context = self.context(m, signals).unsqueeze(1).expand(-1, x.shape[1], -1)
            gate = self.gate[m](torch.cat([x, context], dim=-1)).sigmoid()
            gated[m] = Signal(gate * self.squash[m](x).tanh(), signals[m].mask)
            gates[m] = gate.detach()
        return Calibration(gated, evidence={'gate': gates})

    def context(self, modality: str, signals: Signals) -> Tensor:
        """c (B, width): the mean over present partners."""
        others = [o for o in self.modalities if o != modality]
        here = torch.stack([signals[o].present for o in others]).unsqueeze(-1)  # (M - 1, B, 1)
        said = torch.stack([self.project[o](signals[o].mean()) for o in others])
        return (said * here).sum(0) / here.sum(0).clamp(min=1)
