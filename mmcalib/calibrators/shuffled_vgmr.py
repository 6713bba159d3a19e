"""The control that gates by the partners of another sample."""

from mmcalib.contract import Calibration, Calibrator, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class ShuffledVGMR(Calibrator):
    """VGMR whose partners belong to another sample.

    A control for Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679 (2026), which has
    no such row: what this reaches needs no evidence from the true partners. It is
    VGMR(context='shuffled'), as large as VGMR: in training a sample meets the partners of the one
    before it in the batch; in evaluation those of one of the last 64 training samples, picked by
    its own summary, so that it depends on no neighbour. A batch of one does as in evaluation.

    Missing: whether a partner is there is also the other sample's. As long as nothing has been
    trained on, evaluation has no partners. An absent modality stays absent.
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
        self.vgmr = CALIBRATORS.build(
            {'type': 'VGMR', 'context': 'shuffled', **arguments}, dims=dims
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        return self.vgmr(signals, supervision)
