"""Hierarchy: what several depths of one encoder make of every token."""

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from mmcalib.contract import Encoder, Signal
from mmcalib.positions import sines
from mmcalib.registry import ENCODERS


@ENCODERS.register_module()
class Hierarchy(Encoder):
    """Semantic hierarchy: shallow, middle and deep tokens of a backbone, in one width.

    Meng et al., "CLCR: Cross-Level Semantic Collaborative Representation for Multimodal Learning",
    CVPR 2026, arXiv:2602.19605: H_l = LN(Z_l W_l + P_l) for each level l, where Z_l are the
    backbone's tokens at that depth and P_l positions.

    The paper leaves open, and we decide: P_l are sinusoidal (Vaswani et al. 2017) and equal at all
    levels, so that any length fits; W_l has a bias. Its own levels are early, middle and late
    layers of BERT and three stages of a temporal convolution; the levels are the backbone's here,
    which also allows a ResNet.

    The levels of a token follow each other, 'b (l k) d': with two tokens and three levels, a1 b1
    c1 a2 b2 c2. So padding stays behind, and no token's place depends on how much there is of it.
    `IntraCED` and `InterCAD` unfold it.

    Missing: absent samples never enter the backbone; padding is masked at every level.

    Args:
        backbone: config of an encoder with `levels(raw)`, one Signal per level with as many tokens
            each, and `level_dims`, their widths: `ResNet`, for example.
        width: d, of the tokens.
        levels: how many the backbone must have.
    """

    def __init__(self, backbone: Mapping[str, Any], width: int = 128, levels: int = 3) -> None:
        super().__init__()
        if width < 2 or width % 2 or levels < 1:
            raise ValueError(
                f'Hierarchy(width={width}, levels={levels}): width is even and positive, levels '
                'are 1 or more'
            )
        self.backbone = ENCODERS.build(backbone)
        name = type(self.backbone).__name__
        if not all(hasattr(self.backbone, member) for member in ('levels', 'level_dims')):
            raise ValueError(
                f'Hierarchy(backbone={name}): {name} has no `levels` and `level_dims`; an encoder '
                'with both is needed, such as ResNet'
            )
        dims = tuple(self.backbone.level_dims)
        if len(dims) != levels:
            raise ValueError(
                f'Hierarchy(levels={levels}): {name} has {len(dims)} levels, {dims} wide'
            )
        self.out_dim = width
        self.project = nn.ModuleList([nn.Linear(dim, width) for dim in dims])
        self.norm = nn.ModuleList([nn.LayerNorm(width) for _ in dims])

    def encode(self, raw: Signal) -> Signal:
        levels = self.backbone.levels(raw)
        lengths = [level.x.shape[1] for level in levels]
        if len(set(lengths)) > 1:
            raise ValueError(
                f'Hierarchy(backbone={type(self.backbone).__name__}): its levels have {lengths} '
                'tokens; all must have as many'
            )
        steps = zip(self.project, self.norm, levels, strict=True)
        tokens = [norm(put(project(level.clean()))) for project, norm, level in steps]
        return Signal(
            rearrange(tokens, 'k b l d -> b (l k) d'),
            rearrange([level.mask for level in levels], 'k b l -> b (l k)'),
        )

    def init_weights(self) -> None:
        """Let the backbone read its checkpoint."""
        initialise = getattr(self.backbone, 'init_weights', None)
        if callable(initialise):
            initialise()


def put(x: Tensor) -> Tensor:
    """(B, L, D) plus positions."""
    step = torch.arange(x.shape[1], device=x.device)
    return x + sines(step, x.shape[-1]).to(x.dtype)
