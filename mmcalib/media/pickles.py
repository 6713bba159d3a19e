"""Pickles from the internet: what holds data is read, everything else is refused."""

import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mmcalib.media import MediaError

PLAIN_DTYPE = re.compile(r'[|=<>]?(?:[biufcSU]\d+|O\d*)')  # no structured, dated or void ones
HEAD = 16  # bytes of a file that a message shows


def load(path: str | Path, outside: Callable[[Any], Any] | None = None) -> Any:
    """What a pickle holds, if that is containers, text, numbers and numpy arrays; else an error.

    Python's own unpickler calls whatever a file names. This one knows a short list of names, old
    and new ones of numpy and of Python 2 among them, and calls none but its own functions behind
    them. Text of Python 2 is decoded as latin-1, which loses no byte. An array is an instance of a
    subclass of np.ndarray.

    Args:
        path: of the file.
        outside: finds what the pickle names but does not hold; without it, that is an error.

    Raises:
        MediaError: the file is absent, cut off or no pickle, or asks for something else, which is
            named and has not been touched.
    """
    try:
        with Path(path).open('rb') as file:
            head = file.read(HEAD)
            file.seek(0)
            unpickler = _Unpickler(file, encoding='latin1')
            unpickler.outside = outside
            return unpickler.load()
    except OSError as error:
        raise MediaError(f'{path}: asked for a pickle, but: {error.strerror}') from None
    except _Refused as refused:
        raise MediaError(f'{path}: asked for a pickle of plain data, but {refused}') from None
    except Exception as error:  # broken bytes raise nearly anything
        raise MediaError(
            f'{path}: asked for a pickle, but it is cut off or none, it begins with {head!r}: '
            f'{type(error).__name__}: {error}'
        ) from None


class _Refused(pickle.UnpicklingError):
    """The file asks for what is not on the list."""


class _Unpickler(pickle.Unpickler):
    outside: Callable[[Any], Any] | None

    def persistent_load(self, pid: Any) -> Any:
        """What the file names but does not hold."""
        if self.outside is None:
            raise _Refused('it names something outside of itself')
        return self.outside(pid)

    def find_class(self, module: str, name: str) -> Any:
        """The function of ours that stands for a name."""
        module = re.sub(r'^numpy\._core\b', 'numpy.core', module)  # NumPy 2 moved it
        module = 'builtins' if module == '__builtin__' else module  # as Python 2 says
        if (module, name) not in ALLOWED:
            raise _Refused(f'it names {module}.{name}; such a pickle may run code')
        return ALLOWED[module, name]


# Pickles restore an object in two steps: they call a function, then hand the object its state. A
# dtype's or an array's own second step trusts its file: flags may declare bytes to be pointers.


class _DType:
    """A dtype under construction, of which the state may only tell the order of bytes."""

    __slots__ = ('order', 'text')

    def __init__(self, text: Any) -> None:
        if not isinstance(text, str) or not PLAIN_DTYPE.fullmatch(text):
            raise _Refused(f'it holds an array of dtype {text!r}; plain ones are read')
        self.text, self.order = text.lstrip('|=<>'), text[0] if text[0] in '<>' else '='

    def __setstate__(self, state: Any) -> None:
        _, order, subdtype, names, fields = state[:5]
        if order not in ('|', '=', '<', '>') or (subdtype, names, fields) != (None, None, None):
            raise _Refused(f'it holds an array of the structured dtype {state!r}; plain are read')
        self.order = '=' if order == '|' else order

    def plain(self) -> np.dtype:
        return np.dtype(object if self.text[0] == 'O' else self.order + self.text)


class _Array(np.ndarray):
    """An array whose state is checked before numpy takes it."""

    def __setstate__(self, state: Any) -> None:
        shape, given, fortran, content = state[-4:]
        dtype = _dtype_of(given)
        if isinstance(content, str):  # bytes of Python 2
            content = content.encode('latin1')
        size = prod(_shape_of(shape))
        if dtype.kind == 'O':
            if not isinstance(content, list) or len(content) != size:
                raise _Refused(f'it holds an array of {size} objects without a list of them')
        elif not isinstance(content, bytes | bytearray) or len(content) != size * dtype.itemsize:
            raise _Refused(f'it holds an array {shape} of {dtype} with the wrong number of bytes')
        else:
            content = bytes(content)
            _check_text(content, dtype)
        checked: Any = (1, shape, dtype, bool(fortran), content)
        super().__setstate__(checked)


def _dtype_of(given: Any) -> np.dtype:
    if not isinstance(given, _DType):
        raise _Refused(f'it holds an array of dtype {given!r}; plain ones are read')
    return given.plain()


def _shape_of(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise _Refused(f'it holds an array of shape {shape!r}')
    return shape


def _check_text(content: bytes | bytearray, dtype: np.dtype) -> None:
    """Characters that are none would raise a SystemError where they are looked at."""
    if dtype.kind == 'U' and content:
        codes = np.frombuffer(content, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.max() > sys.maxunicode:
            raise _Refused(f'it holds text with the character {codes.max():#x}')


def _ndarray(*_: Any) -> None:
    raise _Refused('it calls numpy.ndarray')  # it only names a type, for `_reconstruct`


def _dtype(text: Any, *_: Any) -> _DType:
    return _DType(text)


def _reconstruct(kind: Any, *_: Any) -> np.ndarray:
    if kind is not _ndarray:
        raise _Refused(f'it reconstructs a {kind!r}; numpy.ndarray is possible')
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _from_buffer(buffer: Any, given: Any, shape: Any, order: Any, *_: Any) -> np.ndarray:
    dtype = _dtype_of(given)
    if dtype.kind == 'O' or not isinstance(buffer, bytes | bytearray):
        raise _Refused(f'it holds an array of {dtype} in a buffer {type(buffer).__name__}')
    _check_text(buffer, dtype)
    flat = np.frombuffer(buffer, dtype)
    return flat.reshape(_shape_of(shape), order='F' if order == 'F' else 'C').view(_Array)


def _scalar(given: Any, content: Any = b'') -> Any:
    dtype = _dtype_of(given)
    raw = content.encode('latin1') if isinstance(content, str) else content
    if dtype.kind == 'O' or not isinstance(raw, bytes) or len(raw) != dtype.itemsize:
        raise _Refused(f'it holds a scalar of {dtype} from {content!r}')
    _check_text(raw, dtype)
    return np.frombuffer(raw, dtype)[0]


def _encode(text: Any, encoding: Any = 'latin1', *_: Any) -> bytes:
    """Bytes, as protocols before 3 spell them."""
    if not isinstance(text, str) or encoding not in ('latin1', 'latin-1'):
        raise _Refused(f'it calls _codecs.encode with {encoding!r}; latin1 is possible')
    return text.encode('latin1')


def _bytes(content: Any = b'', *_: Any) -> bytes:
    if isinstance(content, str):  # bytearray of Python 2 and its encoding
        content = content.encode('latin1')
    if not isinstance(content, bytes | bytearray):  # bytes(10**12) would fill the memory
        raise _Refused(f'it makes bytes of {content!r}')
    return bytes(content)


def _list(content: Any = ()) -> list:
    return list(content)


def _dict(content: Any = ()) -> dict:
    return dict(content)


def _ordered_dict(content: Any = ()) -> OrderedDict:
    return OrderedDict(content)


def _set(content: Any = ()) -> set:
    return set(content)


def _tuple(content: Any = ()) -> tuple:
    return tuple(content)


def _complex(*parts: Any) -> complex:
    return complex(*parts)


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ('numpy', 'ndarray'): _ndarray,
    ('numpy', 'dtype'): _dtype,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy.core.multiarray', 'scalar'): _scalar,
    ('numpy.core.numeric', '_frombuffer'): _from_buffer,
    ('_codecs', 'encode'): _encode,
    ('builtins', 'bytes'): _bytes,
    ('builtins', 'bytearray'): _bytes,
    ('builtins', 'list'): _list,
    ('builtins', 'dict'): _dict,
    ('builtins', 'tuple'): _tuple,
    ('builtins', 'set'): _set,
    ('builtins', 'frozenset'): _set,
    ('builtins', 'complex'): _complex,
    ('collections', 'OrderedDict'): _ordered_dict,
}
