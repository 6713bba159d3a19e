"""Make one file of a trained model that others can use: weights, and what they are."""

import io
import json
import re
import shlex
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
import torch

from mmcalib import __version__
from mmcalib.apis import build, checkpoints
from mmcalib.engine.atomic_backend import AtomicBackend
from mmcalib.engine.ordered_config import OrderedConfig

FORMAT = 1
LETTERS = 8  # of the sum in the file's name, as OpenMMLab has it
TOLD = (  # by test.json
    *('test', 'selection', 'data', 'seed', 'calibrator', 'balancing', 'options', 'tuned'),
    *('parameters', 'calibrator_parameters', 'epochs', 'sample_data', 'setting'),
)
PROVENANCE = ('command', 'commit', 'torch', 'device', 'config')
FOLDERS = ('root', 'cache', 'work_dir')  # of these nothing is left if they are not relative
NAMES = ('classes',)  # may look like paths, as '/m/09x0r' does
PATH = re.compile(r'(?:file://|(?<![\w./:\\~-])(?:~\w*/|/|[A-Za-z]:[\\/]|\\\\))[^\s\'"]+')


class Published(NamedTuple):
    """What `publish` made."""

    path: Path
    left_out: tuple[str, ...]  # what the run does not tell


def publish(source: str | Path, out: str | Path | None = None) -> Published:
    """Write weights, config, class names, metrics and provenance of a run into one file.

    The file holds tensors and plain Python only: `torch.load(path, weights_only=True)` reads it
    everywhere. Neither optimiser nor log history is in it. Where weights were averaged (EMA), those
    that were tested are published. Of absolute paths only the last part is left, and nothing of a
    data set's root, a cache or a work dir.

    Args:
        source: folder of a finished run, of which the checkpoint that test.json names is taken, or
            a checkpoint. Metrics are those of test.json beside it, if it names this checkpoint.
        out: `mine.pth` becomes `mine-1a2b3c4d.pth`, with the first letters of the file's sha256;
            None takes the name of the run, beside the checkpoint.

    Raises:
        FileNotFoundError: there is no such run or checkpoint.
        pickle.UnpicklingError: the checkpoint holds code.
        ValueError: it is no checkpoint of mmcalib, or holds what is not plain.
    """
    held = checkpoints.read(source)
    config = cleaned(with_files(held.config))
    build.check_names(config['model'], 'model', str(held.path))
    record, left_out = told(held)
    config = plain(config)
    text = OrderedConfig(config).pretty_text
    meta: dict[str, Any] = {
        **{key: held.meta[key] for key in ('epoch', 'iter', 'seed') if key in held.meta},
        'experiment_name': held.meta.get('experiment_name', ''),
        'cfg': text,
        'config': config,
        'classes': list(held.data.get('classes') or ()) or None,
        'modalities': list(config['model'].get('encoders', ())),
        'dataset_meta': cleaned(held.data),
        'published': {**cleaned(record), 'format': FORMAT, 'mmcalib': __version__},
    }
    state = {name: tensor(value, name) for name, value in held.state.items()}
    file = io.BytesIO()
    torch.save({'meta': plain(meta), 'state_dict': state}, file)
    given = Path(out).expanduser() if out is not None else held.path.parent
    if out is None or given.is_dir():
        given = given / f'{name_of(held)}.pth'
    if given.suffix != '.pth':
        raise ValueError(f'publish(out={str(out)!r}); a file .pth or a folder is possible')
    digest = sha256(file.getvalue()).hexdigest()[:LETTERS]
    path = given.with_name(f'{given.stem}-{digest}.pth')
    AtomicBackend().put(file.getvalue(), path)
    return Published(path, left_out)


def told(held: checkpoints.Held) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What test.json beside a checkpoint says of it, and what it does not say."""
    if 'published' in held.meta:
        before = dict(held.meta['published'])
        held_by = dict(before.get('provenance', {}))
        absent = [k for k in TOLD if k not in before] + [k for k in PROVENANCE if k not in held_by]
        return before, tuple(absent)
    folder = held.path.parent
    record = checkpoints.read_record(folder)
    if record:
        try:
            same = checkpoints.find(folder) == held.path
        except (ValueError, FileNotFoundError):
            same = False
        record = record if same else {}
    found = {key: record[key] for key in TOLD if key in record}
    found['provenance'] = {key: record[key] for key in PROVENANCE if key in record}
    found['provenance']['checkpoint'] = held.path.name
    return found, tuple(key for key in (*TOLD, *PROVENANCE) if key not in record)


def name_of(held: checkpoints.Held) -> str:
    """Of the run: as its experiment is called, else its folder."""
    given = held.config.get('experiment_name'), held.meta.get('experiment_name')
    return str(given[0] or given[1] or held.path.absolute().parent.name or 'model')


def with_files(value: Any) -> Any:
    """The same with what small files tell instead of their paths: settings, means.

    Raises:
        ValueError: such a file is not there.
    """
    if isinstance(value, list | tuple):
        return type(value)(with_files(v) for v in value)
    if not isinstance(value, Mapping):
        return value
    found = {key: with_files(v) for key, v in value.items()}
    if found.get('type') not in ('HuggingFace', 'Standardise') or not found.get('path'):
        return found
    path = Path(found.pop('path'))
    try:
        if found['type'] == 'Standardise':
            with np.load(path, allow_pickle=False) as held:
                return {**found, 'mean': held['mean'].tolist(), 'std': held['std'].tolist()}
        settings = json.loads((path / 'config.json').read_text())
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f'{found["type"]}(path={str(path)!r}) has to be told in a published file, but that '
            f'cannot be read: {error}'
        ) from None
    kept = {k: v for k, v in settings.items() if k not in build.CODE and k[0] != '_'}
    return {**found, 'config': kept}


def cleaned(value: Any, key: str = '') -> Any:
    """The same without absolute paths."""
    if key in NAMES:
        return value
    if isinstance(value, Mapping):
        return {k: cleaned(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(cleaned(v, key) for v in value)
    if not isinstance(value, str):
        return value
    if key == 'command':
        return shlex.join([_argument(part) for part in _split(value)])
    if '\n' not in value and _absolute(value):
        return '' if key.rpartition('.')[2] in FOLDERS else _last(value)
    return PATH.sub(lambda found: _last(found[0]), value)


def _argument(part: str) -> str:
    """One of a command line: a path, key=path, or neither."""
    head, sign, tail = part.partition('=')
    return f'{head}={cleaned(tail)}' if sign else str(cleaned(part))


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _absolute(text: str) -> bool:
    path = text.strip()
    if len(path) < 2:
        return False
    if path.startswith(('~', 'file:')) or PurePosixPath(path).is_absolute():
        return True
    return PureWindowsPath(path).is_absolute()


def _last(path: str) -> str:
    return re.split(r'[\\/]', path.strip().rstrip('\\/'))[-1].lstrip('~')


def plain(value: Any, place: str = '') -> Any:
    """The same of plain Python and tensors.

    Raises:
        ValueError: it holds something else.
    """
    if value is None:
        return None
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)  # also of NumPy's, and of torch's version
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return tensor(value, place)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {plain(k): plain(v, f'{place}.{k}') for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(v, f'{place}.{k}') for k, v in enumerate(value))
    if isinstance(value, list | set):
        return [plain(v, f'{place}.{k}') for k, v in enumerate(value)]
    if isinstance(value, Path):
        return value.name
    text = f'{place.strip(".")} is a {type(value).__name__}, {str(value)[:60]!r}'
    raise ValueError(f'{text}; a published file holds numbers, text, lists, dicts and tensors')


def tensor(value: Any, name: str) -> torch.Tensor:
    """On the CPU, with no more in memory than what it shows.

    Raises:
        ValueError: it is no tensor.
    """
    if not isinstance(value, torch.Tensor):
        raise ValueError(f'state_dict[{name!r}] is a {type(value).__name__}; a tensor is possible')
    return value.detach().cpu().clone()
