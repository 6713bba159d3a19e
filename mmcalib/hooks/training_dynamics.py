"""TrainingDynamics: see how each modality learns, and change nothing."""

import logging
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from math import isfinite
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.visualization import TensorboardVisBackend

from mmcalib.dynamics.fixed_samples import Batch, FixedSamples, batches
from mmcalib.dynamics.gradient_tap import GradientTap, gradient_norms
from mmcalib.dynamics.measures import shapley, sign_changes, spearman, subsets
from mmcalib.dynamics.questions import coupling, observe, worth
from mmcalib.engine.balancing import Balancing, unwrap
from mmcalib.engine.observe import unmoved
from mmcalib.registry import HOOKS

LOWER_IS_BETTER = {'mae', 'mse', 'rmse', 'error', 'loss'}
NUMBERS = 100_000  # of one histogram
MIB = 2**20


@HOOKS.register_module()
class TrainingDynamics(Hook):
    """Log losses, gradient norms, coupling, contributions and evidence; docs/dynamics.md has all.

    It observes: weights, gradients, running statistics and random numbers are what they would be
    without it. Measurements use a few validation samples, the same in every epoch, as the encoders
    see them during validation, in evaluation mode and float32. Rank 0 measures the samples of all
    processes, and writes. A run without validation logs what training alone shows.

    Args:
        interval: iterations between two gradient norms, 1 or more.
        samples: validation samples that are measured, 1 or more; None takes all.
        batch_size: of them; a coupling is measured per batch, 1 or more.
        every: epochs between two measurements, 1 or more.
        shapley_every: epochs between two Shapley values, of those that are measured, 1 or more; the
            last epoch has them too.
        metric: that modalities contribute to, a name that the validation's metrics give; None takes
            the first. An error counts negative, so that a contribution is always a gain.
        seed: of the choice of samples.

    Raises:
        ValueError: an argument out of range; a metric that validation does not give.
    """

    # After the metrics are known, and while EMAHook still has its averaged weights in the model.
    priority = 'ABOVE_NORMAL'

    def __init__(
        self,
        interval: int = 10,
        samples: int | None = 64,
        batch_size: int = 16,
        every: int = 1,
        shapley_every: int = 5,
        metric: str | None = None,
        seed: int = 0,
    ) -> None:
        least = (interval, 1 if samples is None else samples, batch_size, every, shapley_every)
        if min(least) < 1:
            raise ValueError(
                f'TrainingDynamics(interval={interval}, samples={samples}, '
                f'batch_size={batch_size}, every={every}, shapley_every={shapley_every}); '
                'all are 1 or more, and samples may be None'
            )
        self.interval, self.batch_size, self.every = interval, batch_size, every
        self.shapley_every, self.metric = shapley_every, metric
        self.fixed = FixedSamples(samples, seed)
        self.couplings: dict[str, dict[int, float]] = {}  # name -> epoch -> mean over batches
        self.sums: dict[str, Any] = {}  # of this epoch of training
        self.val_sums: list[Any] = [0.0, 0]
        self.tap: GradientTap | None = None
        self.due, self.training, self.started, self.items = False, False, 0.0, 0

    def before_train(self, runner: Any) -> None:
        """Tap the encoders and the optimiser."""
        self.training = True
        self.fixed.attach(unwrap(runner.model).encoders)
        if hasattr(runner.optim_wrapper, 'optimizer'):  # several optimisers step on their own
            self.tap = GradientTap(runner.optim_wrapper, lambda: self._see_gradients(runner))

    def after_run(self, runner: Any) -> None:
        """Leave model and optimiser as they were."""
        self.fixed.detach()
        if self.tap:
            self.tap.remove()
        self.training, self.tap = False, None

    def before_train_epoch(self, runner: Any) -> None:
        """Start the clock."""
        self.started, self.items = time.perf_counter(), 0

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Is it time for gradient norms?"""
        if self.tap and runner.iter % self.interval == 0:
            self.tap.due = True

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Add up losses and what is missing."""
        self._add('steps', 1)
        for name in ('loss', 'loss_task'):
            if outputs and name in outputs:
                self._add(name, torch.as_tensor(outputs[name]).detach().double())
        inputs = data_batch['inputs'] if data_batch else {}
        for m, signal in inputs.items():
            self._add(f'missing_{m}', int((~signal.present).sum()))
        count = len(next(iter(inputs.values())).mask) if inputs else 0
        self.items += count
        self._add('items', count)

    def after_train_epoch(self, runner: Any) -> None:
        """Write what training alone shows."""
        seconds = time.perf_counter() - self.started
        names = [*self.sums, 'speed']
        rows = [float(value) for value in (*self.sums.values(), self.items / seconds)]
        total = torch.tensor(rows, dtype=torch.float64, device=_device(runner))
        all_reduce(total)
        sums = dict(zip(names, total.tolist(), strict=True))
        self.sums = {}
        values = {f'missing/{n[8:]}': v for n, v in sums.items() if n.startswith('missing_')}
        values = {name: value / max(sums['items'], 1) for name, value in values.items()}
        for name, tag in {'loss': 'loss/train', 'loss_task': 'loss/train_task'}.items():
            if name in sums:
                values[tag] = sums[name] / sums['steps']
        values |= {'system/items_per_s': sums['speed'], **_memory()}
        self._write(runner, values, runner.epoch + 1)

    def before_val_epoch(self, runner: Any) -> None:
        """Is this epoch to be measured?"""
        self.val_sums = [0.0, 0]
        self.due = self.training and runner.epoch % self.every == 0
        self.fixed.begin(len(runner.val_dataloader.dataset) if self.due else 0)

    def before_val_iter(
        self, runner: Any, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Watch the encoders."""
        if self.due:
            self.fixed.watch()

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add up the loss of all samples, and keep the chosen ones."""
        if not self.training or not outputs or 'target' not in outputs[0]:
            return
        places, length = self.fixed.take(outputs), len(runner.val_dataloader.dataset)
        count = sum(place < length for place in places)  # the others repeat the first samples
        prediction, target = (
            torch.stack([row[key] for row in outputs]) for key in ('prediction', 'target')
        )
        loss = unwrap(runner.model).head.loss(prediction.float(), target)
        self.val_sums[0] = self.val_sums[0] + loss[:count].double().sum()
        self.val_sums[1] += count

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Write the validation loss, and measure if it is time."""
        if not self.training:
            return
        rows = [float(value) for value in self.val_sums]
        total = torch.tensor(rows, dtype=torch.float64, device=_device(runner))
        all_reduce(total)
        if total[1]:
            self._write(runner, {'loss/val': float(total[0] / total[1])}, runner.epoch)
        if not self.due:
            return
        start, samples = time.perf_counter(), self.fixed.gather()
        if runner.rank == 0 and samples:
            model = unwrap(runner.model)
            # In evaluation mode, in which cuDNN refuses the gradient of a recurrent layer.
            with unmoved(), torch.backends.cudnn.flags(enabled=False):
                self._measure(runner, model, batches(samples, self.batch_size, _device(runner)))
        self._write(runner, {'system/dynamics_s': time.perf_counter() - start}, runner.epoch)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run cannot measure again."""
        checkpoint['training_dynamics'] = {
            'couplings': {name: dict(series) for name, series in self.couplings.items()},
            'sums': {name: float(value) for name, value in self.sums.items()},
        }

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Take it back on resume; a run that starts from weights has none."""
        if getattr(runner, '_resume', True) and 'training_dynamics' in checkpoint:
            state = checkpoint['training_dynamics']
            self.couplings, self.sums = state['couplings'], dict(state['sums'])

    def _add(self, name: str, value: Any) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value

    def _see_gradients(self, runner: Any) -> None:
        if runner.rank or self.tap is None:
            return
        norms = gradient_norms(unwrap(runner.model), self.tap.scale)
        values = {f'grad_norm/{part}': value for part, value in norms.items()}
        rate = runner.optim_wrapper.optimizer.param_groups[0]['lr']
        self._write(runner, {**values, 'system/learning_rate': rate}, runner.iter + 1)

    def _measure(self, runner: Any, model: Any, given: list[Batch]) -> None:
        epoch, names = runner.epoch, list(model.encoders)
        values = self._coupling(coupling(model, given), epoch)
        values |= self._contribution(runner, model, given, names)
        seen = observe(model, given)
        values |= {f'loss_increase/{m}': _mean(rise) for m, rise in seen.impact.items()}
        histograms = {}
        for name, parts in seen.evidence.items():
            for m, one in parts.items():
                tag, means = f'evidence/{name}/{m}', one.means
                values |= {f'{tag}/mean': _mean(means), f'{tag}/spread': _mean(one.spreads)}
                values[f'{tag}/std'] = float(means.std(ddof=1)) if len(means) > 1 else np.nan
                values[f'spearman/{name}/{m}'] = spearman(means, seen.impact[m])
                if len(means):
                    histograms[tag] = np.concatenate(one.numbers)
        self._write(runner, values, epoch)
        _draw(runner, histograms, epoch)

    def _coupling(self, cosines: Mapping[str, list[float]], epoch: int) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, series in cosines.items():
            if not series:
                continue
            past = self.couplings.setdefault(name, {})
            past[epoch] = float(np.mean(series))
            means = [past[e] for e in sorted(past)]
            values |= {
                f'coupling/{name}': past[epoch],
                f'coupling_variance_batches/{name}': float(np.var(series)),
                f'coupling_variance_epochs/{name}': float(np.var(means)),
                f'coupling_sign_changes_batches/{name}': sign_changes(series),
                f'coupling_sign_changes_epochs/{name}': sign_changes(means),
            }
        return values

    def _contribution(
        self, runner: Any, model: Any, given: list[Batch], names: Sequence[str]
    ) -> dict[str, float]:
        every, full = list(subsets(names)), frozenset(names)
        whole = runner.epoch % self.shapley_every == 0 or runner.epoch == runner.max_epochs
        edge = (0, 1, len(names) - 1, len(names))
        wanted = [s for s in every if whole or len(s) in edge]
        balancing = [hook for hook in runner.hooks if isinstance(hook, Balancing)]

        def replace(signals: Any) -> Any:
            return balancing[0].predictions(model, signals) if balancing else None

        with _quiet(runner.logger):
            scores = worth(lambda told: self._score(runner, told), model, given, wanted, replace)
        values = {'score/all': scores[full], 'score/none': scores[frozenset()]}
        for m in names:
            values[f'score/only_{m}'] = scores[frozenset({m})]
            values[f'score/without_{m}'] = scores[full - {m}]
            values[f'contribution/{m}'] = scores[full] - scores[full - {m}]
        if whole:
            values |= {f'shapley/{m}': value for m, value in shapley(scores, names).items()}
        return values

    def _score(self, runner: Any, told: list[dict[str, Any]]) -> float:
        found: dict[str, float] = {}
        for metric in runner.val_loop.evaluator.metrics[: None if self.metric else 1]:
            own = copy(metric)
            own.results = []
            own.process({}, told)
            found |= own.compute_metrics(own.results)
        name = self.metric or next(iter(found))
        if name not in found:
            raise ValueError(
                f'TrainingDynamics(metric={name!r}), but validation gives {sorted(found)}'
            )
        return -found[name] if name.lower() in LOWER_IS_BETTER else float(found[name])

    def _write(self, runner: Any, values: Mapping[str, float], step: int) -> None:
        finite = {name: float(value) for name, value in values.items() if isfinite(value)}
        if runner.rank == 0 and finite:
            runner.visualizer.add_scalars(finite, step)


def _draw(runner: Any, histograms: Mapping[str, np.ndarray], step: int) -> None:
    """Histograms go to TensorBoard, if the run has it."""
    for backend in runner.visualizer._vis_backends.values():
        if isinstance(backend, TensorboardVisBackend):
            for tag, numbers in histograms.items():
                every = -(-len(numbers) // NUMBERS)
                backend.experiment.add_histogram(tag, numbers[::every], step)


def _mean(values: Iterable[float]) -> float:
    """NaN of nothing, without a warning."""
    given = list(values)
    return float(np.mean(given)) if given else np.nan


def _memory() -> dict[str, float]:
    """Peaks of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == 'darwin' else 1024
    memory = {'system/memory_mib': peak * unit / MIB}
    if torch.cuda.is_available():
        memory['system/cuda_memory_mib'] = torch.cuda.max_memory_allocated() / MIB
    return memory


def _device(runner: Any) -> torch.device:
    return next(runner.model.parameters()).device


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """No tables of metrics: they are asked many times."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
