"""Read the files of FeatureDump: plain arrays by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
NEEDED = ('id', 'split', 'prediction', 'modalities', 'epoch')
SINGLE = ('modalities', 'classes', 'epoch', 'run', 'calibrator', 'sample_data', 'gate')


def load(path: Path) -> Arrays:
    """All arrays of one file.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not such a file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is not a file; FeatureDump writes features/epoch_<k>.npz')
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f'{path} cannot be read as .npz: {error}') from None
    if absent := [name for name in NEEDED if name not in arrays]:
        raise ValueError(f'{path} has no {absent}; FeatureDump writes {list(NEEDED)} and more')
    return arrays


def epochs(work_dir: Path) -> dict[int, Path]:
    """The dumps of a run by epoch, in order.

    Raises:
        FileNotFoundError: the folder is not there, or has none.
    """
    if not work_dir.is_dir():
        raise FileNotFoundError(f'{work_dir} is neither a file of FeatureDump nor a work dir')
    found = {int(p.stem.removeprefix('epoch_')): p for p in work_dir.glob('features/epoch_*.npz')}
    if not found:
        raise FileNotFoundError(
            f'{work_dir} has no features/epoch_<k>.npz; the hook FeatureDump writes them'
        )
    return dict(sorted(found.items()))


def select(arrays: Arrays, split: str) -> Arrays:
    """What belongs to the samples of one split; the first samples, which are whole, too."""
    rows = arrays['split'] == split
    kept = {}
    for name, array in arrays.items():
        if name in SINGLE or name.startswith('whole/kind/'):
            kept[name] = array
        elif name.startswith('whole/'):
            kept[name] = array[rows[: len(array)]]
        else:
            kept[name] = array[rows]
    return kept


def group(arrays: Arrays, prefix: str) -> Arrays:
    """What is named `<prefix>/<modality>`, by modality, in the order of modalities."""
    names = {str(m): f'{prefix}/{m}' for m in arrays['modalities']}
    return {m: arrays[name] for m, name in names.items() if name in arrays}


def evidence(arrays: Arrays) -> dict[str, Arrays]:
    """Every evidence by name and modality."""
    names = dict.fromkeys(name.split('/')[1] for name in arrays if name.startswith('evidence/'))
    return {name: group(arrays, f'evidence/{name}') for name in names}


def scalars(arrays: Arrays) -> dict[str, Arrays]:
    """One number per sample and modality: evidence, its mean and spread over features, suppression.

    The spread is a standard deviation over the features, or channels, within a sample, as in
    arXiv:2606.02679, Table 4.
    """
    found: dict[str, Arrays] = {}
    for name, by_modality in evidence(arrays).items():
        flat = {m: v.reshape(len(v), -1) for m, v in by_modality.items()}
        found[name] = {m: v.mean(axis=1) for m, v in flat.items()}
        if any(v.shape[1] > 1 for v in flat.values()):
            found[f'{name} spread'] = {m: v.std(axis=1) for m, v in flat.items()}
    if lost := group(arrays, 'suppression'):
        found['suppression'] = lost
    return found


def classes_of(arrays: Arrays) -> tuple[np.ndarray | None, list[str]]:
    """Class numbers (n,) and the classes' names; None if the target is no single class."""
    target = arrays.get('target')
    if target is None or target.ndim != 1 or target.dtype.kind not in 'iu':
        return None, []
    names = [str(name) for name in arrays.get('classes', [])]
    names += [str(k) for k in range(len(names), int(target.max(initial=-1)) + 1)]
    return target, names


def stack(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of one kind as one array; the smaller ones are padded, numbers with NaN, bytes with 0.

    Raises:
        ValueError: they differ in their number of axes.
    """
    shapes = {part.shape for part in parts}
    if len(shapes) == 1:
        return np.stack(parts)
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f'arrays to pad need equally many axes; given are {sorted(shapes)}')
    largest = tuple(max(sides) for sides in zip(*shapes, strict=True))
    fill = np.nan if parts[0].dtype.kind == 'f' else 0
    whole = np.full((len(parts), *largest), fill, parts[0].dtype)
    for place, part in zip(whole, parts, strict=True):
        place[tuple(slice(side) for side in part.shape)] = part
    return whole
