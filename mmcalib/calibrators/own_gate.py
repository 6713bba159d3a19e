"""The control that gates a modality by itself."""

from mmcalib.contract import Calibration, Calibrator, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class OwnGate(Calibrator):
    """VGMR whose gates see their own modality only.

    A control for Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679 (2026), which has
    no such row: Eq. 8 becomes r_m = psi_m(s_m), all else is VGMR's. What this reaches needs no
    evidence from other modalities. It is VGMR(context='own'), and takes one modality, too.

    The value loss stays: its target, the rise of the task loss without the modality, depends on
    all modalities, but shapes only what the gate learns of its own.

    Missing: an absent modality stays absent, and changes nothing for the others.
    Losses: VGMR's `loss_value` and `loss_gate`, in training only.
    Evidence: VGMR's.

    Args:
        width: as of VGMR.
        alpha: strength of the gate, in [0, 1].
        beta: share that is always kept, in [0, 1].
        order: 'gate_then_norm' or 'norm_then_gate'.
        post: 'norm' is LayerNorm and Dropout behind the gate, 'none' neither.
        dropout: rate in the MLPs and in `post`.
        value_weight: of `loss_value`; 0 saves the extra passes through fuser and head.
        reg_weight: of `loss_gate`.
        warmup_steps: training steps over which `loss_value` rises to its full weight.
    """

    def __init__(
        self,
        dims: dict[str, int],
        width: int = 160,
        alpha: float = 0.5,
        beta: float = 0.2,
        order: str = 'gate_then_norm',
        post: str = 'norm',
        dropout: float = 0.1,
        value_weight: float = 0.1,
        reg_weight: float = 0.01,
        warmup_steps: int = 150,
    ) -> None:
        super().__init__(dims)
        arguments = {
            'width': width,
            'alpha': alpha,
            'beta': beta,
            'order': order,
            'post': post,
            'dropout': dropout,
            'value_weight': value_weight,
            'reg_weight': reg_weight,
            'warmup_steps': warmup_steps,
        }
        self.vgmr = CALIBRATORS.build({'type': 'VGMR', 'context': 'own', **arguments}, dims=dims)

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        return self.vgmr(signals, supervision)
