import torch

from mmcalib.contract import Signal
from mmcalib.fusers.concat import Concat


def test_vector_is_the_concatenation_of_means_over_real_tokens():
    audio = Signal(torch.tensor([[[1.0], [3.0], [100.0]]]), torch.tensor([[True, True, False]]))
    visual = Signal(torch.tensor([[[4.0, 6.0]]]), torch.tensor([[False]]))
    fuser = Concat({'audio': 1, 'visual': 2})
    assert fuser({'visual': visual, 'audio': audio}).vector.tolist() == [[2.0, 0.0, 0.0]]
    assert fuser.out_dim == 3
