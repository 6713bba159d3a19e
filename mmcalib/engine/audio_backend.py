"""torchaudio on any torch: without its native library when that one does not load."""

import logging
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

from mmengine.logging import print_log


@cache
def torchaudio() -> ModuleType:
    """Import torchaudio; its transforms, functional and compliance.kaldi are pure Python.

    The wheels of PyPI contain a library for one version of CUDA. It does not load on a CPU build
    of torch, nor on one for another CUDA, and then nothing of torchaudio imports. In that case it
    is imported as if the library were not installed, which torchaudio allows for; forced alignment
    and the RNN-T loss are then not there.

    Raises:
        ImportError: torchaudio is not installed, or does not import without its library either.
    """
    if find_spec('torchaudio') is None:
        raise ImportError(
            'Audio needs torchaudio, which is not installed: pip install torchaudio. '
            'Any version from 2.4 works with any build of torch'
        )
    try:
        return import_module('torchaudio')
    except (OSError, RuntimeError) as error:
        reason = str(error).partition('\n')[0]
    _forget()
    try:
        module = _import_without_library()
    except Exception as error:
        _forget()
        raise ImportError(
            f'torchaudio imports neither with its library ({reason}) nor without ({error}); '
            'the versions 2.4 to 2.11 are known to'
        ) from error
    print_log(
        f'torchaudio works without its native library, which does not fit this torch: {reason}',
        logger='current',
        level=logging.INFO,
    )
    return module


def _import_without_library() -> ModuleType:
    """Import, while torchaudio looks for its library where there is none.

    Up to 2.8 it asks whether the module `torchaudio.lib._torchaudio` exists; from 2.9 it lists the
    folder `_LIB_DIR`. That name lies inside of the package which loads the library on import, so
    both packages stand unexecuted until the name is changed.
    """
    package = _unexecuted('torchaudio')
    extension = _unexecuted('torchaudio._extension')
    package._extension = extension  # type: ignore[attr-defined]
    sys.modules['torchaudio.lib._torchaudio'] = None  # type: ignore[assignment]
    try:
        loader = import_module('torchaudio._extension.utils')
        folder, loader._LIB_DIR = loader._LIB_DIR, Path(__file__) / 'nowhere'  # type: ignore
        try:
            _execute(extension)
        finally:
            loader._LIB_DIR = folder  # type: ignore[attr-defined]
        _execute(package)
    finally:
        del sys.modules['torchaudio.lib._torchaudio']
    return package


def _unexecuted(name: str) -> ModuleType:
    spec = find_spec(name)
    assert spec is not None
    sys.modules[name] = module_from_spec(spec)
    return sys.modules[name]


def _execute(module: ModuleType) -> None:
    assert module.__spec__ is not None and module.__spec__.loader is not None
    module.__spec__.loader.exec_module(module)


def _forget() -> None:
    for name in [n for n in sys.modules if n == 'torchaudio' or n.startswith('torchaudio.')]:
        del sys.modules[name]
