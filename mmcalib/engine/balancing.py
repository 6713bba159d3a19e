"""Balancing: what methods share that keep one modality from outrunning the others."""

from typing import Any, NamedTuple

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmcalib.contract import Calibration, Losses, Signals


class Step(NamedTuple):
    """One forward pass of training, and questions that may be asked about it."""

    model: Any  # the MultimodalModel, unwrapped
    inputs: Signals  # raw
    encoded: Signals  # before the calibrator
    signals: Signals  # after it
    prediction: Tensor  # (B, ...) of all modalities
    target: Tensor  # (B, ...)
    losses: Losses  # what the model would train on

    def only(self, *modalities: str) -> Signals:
        """The calibrated signals, all other modalities declared missing."""
        return only(self.signals, *modalities)

    def predict(self, signals: Signals) -> Tensor:
        """What fuser and head say to these signals: (B, ...)."""
        return self.model.head(self.model.fuser(signals).vector)

    def loss(self, prediction: Tensor) -> Tensor:
        """The head's loss of a prediction, per sample: (B,)."""
        return self.model.head.loss(prediction, self.target)

    def mean(self, loss: Tensor, modality: str) -> Tensor:
        """The mean of losses (B,) over the samples that have a modality; 0 without any."""
        present = self.signals[modality].present
        return torch.where(present, loss, 0.0).sum() / present.sum().clamp(min=1)


class Balancing(Hook):
    """Reach into a training step, between the forward pass and the optimiser's step.

    A subclass overrides `losses`, `gradients`, `predictions`, or any of mmengine's hook points, and
    `state_dict` and `load_state_dict` if it remembers anything; they travel in the checkpoint. The
    model is trained by mmengine's loop as ever. Works with any number of modalities from two on,
    with any calibrator, fuser and head, with AMP and DDP.

    Raises:
        ValueError: fewer than two modalities, or two balancing methods in one run.
    """

    def __init__(self) -> None:
        self.modalities: tuple[str, ...] = ()
        self._handles: list[Any] = []
        self._calibration: tuple[Signals, Signals] | None = None
        self._prediction: Tensor | None = None

    def losses(self, step: Step) -> Losses:
        """What to train on instead of `step.losses`; a name without 'loss' is only logged."""
        return step.losses

    def gradients(self, model: nn.Module) -> None:
        """Change `.grad` before the optimiser's step. Under DDP they are averaged already."""

    def predictions(self, model: nn.Module, signals: Signals) -> Tensor | None:
        """Another prediction than the model's in validation and test, or None."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    def before_run(self, runner: Any) -> None:
        """Attach to the live model."""
        name, model = type(self).__name__, unwrap(runner.model)
        others = [h for h in runner.hooks if isinstance(h, Balancing) and h is not self]
        if others:
            raise ValueError(f'{name} and {type(others[0]).__name__} balance one run; one can')
        self.modalities = tuple(model.encoders)
        if len(self.modalities) < 2:
            raise ValueError(f'{name} needs two or more modalities; there is {self.modalities}')
        self.attach(model)

    def attach(self, model: Any) -> None:
        """Tap the calibrator, the head and the whole model."""
        self.modalities = tuple(model.encoders)
        self._handles = [
            model.calibrator.register_forward_hook(self._see_calibration),
            model.head.register_forward_hook(self._see_prediction),
            model.register_forward_hook(self._after_forward, with_kwargs=True),
        ]

    def before_train(self, runner: Any) -> None:
        """Attach to the optimiser."""
        model, optimizer = unwrap(runner.model), runner.optim_wrapper.optimizer
        self._handles.append(optimizer.register_step_pre_hook(lambda *_: self._before_step(model)))

    def after_run(self, runner: Any) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the state, if there is any."""
        if state := self.state_dict():
            checkpoint.setdefault('balancing', {})[type(self).__name__] = state

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Take back the state of this method on resume; a run that starts from weights has none."""
        if not getattr(runner, '_resume', True):
            return
        if state := checkpoint.get('balancing', {}).get(type(self).__name__):
            self.load_state_dict(state)

    def _see_calibration(self, module: nn.Module, args: Any, output: Calibration) -> None:
        self._calibration = (args[0], output.signals)

    def _see_prediction(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self._prediction = output  # the last one of a forward pass is that of all modalities

    def _before_step(self, model: nn.Module) -> None:
        with torch.no_grad():
            self.gradients(model)

    def _after_forward(self, model: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        seen, prediction = self._calibration, self._prediction
        self._calibration = self._prediction = None  # or a whole graph lives on
        if seen is None or prediction is None:
            return output
        mode = kwargs.get('mode', 'tensor')
        if mode == 'loss' and model.training:
            inputs = kwargs['inputs'] if 'inputs' in kwargs else args[0]
            target = kwargs['target'] if 'target' in kwargs else args[1]
            return self.losses(Step(model, inputs, *seen, prediction, target, output))
        if mode == 'predict':
            other = self.predictions(model, seen[1])
            if other is not None:
                return [{**old, 'prediction': new} for old, new in zip(output, other, strict=True)]
        return output


def only(signals: Signals, *modalities: str) -> Signals:
    """The same signals, all other modalities declared missing."""
    return {m: s if m in modalities else s.missing() for m, s in signals.items()}


def unwrap(model: Any) -> Any:
    """The model inside DDP or the like."""
    return model.module if is_model_wrapper(model) else model


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean over all processes, so that each does the same with its gradients."""
    value = value.detach().clone()
    all_reduce(value, op='mean')
    return value
