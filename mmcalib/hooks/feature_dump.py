"""FeatureDump: what the stages make of some samples, in one plain file per epoch, and pictures."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook

from mmcalib.contract import Draw
from mmcalib.engine.atomic_backend import AtomicBackend
from mmcalib.engine.balancing import unwrap
from mmcalib.engine.modulation import evaluating
from mmcalib.engine.observe import array, gate_name, observe, pooled, unmoved, whole_gates
from mmcalib.plots.atlas import atlas
from mmcalib.plots.dump import Arrays, select, stack
from mmcalib.plots.inputs import is_pictures, shown, thumbnail
from mmcalib.plots.projector import project
from mmcalib.plots.style import rgb
from mmcalib.registry import HOOKS

SPLITS = ('train', 'val', 'test')
PAGES = 2  # samples that are shown in TensorBoard beside their gates


@HOOKS.register_module()
class FeatureDump(Hook):
    """Write `<work_dir>/features/epoch_<k>.npz` before training (0), at an interval, at the end.

    The model is in evaluation mode, without gradients, in full precision, on the process of rank 0
    alone; weights, statistics, modes and random states are afterwards what they were. The file is
    read by plain numpy; docs/features.md says what it holds. `suppression` is the mean over real
    tokens and features of max(0, x - x * gate), with x the encoded signal: a difference to the
    calibrated signal would mix in the LayerNorm behind the gate, which has nothing to do with
    suppression and depends on the scale of the features. If a Chain's steps share a name, their
    gates are numbered, and there is no suppression.

    Batches are as large as the loader's; what is held is n samples per split, reduced.

    Args:
        interval: epochs between dumps; 0 writes the first and the last only.
        splits: of 'train', 'val' and 'test'; a split without a loader is left out. Samples of
            'train' are augmented as in epoch 0.
        n: samples per split at most, drawn once without replacement.
        whole: of how many samples, the first ones of the file, to keep the input and the gate of
            every token.
        seed: of the choice of samples.
        pictures: also draw the first split into the run's visualizer.
        projector: also write TensorBoard's embedding projector.

    Raises:
        ValueError: an unknown split, none, or a negative number.
    """

    priority = 'LOW'  # after ClassCheck, whose error says more

    def __init__(
        self,
        interval: int = 10,
        splits: Sequence[str] = ('val',),
        n: int = 512,
        whole: int = 8,
        seed: int = 0,
        pictures: bool = True,
        projector: bool = True,
    ) -> None:
        splits = (splits,) if isinstance(splits, str) else tuple(splits)
        if not splits or not set(splits) <= set(SPLITS):
            raise ValueError(f'FeatureDump(splits={splits}); possible are {SPLITS}')
        if interval < 0 or n < 1 or whole < 0:
            given = f'FeatureDump(interval={interval}, n={n}, whole={whole})'
            raise ValueError(f'{given}; possible are 0 or more, 1 or more, 0 or more')
        self.interval, self.splits, self.n, self.whole = interval, splits, n, whole
        self.seed, self.pictures, self.projector = seed, pictures, projector
        self.done = -1  # the epoch of the last dump

    def before_train(self, runner: Any) -> None:
        """Dump epoch 0; a resumed run has done so."""
        if runner.iter == 0:
            self.dump(runner)

    def after_epoch(self, runner: Any) -> None:
        """Dump at the interval; EpochLoop calls this once the epoch is validated."""
        if self.interval and runner.epoch % self.interval == 0:
            self.dump(runner)

    def after_train(self, runner: Any) -> None:
        """Dump the end, wherever training stopped."""
        if runner.epoch != self.done:
            self.dump(runner)

    def dump(self, runner: Any) -> None:
        """Write the file of this epoch and draw it."""
        self.done = runner.epoch
        # On all ranks: to build a loader, they have to meet.
        loops = {split: getattr(runner, f'{split}_loop') for split in self.splits}
        loaders = {s: loop.dataloader for s, loop in loops.items() if loop is not None}
        if runner.rank or not loaders:
            return
        model = unwrap(runner.model)
        with unmoved(), torch.no_grad(), evaluating(model):
            arrays = self.collect(model, loaders)
            arrays |= {name: np.array(fact) for name, fact in facts(runner).items()}
            write(arrays, Path(runner.work_dir, 'features', f'epoch_{runner.epoch}.npz'))
            backends = runner.visualizer._vis_backends.values()
            first = select(arrays, next(iter(loaders)))
            if self.pictures:
                for name, figure in atlas(first, pages=PAGES).items():
                    show(backends, name, rgb(figure), runner.epoch)
            for backend in backends if self.projector else ():
                if hasattr(writer := getattr(backend, 'experiment', None), 'add_embedding'):
                    project(writer, first, runner.epoch)

    def collect(self, model: Any, loaders: Mapping[str, Any]) -> Arrays:
        """The arrays of the file, by name; `model` is in evaluation mode."""
        rows: dict[str, list[Any]] = {}
        single: Arrays = {'modalities': np.array(list(model.encoders))}
        for split, loader in loaders.items():
            dataset, size = loader.dataset, loader.batch_size or 1
            transforms = within(dataset, 'transforms') or {}
            seed = getattr(loader.sampler, 'seed', None) or 0
            places = choose(len(dataset), self.n, self.seed)
            for start in range(0, len(places), size):
                chosen = places[start : start + size].tolist()
                batch = loader.collate_fn([dataset[Draw(place, 0, seed)] for place in chosen])
                whole = max(0, self.whole - len(rows.get('id', ())))
                found = {'split': [split] * len(chosen), 'sample': chosen}
                found |= self.describe(model, batch, transforms, whole, single)
                for name, part in found.items():
                    rows.setdefault(name, []).extend(part)
            classes = (within(dataset, 'metainfo') or {}).get('classes') or ()
            single['classes'] = np.array([str(name) for name in classes], dtype=str)
        return {
            name: stack([np.asarray(row) for row in part]) for name, part in rows.items()
        } | single

    def describe(
        self, model: Any, batch: Any, transforms: Mapping[str, Any], whole: int, single: Arrays
    ) -> dict[str, Any]:
        """Rows of one batch by name; what is the same for all samples goes into `single`."""
        looks: dict[str, Any] = {'id': [str(name) for name in batch['id']]}
        for m, signal in batch['inputs'].items():
            if m not in model.encoders:
                continue
            todo = transforms.get(m, ())
            real = [x[mask].numpy() for x, mask in zip(*signal, strict=True)]
            if whole:
                seen = zip(real[:whole], signal.x[:whole].numpy(), strict=True)
                views = [shown(r if len(r) else x, todo) for r, x in seen]
                looks[f'whole/input/{m}'] = [view.array for view in views]
                single[f'whole/kind/{m}'] = np.array(views[0].kind)
            if is_pictures(real[0]) and 'thumbnail' not in looks:
                looks['thumbnail'] = [thumbnail(r, todo) for r in real]
        batch = model.data_preprocessor(batch, False)
        stages = observe(model, batch['inputs'])
        single['gate'] = np.array(gate_name(stages.calibration.evidence))
        if batch.get('target') is not None:
            looks['target'] = array(batch['target'])
        gates = {f'whole/gate/{m}': rows for m, rows in whole_gates(stages, whole).items()}
        return {**looks, **pooled(stages), **(gates if whole else {})}


def choose(length: int, n: int, seed: int) -> np.ndarray:
    """At most n of `length` places, without replacement, in order."""
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(length, size=min(n, length), replace=False))


def within(dataset: Any, attribute: str) -> Any:
    """The attribute of a data set or of the first one inside that has it, else None."""
    while dataset is not None and not hasattr(dataset, attribute):
        dataset = getattr(dataset, 'dataset', None)
    return getattr(dataset, attribute, None)


def facts(runner: Any) -> dict[str, Any]:
    """What else is to be known of a dump."""
    calibrator = type(unwrap(runner.model).calibrator).__name__
    return {
        'epoch': runner.epoch,
        'run': str(runner.experiment_name),
        'calibrator': calibrator,
        'sample_data': bool(runner.cfg.get('sample_data', False)),
    }


def write(arrays: Arrays, path: Path) -> None:
    """The file, whole or not at all."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    AtomicBackend().put(file, path)


def show(backends: Iterable[Any], name: str, image: np.ndarray, epoch: int) -> None:
    """One picture (H, W, 3) uint8 to every backend."""
    for backend in backends:
        # The local one makes no folders: it would lose a picture whose name holds a slash.
        slash = '_' if type(backend).__name__ == 'LocalVisBackend' else '/'
        backend.add_image(f'features{slash}{name}', image, epoch)
