"""What a model may return, write and touch: one function each, which raises where it is broken."""

from typing import Any

import torch
from sweep import Case, batches, run, supervise
from torch import Tensor, nn

from mmcalib.contract import Signal, Signals, merge
from mmcalib.model import MultimodalModel


def check_shapes(case: Case) -> None:
    """Every stage returns what the contract says, for every pattern of absence."""
    model = case.model()
    for name, inputs, target in batches(case):
        batch = len(target)
        for training in (True, False):
            model.train(training)
            encoded = {m: encoder(inputs[m]) for m, encoder in model.encoders.items()}
            verify(encoded, model, batch, f'encoded, {name}')
            calibrated = model.calibrator(encoded, supervise(model, target)).signals
            verify(calibrated, model, batch, f'calibrated, {name}')
            vector = model.fuser(calibrated).vector
            assert vector.shape == (batch, model.fuser.out_dim), f'vector {vector.shape}, {name}'
            prediction = model.head(vector)
            assert prediction.shape[0] == batch, f'prediction {prediction.shape}, {name}'
            assert prediction.isfinite().all(), f'prediction is not finite, {name}'
            loss = model.head.loss(prediction, target)
            assert loss.shape == (batch,), f'loss of the head is {loss.shape}, {name}'


def verify(signals: Signals, model: MultimodalModel, batch: int, what: str) -> None:
    """Modalities in order, masks that fit, widths as promised, finite where real."""
    assert list(signals) == list(model.encoders), f'modalities {list(signals)}, {what}'
    for m, signal in signals.items():
        assert signal.mask.dtype == torch.bool, f'mask of {m} is {signal.mask.dtype}, {what}'
        wanted = (batch, signal.mask.shape[1], model.encoders[m].out_dim)
        assert signal.x.shape == wanted, f'{m} is {tuple(signal.x.shape)}, not {wanted}, {what}'
        assert signal.clean().isfinite().all(), f'{m} is not finite, {what}'


def check_losses(case: Case) -> None:
    """Losses are finite scalars named `loss_*`, for every pattern of absence."""
    model = case.model()
    for name, inputs, target in batches(case):
        stages = run(model, inputs, target)
        for key, loss in [*stages.calibration.losses.items(), *stages.fusion.losses.items()]:
            assert key.startswith('loss_'), f'{key} does not start with loss_'
            assert loss.shape == (), f'{key} is {loss.shape}, not a scalar'
            assert loss.isfinite(), f'{key} is not finite, {name}'
        merge({'loss_task': torch.zeros(())}, stages.calibration.losses, stages.fusion.losses)


def check_evidence(case: Case) -> None:
    """Evidence is detached, per modality and per sample, and finite where it is real."""
    model = case.model()
    for name, inputs, target in batches(case):
        calibration = run(model, inputs, target).calibration
        for word, per_modality in calibration.evidence.items():
            assert set(per_modality) <= set(case.shapes), f'evidence {word} of no modality'
            for m, seen in per_modality.items():
                assert not seen.requires_grad, f'evidence {word} is not detached'
                assert seen.shape[0] == len(target), f'evidence {word} is {seen.shape}, {name}'
                real = seen[calibration.signals[m].present]
                assert real.isfinite().all(), f'evidence {word} of {m} is not finite, {name}'


def check_gradients(case: Case) -> None:
    """Every parameter gets a finite gradient, for every pattern of absence; garbage gets none."""
    model = case.model()
    for name, inputs, target in batches(case):
        model.zero_grad(set_to_none=True)
        leaves = {m: Signal(s.x.requires_grad_(), s.mask) for m, s in inputs.items()}
        total(model, leaves, target).backward()
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f'{key} has no gradient, {name}'
                assert parameter.grad.isfinite().all(), f'{key} has a wild gradient, {name}'
        for m, leaf in leaves.items():
            if leaf.x.grad is not None:
                assert leaf.x.grad.isfinite().all(), f'{m} has a wild gradient, {name}'
                assert leaf.x.grad[~leaf.mask].eq(0).all(), f'padding of {m} is moved, {name}'


def total(model: MultimodalModel, inputs: Signals, target: Tensor) -> Tensor:
    return torch.stack(list(model(inputs, target, mode='loss').values())).sum()


def check_autocast(case: Case) -> None:
    """Losses and gradients stay finite in bfloat16."""
    model = case.model()
    for name in ('all present', 'every subset', 'each once'):
        presence = case.patterns()[name]
        model.zero_grad(set_to_none=True)
        with torch.autocast('cpu', torch.bfloat16):
            loss = total(model, case.batch(presence), case.target(presence.shape[1]))
        loss.backward()
        assert loss.isfinite(), f'loss in bfloat16, {name}'
        for key, parameter in model.named_parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), f'{key}, {name}'


def check_writes(case: Case) -> None:
    """Forward writes nothing to self; in training, it may update buffers."""
    inputs, target = case.mixed()
    for training in (False, True):
        model = case.model().train(training)
        before = contents(model, buffers=not training)
        for mode in ('tensor', 'loss', 'predict'):
            model(inputs, target, mode=mode)
        after = contents(model, buffers=not training)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert not changed, f'forward writes {sorted(changed)}'


def contents(model: nn.Module, buffers: bool) -> dict[str, Any]:
    """What every module holds, by value, except the modules inside it."""
    skipped = {'_modules'} if buffers else {'_modules', '_buffers'}
    return {
        f'{name}.{key}': freeze(value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if key not in skipped
    }


def freeze(value: Any) -> Any:
    """A value that later changes leave alone, for comparison."""
    if isinstance(value, Tensor):
        return value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {key: freeze(v) for key, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [freeze(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else id(value)


def check_inputs(case: Case) -> None:
    """No stage changes what it is given."""
    model, (inputs, target) = case.model(), case.mixed()
    for training in (True, False):
        model.train(training)
        with torch.no_grad():
            before = snapshot(inputs)
            encoded = {m: encoder(inputs[m]) for m, encoder in model.encoders.items()}
            assert snapshot(inputs) == before, 'an encoder changes its input'
            before = snapshot(encoded)
            calibrated = model.calibrator(encoded, supervise(model, target)).signals
            assert snapshot(encoded) == before, 'the calibrator changes its input'
            before = snapshot(calibrated)
            vector = model.fuser(calibrated).vector
            assert snapshot(calibrated) == before, 'the fuser changes its input'
            kept = vector.clone()
            model.head.loss(model.head(vector), target)
            assert torch.equal(vector, kept), 'the head changes its input'


def snapshot(signals: Signals) -> dict[str, Any]:
    return {m: (freeze(s.x), freeze(s.mask)) for m, s in signals.items()}
