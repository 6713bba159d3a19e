"""Amp: autocast, scale, clipping and state."""

import pytest
import torch
from engine_project import config, diary, train
from torch import nn

from mmcalib.engine.amp import Amp
from mmcalib.registry import OPTIM_WRAPPERS


def linear():
    model = nn.Linear(3, 1, bias=False)
    return model, torch.optim.SGD(model.parameters(), lr=1.0)


def test_a_cpu_computes_the_forward_pass_in_bfloat16_and_keeps_float32_weights():
    model, optimizer = linear()
    amp = Amp(optimizer)
    if amp.device_type != 'cpu':
        pytest.skip('this machine has a GPU')
    with amp.optim_context(model):
        output = model(torch.ones(2, 3))
    assert output.dtype == torch.bfloat16
    amp.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32


def test_gradients_are_clipped_to_the_norm_that_is_asked_for():
    model, optimizer = linear()
    amp = Amp(optimizer, clip_grad={'max_norm': 0.5})
    before = model.weight.detach().clone()
    # The gradient of 3a + 4b is (3, 4, 0), of norm 5; clipped to 0.5 it is (0.3, 0.4, 0).
    amp.update_params(model.weight @ torch.tensor([3.0, 4.0, 0.0]))
    moved = (before - model.weight).detach().squeeze()
    torch.testing.assert_close(moved, torch.tensor([0.3, 0.4, 0.0]), rtol=1e-4, atol=1e-6)


def test_float16_without_cuda_says_what_works():
    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
    with pytest.raises(ValueError, match=r"needs CUDA.*'bfloat16' works"):
        Amp(linear()[1], dtype='float16')


def test_an_unknown_dtype_is_named():
    with pytest.raises(ValueError, match=r"'int8'.*bfloat16"):
        Amp(linear()[1], dtype='int8')


def test_state_goes_round_and_a_plain_checkpoint_loads():
    amp = Amp(linear()[1])
    amp.load_state_dict(amp.state_dict())
    plain = OPTIM_WRAPPERS.build({'type': 'OptimWrapper', 'optimizer': linear()[1]})
    amp.load_state_dict(plain.state_dict())
    plain.load_state_dict(amp.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason='float16 is scaled on CUDA only')
def test_float16_scales_the_loss_unscales_before_clipping_and_keeps_its_scale():
    model = nn.Linear(3, 1, bias=False).cuda()
    amp = Amp(torch.optim.SGD(model.parameters(), lr=1.0), 'float16', clip_grad={'max_norm': 0.5})
    before = model.weight.detach().clone()
    amp.update_params(model.weight @ torch.tensor([3.0, 4.0, 0.0], device='cuda'))
    moved = (before - model.weight).detach().squeeze().cpu()
    torch.testing.assert_close(moved, torch.tensor([0.3, 0.4, 0.0]), rtol=1e-3, atol=1e-4)
    amp.scaler.update(4.0)
    other = Amp(torch.optim.SGD(model.parameters(), lr=1.0), 'float16')
    other.load_state_dict(amp.state_dict())
    assert other.scaler.get_scale() == 4.0


def test_a_training_on_a_cpu_in_bfloat16_learns(tmp_path):
    wrapper = {'type': 'Amp', 'optimizer': {'type': 'AdamW', 'lr': 0.05}}
    train(config(tmp_path / 'whole', epochs=6, optim_wrapper=wrapper))
    whole = diary(tmp_path / 'whole')
    losses = [float.fromhex(entry[2]) for entry in whole if entry[0] == 'step']
    assert sum(losses[-6:]) < 0.7 * sum(losses[:6])
