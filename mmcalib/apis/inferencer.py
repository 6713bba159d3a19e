"""Inferencer: what a trained model says to files and arrays."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmcalib.apis import build, checkpoints
from mmcalib.apis.readers import BUILDERS, readers
from mmcalib.apis.result import Page, Result
from mmcalib.config import plain
from mmcalib.contract import Signal, Signals
from mmcalib.datasets.collate import collate
from mmcalib.engine.observe import Observed, gate_name, observe, pooled, whole_gates
from mmcalib.heads.localize import Localize
from mmcalib.heads.multi_label import MultiLabel
from mmcalib.media import MediaError
from mmcalib.media.table import SPAN, read_seconds
from mmcalib.plots.inputs import shown

ALSO = ('id', *SPAN)  # what a sample may say besides its modalities
ON_ERROR = ('raise', 'missing')


class Loaded(NamedTuple):
    """One sample, as encoders see it."""

    name: str
    signals: Signals  # of what is there
    unreadable: dict[str, str]


class Inferencer:
    """Predict on files, arrays and tensors, with any modality missing.

    Nothing that the checkpoint holds is run: weights are read as data, the config is plain Python,
    and its components are looked up among those that are registered.

    Args:
        checkpoint: a file of `publish`, a checkpoint of a run, or the folder of a finished run,
            whose best checkpoint is taken.
        device: 'cuda', 'cpu' or the like; None takes a GPU where there is one.
        trust_imports: import the modules that the config's `custom_imports` name.

    Raises:
        FileNotFoundError: no such checkpoint.
        pickle.UnpicklingError: the file holds code.
        ValueError: no checkpoint of mmcalib, a config that holds code, modules that are not
            trusted, weights or classes that do not fit the config, or no such device.
    """

    def __init__(
        self, checkpoint: str | Path, device: str | None = None, trust_imports: bool = False
    ) -> None:
        held = checkpoints.read(checkpoint)
        place = str(held.path)
        self.checkpoint, self.config, self.meta = held.path, held.config, held.meta
        build.use_imports(held.config, place, trust_imports)
        self.device = _device(device)
        self.model = build.build(held.config, place)
        _load(self.model, held.state, place)
        self.model.to(self.device)
        self.modalities = tuple(self.model.encoders)
        self.classes = _classes(self.model.head, held.data, place)
        loader = held.config.get('test_dataloader') or held.config.get('val_dataloader') or {}
        dataset = plain(loader.get('dataset') or {})
        if dataset.get('type') in BUILDERS:
            build.check_names(dataset, 'dataset', place)
        self.readers = readers(dataset, held.data, self.modalities)
        self.balancing = build.balancing(held.config, place)
        if self.balancing is not None:
            self.balancing.attach(self.model)

    def __repr__(self) -> str:
        given = ', '.join(f'{m}: {r.kind}' for m, r in self.readers.by_modality.items())
        return f'Inferencer({self.checkpoint.name}, {self.device}, {given})'

    def __call__(
        self,
        samples: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        /,
        *,
        batch_size: int = 32,
        on_error: str = 'raise',
        pictures: bool | None = None,
        **sample: Any,
    ) -> Any:
        """Predict one sample, `inferencer(audio='x.wav', visual='x.mp4')`, or a list of them.

        A value is a path, or an array or tensor as it is before the transforms: a waveform
        (samples,), pictures (frames, H, W, 3), features (L, D) or (D,). None, or none given, is a
        missing modality.

        Args:
            samples: dicts of modalities to values; `start_s` and `end_s` cut sound and video, `id`
                names the sample.
            batch_size: how many go through the model at once.
            on_error: of a file that cannot be read: 'raise', or 'missing' goes on without it, and
                the result's `unreadable` says why. A sample of which nothing is left has the
                prediction None.
            pictures: keep what `Result.draw` needs, about 0.5 MB each; None: of one sample only.
            sample: the modalities of one.

        Returns:
            A `Result`, or a list of them in the order of the samples.

        Raises:
            MediaError: a file cannot be read.
            ValueError: an unknown modality, an array of another kind, or nothing to predict on.
        """
        if on_error not in ON_ERROR or batch_size < 1:
            raise ValueError(
                f'on_error={on_error!r}, batch_size={batch_size}; possible are '
                f'{" and ".join(map(repr, ON_ERROR))}, and 1 or more'
            )
        if samples is not None and sample:
            raise ValueError(f'Samples were given, and {sorted(sample)} besides; one is possible')
        one = samples is None or isinstance(samples, Mapping)
        given = [sample if samples is None else samples] if one else list(samples or ())
        keep = one if pictures is None else pictures
        results = list(self._all(given, batch_size, on_error, keep, one))
        return results[0] if one else results

    def _all(
        self, given: Sequence[Any], batch_size: int, on_error: str, keep: bool, one: bool
    ) -> Iterator[Result]:
        for start in range(0, len(given), batch_size):
            batch = [
                self._sample(sample, '' if one else f'sample {start + k}', on_error)
                for k, sample in enumerate(given[start : start + batch_size])
            ]
            some = [loaded for loaded in batch if loaded.signals]
            done = iter(self._predict(some, keep) if some else ())
            for loaded in batch:
                yield next(done) if loaded.signals else self._nothing(loaded)

    def _sample(self, sample: Mapping[str, Any], name: str, on_error: str) -> Loaded:
        if not isinstance(sample, Mapping):
            raise ValueError(
                f'{name or "The sample"} is a {type(sample).__name__}; possible is a dict of '
                f'{list(self.modalities)} to paths or arrays'
            )
        name = str(sample.get('id') or name)
        where = f'{name}: ' if name else ''
        if unknown := [key for key in sample if key not in (*self.modalities, *ALSO)]:
            close = get_close_matches(str(unknown[0]), self.modalities, n=1, cutoff=0.5)
            hint = f', did you mean {close[0]!r}?' if close else ''
            raise ValueError(
                f'{where}there is no modality {unknown[0]!r}{hint} This model reads '
                f'{list(self.modalities)}; {", ".join(ALSO)} may be given too'
            )
        start_s, end_s = read_seconds({key: sample.get(key) for key in SPAN}, where)
        arrays: dict[str, np.ndarray] = {}
        unreadable: dict[str, str] = {}
        cut = False
        for modality in self.modalities:
            value = sample.get(modality)
            if value is None:
                continue
            try:
                raw = self.readers.by_modality[modality].read(value, start_s, end_s)
                arrays[modality], cut = raw.array, cut or raw.cut
            except MediaError as error:
                unreadable[modality] = str(error)
            except ValueError as error:
                raise ValueError(f'{where}{error}') from None
        if any(sample.get(key) is not None for key in SPAN) and not cut and not unreadable:
            raise ValueError(f'{where}start_s and end_s cut files of sound and video; none is here')
        signals, damaged = self.readers.signals(arrays)
        unreadable |= damaged
        signals = {m: s for m, s in signals.items() if s.mask.any()}
        if on_error == 'raise':
            for reason in unreadable.values():
                raise MediaError(f'{where}{reason}')
            if not signals:
                raise ValueError(
                    f'{where}all modalities are missing; needed is one or more of '
                    f'{list(self.modalities)}: '
                    + '; '.join(f'{m}: {r.possible()}' for m, r in self._by_modality())
                )
        return Loaded(name, signals, unreadable)

    def _by_modality(self) -> list[tuple[str, Any]]:
        return list(self.readers.by_modality.items())

    @torch.no_grad()
    def _predict(self, batch: Sequence[Loaded], keep: bool) -> Iterator[Result]:
        inputs = _collated(batch, self.modalities)
        inputs = self.model.data_preprocessor({'inputs': inputs}, False)['inputs']
        seen = observe(self.model, inputs)
        output = seen.prediction
        if self.balancing is not None:
            rows = self.model(inputs=inputs, mode='predict')
            output = torch.stack([row['prediction'] for row in rows])
        evidence = _evidence(seen, self.modalities)
        gates = whole_gates(seen, len(batch)) if keep else {}
        gate = gate_name(seen.calibration.evidence)
        output = output.float().cpu()
        for k, sample in enumerate(batch):
            here = {name: {m: of[m][k] for m in of} for name, of in evidence.items()}
            page = None
            if keep:
                page = self._page(sample, {m: g[k] for m, g in gates.items()}, gate)
            prediction, probability = self._words(output[k])
            none = dict.fromkeys(self.modalities)
            yield Result(
                prediction,
                probability,
                {**none, **here.get('value', {})},
                {**none, **here.get(gate, {})},
                tuple(m for m in self.modalities if m not in sample.signals),
                sample.unreadable,
                here,
                output[k].numpy(),
                sample.name,
                page,
            )

    def _words(self, output: Tensor) -> tuple[Any, Any]:
        """The prediction by name, and the probability of each class."""
        head = self.model.head
        if self.classes is None:
            return (output.item() if output.ndim == 0 else output.tolist()), None
        if isinstance(head, MultiLabel):
            named = dict(zip(self.classes, output.sigmoid().tolist(), strict=True))
            return [name for name, share in named.items() if share > 0.5], named
        named = dict(zip(self.classes, output.softmax(0).tolist(), strict=True))
        if isinstance(head, Localize):
            return [self.classes[k] for k in output.argmax(0).tolist()], named
        return self.classes[int(output.argmax())], named

    def _nothing(self, loaded: Loaded) -> Result:
        none = dict.fromkeys(self.modalities)
        lost = loaded.unreadable
        return Result(None, None, none, none, self.modalities, lost, {}, None, loaded.name, None)

    def _page(self, loaded: Loaded, gates: dict[str, np.ndarray], gate: str) -> Page:
        looks: dict[str, Any] = {}
        for modality, reader in self.readers.by_modality.items():
            if modality in loaded.signals:
                x, mask = loaded.signals[modality]
                looks[modality] = shown(x[mask].numpy(), reader.transforms)
            else:
                looks[modality] = loaded.unreadable.get(modality, 'missing')
        mark = 'SAMPLE DATA' if self.config.get('sample_data') else ''
        return Page(looks, gates, gate, mark)


def _collated(batch: Sequence[Loaded], modalities: Sequence[str]) -> Signals:
    """One batch; what a sample lacks is one token of zeros that is not real."""
    absent = {}
    for m in modalities:
        shape = next((s.signals[m].x.shape[1:] for s in batch if m in s.signals), (1,))
        like = next((s.signals[m].x.dtype for s in batch if m in s.signals), torch.float32)
        absent[m] = Signal(torch.zeros(1, *shape, dtype=like), torch.zeros(1, dtype=torch.bool))
    items = [
        {
            'inputs': {m: sample.signals.get(m, absent[m]) for m in modalities},
            'target': 0,
            'id': sample.name,
        }
        for sample in batch
    ]
    return collate(items)['inputs']


def _evidence(seen: Observed, modalities: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """Mean of each evidence per modality and sample; None where the modality is missing."""
    found: dict[str, dict[str, list[Any]]] = {}
    for key, rows in pooled(seen).items():
        kind, _, rest = key.partition('/')
        name, _, modality = rest.rpartition('/')
        if kind == 'evidence' and modality in modalities:
            means = rows.reshape(len(rows), -1).mean(axis=1).tolist()
            found.setdefault(name, {})[modality] = [None if v != v else v for v in means]
    return found


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name!r}; possible are 'cpu', 'cuda' and None") from None
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f"device={name!r}, but there is no GPU that torch can use; 'cpu' is")
    return device


def _load(model: Any, state: Mapping[str, Any], place: str) -> None:
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        why = ' '.join(lines) or str(error)
        text = f'{place}: its weights are not those of the model in its config'
        raise ValueError(f'{text}: {why}') from None


def _classes(head: Any, data: Mapping[str, Any], place: str) -> tuple[str, ...] | None:
    """The names of the head's classes; their numbers where the checkpoint does not tell; None."""
    if not hasattr(head, 'num_classes'):
        return None
    names = data.get('classes') or [str(k) for k in range(head.num_classes)]
    if len(names) != head.num_classes:
        raise ValueError(
            f'{place}: the head has num_classes={head.num_classes}, but the checkpoint names '
            f'{len(names)} classes, {list(names)[:3]} ...'
        )
    return tuple(map(str, names))
