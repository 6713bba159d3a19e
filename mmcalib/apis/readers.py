"""How each data set reads the modalities of its test split, one sample at a time."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmcalib.apis.reader import Reader
from mmcalib.contract import Signals
from mmcalib.datasets.manifest import Source
from mmcalib.media import MediaError
from mmcalib.media.files import Files
from mmcalib.media.spans import Scale, find_span
from mmcalib.media.utterances import signal, window
from mmcalib.registry import DATASETS, TRANSFORMS

KINDS = {'audio': 'audio', 'video': 'pictures', 'image': 'pictures'}  # by what Manifest reads
KINDS |= {'features': 'features', 'inline': 'features'}
OLD = 'The checkpoint is of an older version and does not tell'


class Readers(NamedTuple):
    """All modalities of a data set."""

    by_modality: dict[str, Reader]
    together: Callable[[Mapping[str, np.ndarray]], Signals] | None = None

    def signals(self, arrays: Mapping[str, np.ndarray]) -> tuple[Signals, dict[str, str]]:
        """What encoders see of one sample, and why some of it cannot be had."""
        if self.together is not None:
            return self.together(arrays), {}
        found, unreadable = {}, {}
        for modality, array in arrays.items():
            try:
                found[modality] = self.by_modality[modality].signal(array)
            except MediaError as error:
                unreadable[modality] = str(error)
        return found, unreadable


def readers(
    dataset: Mapping[str, Any], meta: Mapping[str, Any], modalities: Sequence[str]
) -> Readers:
    """The readers of a data set's test split.

    Args:
        dataset: its config, without what is around it.
        meta: what the training split said of itself.
        modalities: of the model, in order.

    Raises:
        ValueError: the data set does not have them.
    """
    build = BUILDERS.get(str(dataset.get('type')))
    if build is None:
        files = Files('.')
        return Readers({m: Reader(m, 'tokens', files) for m in modalities})
    signature = inspect.signature(DATASETS.get(dataset['type']))
    defaults = {
        name: p.default for name, p in signature.parameters.items() if p.default is not p.empty
    }
    given = {**defaults, **dataset}
    media = {k: v for k, v in dict(given.get('media') or {}).items() if k in ('fps', 'side')}
    return build(given, meta, Files('.', **media), modalities)


def _manifest(given: Any, meta: Any, files: Files, modalities: Sequence[str]) -> Readers:
    named = given['modalities']
    named = named if isinstance(named, Mapping) else {m: {} for m in named}
    _refuse_absent('Manifest', named, modalities)
    reads, shapes, found = meta.get('reads', {}), meta.get('shapes', {}), {}
    for m in modalities:
        source = Source(**{'column': m, **named[m]})
        read = source.read or reads.get(m)
        if read is None:
            raise ValueError(f'{OLD} how {m} was read, and the config has no read=... of it')
        features = read in ('features', 'inline') and m in shapes
        found[m] = Reader(
            m,
            KINDS[read],
            Files('.') if read == 'image' else files,  # media.side is of videos
            _built(source.transforms),
            source.frames,
            source.rate_hz,
            source.key,
            width=tuple(shapes[m][1:]) if features else None,
        )
    return Readers(found)


def _recordings(given: Any, meta: Any, files: Files, modalities: Sequence[str]) -> Readers:
    """Of AVE, CREMA-D and Kinetics-Sounds."""
    name = given['type']
    _refuse_absent(name, ('audio', 'visual'), modalities)
    if 'bank' not in meta and meta.get('layout') not in ('official', 'raw'):
        layout = f'the layout {meta.get("layout")!r} of {name}'
        raise ValueError(f'{OLD} whether {layout} was read as sound or as stored spectrograms')
    bank = meta.get('bank')
    stored = given.get('spectrogram', given.get('fbank', ()))
    visual = Reader('visual', 'pictures', files, _built(given['visual']), given['frames'])
    audio = Reader(
        'audio',
        'spectrogram' if bank else 'audio',
        files,
        _built(stored if bank else given['audio']),
        rate_hz=given['rate_hz'],
        shape=tuple(bank) if bank else None,
    )
    return Readers({m: {'audio': audio, 'visual': visual}[m] for m in modalities})


def _ucf101(given: Any, meta: Any, files: Files, modalities: Sequence[str]) -> Readers:
    kinds, layout = {'rgb': 'pictures', 'flow': 'flow'}, str(meta.get('layout', ''))
    _refuse_absent('UCF101', kinds, modalities)
    flow = (given['flow_method'], given['flow_preset'])
    return Readers(
        {
            m: Reader(
                m, kinds[m], files, _built(given[m]), given['frames'], layout=layout, flow=flow
            )
            for m in modalities
        }
    )


def _ave_features(given: Any, meta: Any, files: Files, modalities: Sequence[str]) -> Readers:
    _refuse_absent('AVEFeatures', ('audio', 'visual'), modalities)

    def tokens(row: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        """(segments, D) or (segments, H, W, D) -> (L, D)."""
        if row.ndim == 4 and given['pool'] == 'mean':
            row = row.mean(axis=(1, 2))
        return row.reshape(-1, row.shape[-1])

    shapes = meta.get('shapes', {})
    return Readers(
        {
            m: Reader(
                m,
                'features',
                files,
                (tokens, *_built(given[m])),
                width=tuple(shapes[m][1:]) if m in shapes else None,
            )
            for m in modalities
        }
    )


def _utterances(given: Any, meta: Any, files: Files, modalities: Sequence[str]) -> Readers:
    """Of CMU-MOSI and CMU-MOSEI: which steps are real, and all modalities at once."""
    _refuse_absent(given['type'], meta.get('modalities', modalities), modalities)
    statistics, told = meta.get('statistics', {}), meta.get('told_lengths', ())
    scales = {
        m: Scale(np.array(s['mean']), np.array(s['std'])) for m, s in dict(statistics).items()
    }
    limits, shapes = dict(meta.get('length', {})), meta.get('shapes', {})

    def together(arrays: Mapping[str, np.ndarray]) -> Signals:
        spans = {m: find_span(x, len(x) if m in told else None) for m, x in arrays.items()}
        found = {}
        for m, x in arrays.items():
            if m in shapes and x.shape[1:] != tuple(shapes[m][1:]):
                raise ValueError(
                    f'{m}: its steps have the shape {x.shape[1:]}, but in training '
                    f'{tuple(shapes[m][1:])}'
                )
            steps = window(m, spans, bool(meta.get('aligned')), limits.get(m), given['keep'])
            found[m] = signal(x, spans[m], steps, scales.get(m))
        return found

    ids = given['text'] == 'ids'
    kinds = {m: 'ids' if ids and m == 'text' else 'features' for m in modalities}
    return Readers({m: Reader(m, kinds[m], files) for m in modalities}, together)


def _built(configs: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(TRANSFORMS.build(config) for config in configs)


def _refuse_absent(name: str, has: Any, modalities: Sequence[str]) -> None:
    if absent := [m for m in modalities if m not in has]:
        raise ValueError(
            f'The model encodes {list(modalities)}, but {name} reads {list(has)}: '
            f'{absent} is not there'
        )


BUILDERS: dict[str, Callable[..., Readers]] = {
    'Manifest': _manifest,
    'AVE': _recordings,
    'CREMAD': _recordings,
    'KineticsSounds': _recordings,
    'UCF101': _ucf101,
    'AVEFeatures': _ave_features,
    'MOSI': _utterances,
    'MOSEI': _utterances,
}
