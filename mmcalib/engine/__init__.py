"""What mmengine 0.10.7 lacks on current PyTorch; nothing else."""

from mmcalib.registry import discover

discover(__name__, __path__)
