"""Any number of labels per sample."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Head
from mmcalib.registry import HEADS


@HEADS.register_module()
class MultiLabel(Head):
    """Linear layer and binary cross-entropy per class; the prediction is the logits.

    Prediction (B, num_classes); target (B, num_classes) in [0, 1]. A sample's loss is the mean over
    classes.

    Args:
        num_classes: at least 1.
        positive_weights: one weight per class, above 0, of the loss where it is present.
    """

    positive_weights: Tensor | None

    def __init__(
        self, in_dim: int, num_classes: int, positive_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(in_dim)
        if num_classes < 1:
            raise ValueError(f'MultiLabel(num_classes={num_classes}); at least 1 is needed')
        weights = None if positive_weights is None else torch.tensor(positive_weights).float()
        if weights is not None and (len(weights) != num_classes or not (weights > 0).all()):
            raise ValueError(
                f'MultiLabel(positive_weights={positive_weights}); '
                f'needs {num_classes} weights above 0'
            )
        self.num_classes = num_classes
        self.register_buffer('positive_weights', weights, persistent=False)
        self.linear = nn.Linear(in_dim, num_classes)

    def forward(self, vector: Tensor) -> Tensor:
        return self.linear(vector)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        if target.shape != prediction.shape:
            raise ValueError(
                f'MultiLabel(num_classes={self.num_classes}) needs a target '
                f'{tuple(prediction.shape)}, but was given {tuple(target.shape)}'
            )
        return F.binary_cross_entropy_with_logits(
            prediction,
            target.to(prediction.dtype),
            pos_weight=self.positive_weights,
            reduction='none',
        ).mean(dim=-1)
