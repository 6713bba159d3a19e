"""Precomputed features."""

from torch import Tensor

from mmcalib.contract import Encoder, Signal
from mmcalib.registry import ENCODERS


@ENCODERS.register_module()
class Features(Encoder):
    """Pass precomputed features (B, L, dim) through, without parameters.

    Args:
        dim: the width of the features on disk.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def encode(self, raw: Signal) -> Signal:
        x: Tensor = raw.clean()
        if x.ndim != 3 or x.shape[-1] != self.out_dim:
            raise ValueError(
                f'Features(dim={self.out_dim}) reads (B, L, {self.out_dim}), '
                f'but was given {tuple(x.shape)}'
            )
        return Signal(x, raw.mask)
