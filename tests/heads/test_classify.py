import math

import pytest
import torch

from mmcalib.heads.classify import Classify


def test_loss_is_the_cross_entropy_of_each_sample():
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    loss = Classify(4, 2).loss(logits, torch.tensor([0, 1]))
    torch.testing.assert_close(loss, torch.tensor([math.log(2), math.log(4)]))


def test_prediction_is_linear_in_the_vector():
    head = Classify(3, 5)
    x = torch.randn(2, 3)
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match='num_classes=1'):
        Classify(4, 1)
