"""torch.compile of a calibrated model, against eager PyTorch."""

import shutil

import pytest
import torch
from graphs import CASES, frozen, small
from torch import nn

from mmcalib.contract import Signal

pytestmark = pytest.mark.usefixtures('untraced')
COMPILER = pytest.mark.skipif(
    not any(map(shutil.which, ('g++', 'clang++', 'c++'))),
    reason="torch.compile's default backend needs a C++ compiler",
)


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_a_compiled_model_predicts_alike_in_one_graph(name):
    torch.compiler.reset()
    model, inputs = frozen(CASES[name]), CASES[name].mixed()[0]
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend='eager')
    expected = model(inputs)
    for rows in (slice(0, 8), slice(1, 6)):  # whatever is missing and however large the batch is
        some = {m: Signal(s.x[rows], s.mask[rows]) for m, s in inputs.items()}
        torch.testing.assert_close(compiled(some), expected[rows], atol=1e-5, rtol=1e-5)


@COMPILER
@pytest.mark.slow
def test_the_default_backend_predicts_alike(monkeypatch):
    monkeypatch.setattr('torch._inductor.config.compile_threads', 1)  # a pool takes longer to start
    torch.compiler.reset()
    given = small('VGMR')
    model, inputs = frozen(given), given.mixed()[0]
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(inputs), model(inputs), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:The .grad attribute')  # torch looks at every tensor's
def test_a_compiled_model_trains_alike():
    torch.compiler.reset()
    given = small('VGMR')
    inputs, target = given.mixed()
    losses, gradients = [], []
    for compiled in (False, True):
        model = given.model()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        run = torch.compile(model, backend='aot_eager') if compiled else model
        parts = run(inputs, target, mode='loss')
        sum(parts.values()).backward()
        losses.append({name: value.detach() for name, value in parts.items()})
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert {'loss_task', 'loss_value', 'loss_gate'} == losses[0].keys()
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(gradients[1], gradients[0])
