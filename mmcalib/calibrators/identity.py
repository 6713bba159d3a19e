"""The baseline of every comparison."""

from mmcalib.contract import Calibration, Calibrator, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class Identity(Calibrator):
    """Leave the signals as they are: no calibration."""

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        return Calibration(signals)
