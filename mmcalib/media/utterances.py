"""Utterances of a sentiment pickle as samples: which steps are real, clean numbers, targets."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmcalib.contract import Signal
from mmcalib.media import MediaError
from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.features import clean
from mmcalib.media.mapped_pickle import source_name
from mmcalib.media.sentiment_pickles import (
    MODALITIES,
    Split,
    Want,
    find,
    open_splits,
    read_ids,
    read_split,
    video,
)
from mmcalib.media.spans import Scale, Span, find_scale, find_span

CLASSES: dict[str, tuple[str, ...] | None] = {
    'regression': None,
    'has0': ('negative', 'non-negative'),
    'non0': ('negative', 'positive'),
    'positive': ('non-positive', 'positive'),
    'seven': ('-3', '-2', '-1', '0', '1', '2', '3'),
}
CHOICES: dict[str, tuple[str, ...]] = {
    'split': ('train', 'val', 'test'),
    'target': tuple(CLASSES),
    'text': ('features', 'bert', 'glove', 'ids'),
    'keep': ('first', 'last'),
    'on_error': ('missing', 'raise'),
}
TEXT_WIDTHS = {'bert': 768, 'glove': 300}


class Utterances:
    """The utterances of one split. What the arguments do is told by `mmcalib.datasets.mosi.MOSI`.

    Args:
        name: of the data set, for messages.
        files: its usual file names.
        most: how many utterances it has; a file with more is another data set's.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[str],
        most: int,
        root: str | Path,
        split: str,
        modalities: Sequence[str],
        target: str,
        text: str,
        vocab: str | None,
        length: int | Mapping[str, int] | None,
        keep: str,
        standardise: Sequence[str],
        on_error: str,
    ) -> None:
        given = dict(split=split, target=target, text=text, keep=keep, on_error=on_error)
        _check(name, given, modalities, standardise)
        self.modalities, self.keep, self.on_error = tuple(modalities), keep, on_error
        self.limits = _limits(name, length, self.modalities)
        path = find(root, name, files)
        parts = open_splits(path)
        ids = {s: read_ids(part, s) for s, part in parts.items()}
        if (total := sum(map(len, ids.values()))) > most:
            raise MediaError(f'{path}: has {total} utterances; {name} has {most} at most')
        kind = 'ids' if text == 'ids' else 'features'
        want = Want(self.modalities, kind, vocab, self.limits.get('text'))
        self.data = read_split(path, parts, split, want)
        self.spans = {m: _spans(self.data, m) for m in self.modalities}
        self.scales = self._scales(path, parts, split, want, standardise)
        self.used, self.targets = _targets(self.data.scores, target)
        if not len(self.used):
            raise MediaError(f'{path}, {split}: no utterance has a target {target!r}')
        self.ids = [self.data.ids[int(i)] for i in self.used]
        shapes = {m: self._shape(m) for m in self.modalities}
        _check_text(f'{path}, {split}', text, shapes)
        self.counts = self._count(ids, split)
        self._report(f'{name} {split} of {path}')
        self.metainfo = {
            **given,
            'modalities': self.modalities,
            'layout': self.data.layout,
            'file': source_name(path),
            'aligned': self.data.aligned,
            'length': dict(self.limits),
            'told_lengths': tuple(m for m in self.modalities if m in self.data.lengths),
            'shapes': shapes,
            'statistics': {
                m: {'mean': scale.mean.tolist(), 'std': scale.std.tolist()}
                for m, scale in self.scales.items()
            },
            'counts': self.counts,
        }
        if classes := CLASSES[target]:
            self.metainfo['classes'] = classes

    def __len__(self) -> int:
        return len(self.used)

    def __getitem__(self, position: int) -> dict[str, Any]:
        i = int(self.used[position])
        spans = {m: self.spans[m][i] for m in self.modalities}
        return {
            'inputs': {m: self._signal(m, i, spans) for m in self.modalities},
            'target': torch.tensor(self.targets[position]),
            'id': self.ids[position],
            'unreadable': {m: span.problem for m, span in spans.items() if span.problem},
        }

    def _signal(self, modality: str, i: int, spans: Mapping[str, Span]) -> Signal:
        steps = self._window(modality, spans)
        given, scale = self.data.sequences[modality][i], self.scales.get(modality)
        return signal(given, spans[modality], steps, scale)

    def _window(self, modality: str, spans: Mapping[str, Span]) -> tuple[int, int]:
        limit = self.limits.get(modality)
        return window(modality, spans, self.data.aligned, limit, self.keep)

    def _shape(self, modality: str) -> tuple[int, ...]:
        """The longest of a modality, and its width."""
        samples = zip(*self.spans.values(), strict=True)
        windows = [self._window(modality, dict(zip(self.spans, s, strict=True))) for s in samples]
        width = self.data.sequences[modality][0].shape[1:]
        return (max(stop - start for start, stop in windows), *width)

    def _scales(
        self,
        path: Path,
        parts: Mapping[str, Any],
        split: str,
        want: Want,
        standardise: Sequence[str],
    ) -> dict[str, Scale]:
        if not standardise:
            return {}
        train = self.data if split == 'train' else read_split(path, parts, 'train', want)
        return {m: find_scale(train.sequences[m], _spans(train, m)) for m in standardise}

    def _count(self, ids: Mapping[str, Sequence[str]], split: str) -> dict[str, int]:
        videos = {s: {video(name) for name in names} for s, names in ids.items()}
        others = set().union(*(names for s, names in videos.items() if s != split))
        counts = {
            'listed': len(self.data.ids),
            'no_score': int(np.isnan(self.data.scores).sum()),
            'used': len(self.used),
            'shared_videos': len(videos[split] & others),
        }
        for m, spans in self.spans.items():
            counts[f'missing_{m}'] = sum(span.stop == span.start for span in spans)
            counts[f'unreadable_{m}'] = sum(span.problem is not None for span in spans)
            counts[f'not_finite_{m}'] = sum(span.not_finite for span in spans)
        return counts

    def _report(self, where: str) -> None:
        """Say in one warning what is not as it should be; refuse if it is most of the file."""
        counts, notes = self.counts, []
        if counts['no_score']:
            notes.append(f'{counts["no_score"]} utterances have no score and are left out')
        if counts['shared_videos']:
            notes.append(f'{counts["shared_videos"]} videos are also in another split')
        for m, spans in self.spans.items():
            if n := counts[f'not_finite_{m}']:
                notes.append(f'{n} numbers of {m} are not finite and count as nothing')
            if not (n := counts[f'unreadable_{m}']):
                continue
            first = next(i for i, span in enumerate(spans) if span.problem)
            why = f'first {self.data.ids[first]}: {spans[first].problem}'
            notes.append(f'{m} of {n} utterances cannot be read and is missing, {why}')
            if self.on_error == 'raise' or 2 * n > len(spans):
                raise MediaError(f'{where}: {m} of {n} of {len(spans)} is not readable, {why}')
        if notes:
            text = f'{where}: {"; ".join(notes)}; {len(self)} of {counts["listed"]} are used'
            print_log(text, logger='current', level=logging.WARNING)


def window(
    modality: str, spans: Mapping[str, Span], aligned: bool, limit: int | None, keep: str
) -> tuple[int, int]:
    """The steps that a sample shows: of aligned sequences the same of every modality."""
    shown = spans.values() if aligned else [spans[modality]]
    real = [span for span in shown if span.stop > span.start]
    if not real:
        return 0, 1
    start, stop = min(span.start for span in real), max(span.stop for span in real)
    length = min(limit or stop - start, stop - start)
    return (start, start + length) if keep == 'first' else (stop - length, stop)


def signal(
    sequence: np.ndarray, span: Span, steps: tuple[int, int], scale: Scale | None = None
) -> Signal:
    """These steps of a sequence (T, D) or (T,); the mask is True within the span."""
    start, stop = steps
    given = sequence[start:stop]
    x = np.zeros((stop - start, *given.shape[1:]), given.dtype)
    x[: len(given)] = given
    places = np.arange(start, stop)
    mask = (places >= span.start) & (places < span.stop)
    if x.ndim > 1:
        scale = scale or Scale(np.zeros(1), np.ones(1))
        x = clean((x - scale.mean) / scale.std).features.astype(np.float32)
    x[~mask] = 0
    return Signal(torch.from_numpy(x), torch.from_numpy(mask))


def _check(
    name: str, given: Mapping[str, str], modalities: Sequence[str], standardise: Sequence[str]
) -> None:
    check_choices(name, given, CHOICES)
    check_modalities(name, modalities, MODALITIES)
    scalable = [m for m in modalities if (m, given['text']) != ('text', 'ids')]
    if not set(standardise) <= set(scalable):
        raise ValueError(f'{name}(standardise={standardise}); possible are {scalable}')


def _limits(
    name: str, length: int | Mapping[str, int] | None, modalities: Sequence[str]
) -> dict[str, int]:
    if length is None:
        return {}
    limits = dict(length) if isinstance(length, Mapping) else dict.fromkeys(modalities, length)
    if not set(limits) <= set(modalities) or any(limit < 1 for limit in limits.values()):
        raise ValueError(f'{name}(length={length}); at least 1, of {list(modalities)}')
    return limits


def _check_text(where: str, text: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    wanted = TEXT_WIDTHS.get(text)
    if wanted and 'text' in shapes and shapes['text'][1] != wanted:
        raise MediaError(
            f'{where}: text={text!r} has width {wanted}, but here it is {shapes["text"][1]}'
        )


def _spans(data: Split, modality: str) -> list[Span]:
    arrays, lengths = data.sequences[modality], data.lengths.get(modality)
    return [
        find_span(x, None if lengths is None else int(lengths[i])) for i, x in enumerate(arrays)
    ]


def _targets(scores: np.ndarray, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Which utterances have a target, and the targets of these."""
    used = ~np.isnan(scores) & ((scores != 0) | (target != 'non0'))
    y = scores[used]
    if target == 'regression':
        return np.flatnonzero(used), y.astype(np.float32)
    if target == 'seven':
        return np.flatnonzero(used), np.round(np.clip(y, -3, 3)).astype(np.int64) + 3
    return np.flatnonzero(used), (y >= 0 if target == 'has0' else y > 0).astype(np.int64)
