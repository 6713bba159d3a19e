"""Load checkpoints as data: a file that holds code is refused, on every version of torch.

torch 2.6 made `weights_only=True` its default, which mmengine 0.10.7 does not know: the log history
in its checkpoints stops resume, load_from and test. torch 2.4, 2.5 and every download still run
whatever a file holds. Here both kinds of path, local and http(s), load weights only.
"""

import codecs
import copyreg
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

_multiarray = getattr(np, '_core', None) or np.core  # numpy 2 renamed it
_DTYPES = {type(np.dtype(code)) for code in '?bhilqBHILQefdU'}

# What a log history and a metric are made of; none of these runs code that a file brings along.
torch.serialization.add_safe_globals(
    [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        codecs.encode,  # of bytes; newer torch allows it by itself
        _multiarray.multiarray._reconstruct,
        _multiarray.multiarray.scalar,
        *_DTYPES,
    ]
)


def _reduce(history: HistoryBuffer) -> tuple[type, tuple[Any, ...]]:
    """Pickle a log history as its numbers; by default it brings its methods, through getattr."""
    return HistoryBuffer, (*history.data, history.max_length)


copyreg.pickle(HistoryBuffer, _reduce)


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a local checkpoint.

    Raises:
        FileNotFoundError: no such file.
        pickle.UnpicklingError: the file holds more than tensors, plain Python and log history.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{filename} is asked for as a checkpoint; there is no such file')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from None


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Download a checkpoint into torch's cache, rank 0 first, and load it.

    Raises:
        pickle.UnpicklingError: as for a local file.
    """
    if not is_main_process():
        barrier()
    try:
        checkpoint = torch.hub.load_state_dict_from_url(
            filename, map_location=map_location, weights_only=True
        )
    except pickle.UnpicklingError as error:
        raise _refusal(filename, error) from None
    if is_main_process():
        barrier()
    return checkpoint


def _refusal(path: str | Path, error: Exception) -> pickle.UnpicklingError:
    try:
        found = ', '.join(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(Path(path))))
    except Exception:  # torch 2.4 cannot list them, no torch can for its old format or a link
        named = re.search(r'GLOBAL (\S+)', str(error))
        found = named[1] if named else str(error).partition('\n')[0]
    return pickle.UnpicklingError(
        f'{path} is not loaded, because loading it could run code: it holds {found or error}. '
        'A checkpoint may hold tensors, numbers, text, lists, dicts and the log history of '
        'mmengine. If you trust the file, load it yourself with weights_only=False and save its '
        'state_dict'
    )
