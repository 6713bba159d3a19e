"""Real training steps for balancing methods, on a model small enough to compute by hand."""

from types import SimpleNamespace
from typing import Any

import torch
from mmengine.optim import OptimWrapper

from mmcalib.contract import Signal, Signals
from mmcalib.engine.balancing import Balancing
from mmcalib.model import MultimodalModel

DIMS = {'audio': 3, 'visual': 4, 'text': 2}


def model(modalities: int = 2, **stages: Any) -> MultimodalModel:
    """Without dropout: one linear layer per encoder, concatenation, three classes."""
    torch.manual_seed(0)
    names = list(DIMS)[:modalities]
    parts = {
        'encoders': {m: {'type': 'Features', 'dim': DIMS[m]} for m in names},
        'fuser': {'type': 'Concat'},
        'head': {'type': 'Classify', 'num_classes': 3},
        **stages,
    }
    made = MultimodalModel(**parts)
    for m, encoder in made.encoders.items():
        # A layer with parameters behind the features, so that there are gradients to balance.
        encoder.layer = torch.nn.Linear(DIMS[m], DIMS[m])
        encoder.encode = lambda raw, e=encoder: Signal(e.layer(raw.clean()), raw.mask)
    return made


def batch(modalities: int = 2, size: int = 6, seed: int = 0) -> dict[str, Any]:
    """Complete samples with one token each."""
    generator = torch.Generator().manual_seed(seed)
    inputs: Signals = {
        m: Signal(
            torch.randn(size, 1, DIMS[m], generator=generator),
            torch.ones(size, 1, dtype=torch.bool),
        )
        for m in list(DIMS)[:modalities]
    }
    return {'inputs': inputs, 'target': torch.arange(size) % 3, 'id': [str(i) for i in range(size)]}


def runner(made: MultimodalModel, hook: Balancing, lr: float = 0.1, **more: Any) -> Any:
    """What a hook needs of a Runner, attached as the Runner attaches it."""
    wrapper = OptimWrapper(torch.optim.SGD(made.parameters(), lr=lr))
    run = SimpleNamespace(
        model=made, optim_wrapper=wrapper, hooks=[hook], epoch=0, iter=0, max_epochs=10, **more
    )
    hook.before_run(run)
    hook.before_train(run)
    return run


def step(run: Any, given: dict[str, Any]) -> dict[str, torch.Tensor]:
    """One training step as mmengine makes it; the logged values."""
    run.model.train()
    for hook in run.hooks:
        hook.before_train_iter(run, run.iter, given)
    logged = run.model.train_step(given, run.optim_wrapper)
    for hook in run.hooks:
        hook.after_train_iter(run, run.iter, given, logged)
    run.iter += 1
    return logged
