"""Read what a model is from a checkpoint, as data: nothing that a file holds is run."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

from mmcalib.engine.ordered_config import ORDERED
from mmcalib.engine.weights_only import load_from_local
from mmcalib.hooks.run_record import RECORD

LAST = 'last_checkpoint'  # names the last one of a run
POINTS = ('inf', '-inf', 'nan')  # numbers that are written as names, or as float('inf')
NOT_READABLE = (RuntimeError, OSError, EOFError, LookupError, TypeError, AttributeError)


class Held(NamedTuple):
    """A checkpoint: what both a run and `publish` write."""

    path: Path
    config: dict[str, Any]
    state: dict[str, Any]  # tensors by name
    meta: dict[str, Any]  # mmengine's, and `published`, the record of a published one

    @property
    def data(self) -> dict[str, Any]:
        """What the data set of the training split said of itself."""
        return dict(self.meta.get('dataset_meta') or {})


def find(given: str | Path) -> Path:
    """The file: of a run's folder the checkpoint that its test.json names.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: test.json names none.
    """
    path = Path(given).expanduser()
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(f'{given}: no such checkpoint, and no folder of a run')
        return path
    if not (path / RECORD).is_file():
        has = sorted(p.name for p in path.glob('*.pth')) or 'no checkpoint'
        raise FileNotFoundError(
            f'{path} has no {RECORD}, which a run writes at its end; name one of its files: {has}'
        )
    name = read_record(path).get('checkpoint')
    if name == 'last':
        name = Path((path / LAST).read_text().strip()).name if (path / LAST).is_file() else None
    if not isinstance(name, str) or not (path / Path(name).name).is_file():
        has = sorted(p.name for p in path.glob('*.pth'))
        raise ValueError(f'{path / RECORD} names the checkpoint {name!r}, but there are {has}')
    return path / Path(name).name


def read_record(run: Path) -> dict[str, Any]:
    """The test.json of a run, {} without one.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        record = json.loads((run / RECORD).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f'{run / RECORD} is not JSON: {error}') from None
    if not isinstance(record, dict):
        raise ValueError(f'{run / RECORD} holds {str(record)[:40]!r}, not an object')
    return record


def read(given: str | Path) -> Held:
    """A published file, or a checkpoint of a run with its weights, config and classes.

    Raises:
        FileNotFoundError: it is not there.
        pickle.UnpicklingError: it holds more than data.
        ValueError: it is no checkpoint of mmcalib, or its config holds code.
    """
    path = find(given)
    try:
        loaded = load_from_local(str(path), map_location='cpu')
    except UnpicklingError:
        raise
    except NOT_READABLE as error:
        raise ValueError(f'{path} cannot be read as a checkpoint: {error}') from None
    meta = loaded.get('meta') if isinstance(loaded, dict) else None
    state = loaded.get('state_dict') if isinstance(loaded, dict) else None
    if not isinstance(meta, dict) or not isinstance(state, dict):
        has = sorted(map(str, loaded)) if isinstance(loaded, dict) else type(loaded).__name__
        raise ValueError(
            f'{path} is no checkpoint of a run, nor published: it needs state_dict and meta, but '
            f'holds {has}'
        )
    config = meta.get('config')
    if not isinstance(config, dict):
        text = meta.get('cfg')
        if not isinstance(text, str):
            raise ValueError(f'{path} has no config in its meta, which holds {sorted(meta)}')
        config = parse(text, str(path))
        if not text.startswith(ORDERED):
            config = in_order(config, state, meta)
    if not isinstance(config.get('model'), dict):
        raise ValueError(f'{path}: its config names no model, but {sorted(map(str, config))}')
    return Held(path, config, dict(state), meta)


def parse(text: str, place: str) -> dict[str, Any]:
    """A config that mmengine has dumped, as plain Python; nothing of it is run.

    Args:
        text: lines `name = value`; a value is made of numbers, text, lists, tuples, dicts and
            `dict(...)`.
        place: where it stands, for messages.

    Raises:
        ValueError: anything else stands there.
    """
    config: dict[str, Any] = {}
    try:
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                raise _refusal(place, statement)
            target = statement.targets[0]
            if not isinstance(target, ast.Name):
                raise _refusal(place, statement)
            config[target.id] = _value(statement.value, place)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'{place}: its config is not what a run dumps: {error}') from None
    return config


def in_order(
    config: dict[str, Any], state: Mapping[str, Any], meta: Mapping[str, Any]
) -> dict[str, Any]:
    """A config that mmengine has sorted, with its encoders in the order in which it trained."""
    model = config.get('model')
    encoders = model.get('encoders') if isinstance(model, dict) else None
    if not isinstance(encoders, dict) or not isinstance(model, dict):
        return config
    stored = [name.split('.')[1] for name in state if name.startswith('encoders.')]
    read = [*dict(meta.get('dataset_meta') or {}).get('modalities', ())]
    for order in (list(dict.fromkeys(stored)), read):  # an encoder may have no weights
        if set(order) == set(encoders):
            return {**config, 'model': {**model, 'encoders': {m: encoders[m] for m in order}}}
    return config


def entries(value: Any, where: str = '') -> Iterator[tuple[str, str, Any]]:
    """(place, key, value) of everything in dicts, lists and tuples, from the outside in."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            place = f'{where}.{key}' if where else str(key)
            yield place, str(key), inner
            yield from entries(inner, place)
    elif isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            yield from entries(inner, f'{where}.{k}')


def _value(node: ast.expr, place: str) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name(id=name) if name in POINTS:
            return float(name)
        case ast.Call(func=ast.Name(id='float'), args=[ast.Constant(value=name)], keywords=[]):
            if name in POINTS:
                return float(str(name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _value(operand, place)
            if type(number) in (int, float):
                return -number
        case ast.List(elts=elements):
            return [_value(element, place) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(element, place) for element in elements)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            found = [_value(key, place) for key in keys if key is not None]
            if all(isinstance(key, str | int | float) for key in found):
                return dict(zip(found, (_value(v, place) for v in values), strict=True))
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as inner], keywords=[]):
            return _value(inner, place)  # so mmengine writes keys that are no names
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            if all(keyword.arg for keyword in keywords):
                return {str(k.arg): _value(k.value, place) for k in keywords}
    raise _refusal(place, node)


def _refusal(place: str, node: ast.AST) -> ValueError:
    return ValueError(
        f'{place}: its config holds {ast.unparse(node)[:60]!r} in line '
        f'{getattr(node, "lineno", 0)}, which is code or an object; a config is read as data, so '
        'only numbers, text, lists, tuples, dicts and dict(...) are possible'
    )
