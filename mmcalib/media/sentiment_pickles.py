"""The feature files of CMU-MOSI and CMU-MOSEI that people have, in four layouts.

Axes: N utterances, T steps, D width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmcalib.media import MediaError
from mmcalib.media.mapped_pickle import is_mapped, load_mapped
from mmcalib.media.pickles import load
from mmcalib.media.word_pieces import WordPieces

MODALITIES = ('text', 'audio', 'vision')
KEYS = {'train': ('train',), 'val': ('valid', 'val', 'dev'), 'test': ('test',)}
LABELS = {'MMSA': 'regression_labels', 'MulT': 'labels'}
SUBFOLDERS = ('.', 'Processed', '{name}', '{name}/Processed')
SEPARATOR = '$_$'  # of MMSA's ids, between video and clip

Arrays = Sequence[np.ndarray] | np.ndarray  # N of them


class Split(NamedTuple):
    """The utterances of one split."""

    layout: str  # 'MulT', of which MultiBench's files are, 'MMSA' or 'MAG-BERT'
    ids: list[str]
    scores: np.ndarray  # (N,), NaN where there is none
    sequences: dict[str, Arrays]  # per modality N arrays (T, D), or ids (T,)
    lengths: dict[str, np.ndarray]  # (N,) real steps, of the modalities of which the file tells
    aligned: bool  # step t is the same moment in every modality


class Want(NamedTuple):
    """What to read of a split."""

    modalities: tuple[str, ...]
    text: str  # 'features' or 'ids'
    vocab: str | None
    length: int | None  # of text, when it is made of words


def find(root: str | Path, name: str, files: Sequence[str]) -> Path:
    """A data set's file: `root`, or the one in it with a usual name. A cache is found as it is.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several.
    """
    root = Path(root)
    if root.is_file() or is_mapped(root):
        return root
    folders = [(root / sub.format(name=name)).resolve() for sub in SUBFOLDERS]
    found = [folder / file for folder in folders for file in files if (folder / file).is_file()]
    if len(found) == 1:
        return found[0]
    text = f'{name}(root={str(root)!r}) needs a file, or a folder with one of {", ".join(files)}'
    if found:
        raise ValueError(f'{text}, but there are {len(found)}: {", ".join(map(str, found))}')
    has = sorted(path.name for path in root.iterdir())[:10] if root.is_dir() else None
    what = 'it does not exist' if has is None else f'it has {has or "nothing"}'
    raise FileNotFoundError(f'{text}, itself or its Processed/, but {what}')


def open_splits(path: Path) -> dict[str, Any]:
    """What a file has of 'train', 'val' and 'test', whatever it calls them."""
    data = load_mapped(path) if path.is_dir() else load(path)
    if not isinstance(data, Mapping):
        raise MediaError(
            f'{path}: asked for a dict with train, valid and test, but it is a '
            f'{type(data).__name__}'
        )
    parts = {split: [data[k] for k in keys if k in data] for split, keys in KEYS.items()}
    if not any(parts.values()):
        raise MediaError(f'{path}: asked for train, valid and test, but it has {_names(data)}')
    return {split: some[0] for split, some in parts.items() if some}


def read_split(path: Path, parts: Mapping[str, Any], split: str, want: Want) -> Split:
    """One split, in whichever layout it is.

    Raises:
        MediaError: the split or a part of it is not there, or has another shape.
    """
    where = f'{path}, {split}'
    if split not in parts:
        raise MediaError(f'{where}: asked for {" or ".join(KEYS[split])}; there is {list(parts)}')
    part = parts[split]
    if isinstance(part, Mapping):
        return _read_arrays(where, part, split, want)
    if isinstance(part, list | tuple):
        return _read_list(where, part, want)
    raise MediaError(f'{where}: {type(part).__name__} is no layout; a dict or a list is')


def read_ids(part: Any, split: str) -> list[str]:
    """The ids of a split, made up where there are none."""
    if isinstance(part, Mapping):
        if part.get('id') is not None:
            return [_id(row) for row in np.atleast_1d(part['id'])]
        counts = [len(np.atleast_1d(part[key])) for key in LABELS.values() if key in part]
        return [f'{split}_{i}' for i in range(max(counts, default=0))]
    entries = part if isinstance(part, list | tuple) else ()
    return [_id(entry[-1]) for entry in entries if isinstance(entry, list | tuple) and entry]


def video(utterance: str) -> str:
    """The video of an utterance: 'a' of 'a$_$3' and of 'a[3]'."""
    return utterance.split(SEPARATOR)[0].split('[')[0]


def _read_arrays(where: str, part: Mapping[str, Any], split: str, want: Want) -> Split:
    layout = next((name for name, key in LABELS.items() if key in part), None)
    if layout is None:
        raise MediaError(f'{where}: asked for {" or ".join(LABELS.values())}; has {_names(part)}')
    keys = {m: m for m in MODALITIES}
    if want.text == 'ids':
        keys['text'] = 'text_bert'
    needed = [keys[m] for m in want.modalities]
    if absent := [key for key in needed if key not in part]:
        raise MediaError(f'{where}: asked for {", ".join(absent)}, but has {_names(part)}')
    ids = read_ids(part, split)
    scores = _scores(f'{where}, {LABELS[layout]}', part[LABELS[layout]])
    lengths = {m: part[f'{m}_lengths'] for m in want.modalities if f'{m}_lengths' in part}
    sequences: dict[str, Arrays] = {
        m: _sequences(f'{where}, {m}', part[m]) for m in want.modalities if keys[m] == m
    }
    lengths = {m: _counts(f'{where}, {m}_lengths', values) for m, values in lengths.items()}
    if 'text' in want.modalities and 'text_bert' in part:
        ids_of_text, lengths['text'] = _encoded(f'{where}, text_bert', part['text_bert'])
        if want.text == 'ids':
            sequences['text'] = ids_of_text
    counts = {'ids': len(ids), **{m: len(s) for m, s in sequences.items()}}
    counts |= {f'{m}_lengths': len(values) for m, values in lengths.items()}
    if set(counts.values()) != {len(scores)}:
        raise MediaError(f'{where}: {len(scores)} labels need as many of each, but has {counts}')
    steps = {_steps(part[m]) for m in MODALITIES if m in part}
    steps |= {x.shape[1] for x in sequences.values() if isinstance(x, np.ndarray)}
    return Split(layout, ids, scores, sequences, lengths, len(steps) == 1)


def _read_list(where: str, part: Sequence[Any], want: Want) -> Split:
    pieces = None
    if want.text == 'ids' and 'text' in want.modalities:
        if want.vocab is None:
            raise MediaError(f"{where}: has words; text='ids' needs vocab, the model's vocab.txt")
        pieces = WordPieces(want.vocab)
    rows, scores, ids = [], [], []
    for index, entry in enumerate(part):
        here = f'{where}, entry {index}'
        try:
            (words, vision, audio), score, segment = entry
        except (TypeError, ValueError):
            raise MediaError(
                f'{here}: is not ((words, visual, acoustic), label, segment)'
            ) from None
        ids.append(_id(segment))
        scores.append(_scores(f'{here}, label', np.reshape(np.asarray(score), (1, -1)))[0])
        row = {'vision': _matrix(f'{here}, visual', vision)}
        row['audio'] = _matrix(f'{here}, acoustic', audio)
        lengths = {'words': len(words), **{m: len(x) for m, x in row.items()}}
        if len(set(lengths.values())) > 1:
            raise MediaError(f'{here} ({ids[-1]}): needs as many of each, but has {lengths}')
        if 'text' in want.modalities:
            row = _add_text(here, row, words, pieces, want.length)
        rows.append({m: row[m] for m in want.modalities})
    sequences: dict[str, Arrays] = {m: [r[m] for r in rows] for m in want.modalities}
    for m, arrays in sequences.items():
        _check_widths(f'{where}, {m}', arrays)
    texts = {'text': np.array([len(x) for x in sequences['text']], np.int64)} if pieces else {}
    return Split('MAG-BERT', ids, np.array(scores), sequences, texts, True)


def _add_text(
    here: str, row: dict[str, np.ndarray], words: Any, pieces: WordPieces | None, length: int | None
) -> dict[str, np.ndarray]:
    """Sound and face with text: features as they are, or the ids of words.

    The steps of a word are repeated for its pieces, and zero beside [CLS] and [SEP], as in MIM.
    """
    if pieces is None:
        if np.asarray(words).dtype.kind not in 'fiu' or np.ndim(words) != 2:
            raise MediaError(
                f"{here}: has words and no features of text; text='ids' with a vocab reads words"
            )
        return {**row, 'text': _matrix(f'{here}, words', words)}
    if not all(isinstance(word, str | bytes) for word in words):
        raise MediaError(f"{here}: text='ids' needs words, but has {words[:1]!r}")
    told = [(i, piece) for i, word in enumerate(words) for piece in pieces.ids(_id(word))]
    told = told[: None if length is None else max(length - 2, 0)]
    index = [i for i, _ in told]
    ids = np.array([pieces.first, *(piece for _, piece in told), pieces.last], np.int64)
    edges = ((1, 1), (0, 0))
    return {'text': ids, **{m: np.pad(x[index], edges) for m, x in row.items()}}


def _encoded(where: str, value: Any) -> tuple[np.ndarray, np.ndarray]:
    """BERT's input (N, 3, T): ids (N, T) and how many of them are real (N,)."""
    encoded = np.asarray(value)
    if encoded.ndim != 3 or encoded.shape[1] != 3 or encoded.dtype.kind not in 'fiu':
        raise MediaError(f'{where}: needs numbers (N, 3, T); has {encoded.shape} {encoded.dtype}')
    mask = encoded[:, 1] != 0
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise MediaError(f'{where}: needs real ids in front of padding, but a mask has a gap')
    return encoded[:, 0].astype(np.int64), mask.sum(axis=1)


def _counts(where: str, value: Any) -> np.ndarray:
    counts = np.asarray(value)
    if counts.dtype.kind not in 'fiu':
        raise MediaError(f'{where}: needs whole numbers (N,), has {counts.shape} {counts.dtype}')
    return np.nan_to_num(counts.reshape(-1), nan=-1.0).astype(np.int64)


def _sequences(where: str, value: Any) -> Arrays:
    """(N, T, D), or N arrays of different T."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.ndim != 3 or value.dtype.kind not in 'fiu':
            raise MediaError(f'{where}: needs numbers (N, T, D); has {value.shape} {value.dtype}')
        return _single(value)
    if not isinstance(value, list | tuple | np.ndarray):
        raise MediaError(f'{where}: needs arrays, but is a {type(value).__name__}')
    arrays = [_matrix(f'{where}, entry {i}', x) for i, x in enumerate(value)]
    _check_widths(where, arrays)
    return arrays


def _matrix(where: str, value: Any) -> np.ndarray:
    x = np.asarray(value)
    if x.ndim != 2 or x.dtype.kind not in 'fiu':
        raise MediaError(f'{where}: needs numbers (T, D), but has {x.shape} of {x.dtype}')
    return _single(x)


def _single(x: np.ndarray) -> np.ndarray:
    with np.errstate(over='ignore'):  # what float32 cannot hold counts as not finite
        return np.asarray(x).astype(np.float32, copy=False)


def _check_widths(where: str, arrays: Arrays) -> None:
    if len(widths := {x.shape[1:] for x in arrays}) > 1:
        raise MediaError(f'{where}: needs one width, but has {sorted(widths)}')


def _scores(where: str, value: Any) -> np.ndarray:
    labels = np.asarray(value)
    if labels.dtype.kind not in 'fiu' or labels.ndim < 1 or labels.size != len(labels):
        raise MediaError(
            f'{where}: needs one number per utterance, but has {labels.shape} of {labels.dtype}'
        )
    scores = labels.reshape(-1).astype(np.float64)
    if (np.abs(scores) > 3 + 1e-4).any():
        raise MediaError(
            f'{where}: a sentiment lies in [-3, 3], but they reach from '
            f'{np.nanmin(scores):g} to {np.nanmax(scores):g}'
        )
    return scores


def _steps(value: Any) -> int | tuple[int, ...]:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.shape[1]
    return tuple(len(x) for x in value)


def _id(entry: Any) -> str:
    """Text of text, bytes, or a row of them."""
    if isinstance(entry, bytes):
        return entry.decode('utf-8', errors='replace')
    if isinstance(entry, list | tuple | np.ndarray) and np.ndim(entry):
        return SEPARATOR.join(_id(part) for part in entry)
    return str(entry)


def _names(data: Mapping[Any, Any]) -> str:
    return ', '.join(sorted(map(str, data))[:20]) or 'nothing'
