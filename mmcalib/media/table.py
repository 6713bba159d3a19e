"""Rows of a table: a CSV file, a JSON-lines file, or the arrays of one NPZ file."""

import csv
import json
import zipfile
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SUFFIXES = ('.csv', '.tsv', '.jsonl', '.npz')
DELIMITERS = ',;\t'
SPAN = ('start_s', 'end_s')  # the part of a recording


class Row(NamedTuple):
    """One row; an empty cell is not among its cells."""

    place: str  # 'manifest.csv, line 3', for messages
    cells: Mapping[str, Any]  # text of CSV, whatever JSON holds, a row of an array of NPZ


class Table(NamedTuple):
    columns: tuple[str, ...]
    rows: list[Row]


def read_table(path: str | Path) -> Table:
    """All rows of a file, in its order.

    CSV has a header line; commas, semicolons or tabs separate. JSON lines hold one object each. NPZ
    holds one array per column; those that are not as long as the array `id` are no columns.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another suffix, a header or line that is not understood, or no row at all.
    """
    path = Path(path)
    readers = {'.csv': _csv, '.tsv': _csv, '.jsonl': _json_lines, '.npz': _npz}
    if path.suffix.lower() not in readers:
        raise ValueError(f'{path}: a table is one of {", ".join(SUFFIXES)}')
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        table = readers[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8: {error.reason} at byte {error.start}') from None
    if not table.rows:
        raise ValueError(f'{path} holds no row')
    return table


def read_seconds(cells: Mapping[str, Any], where: str) -> tuple[float, float]:
    """Start and end in seconds; without a cell, those of the whole recording.

    Args:
        cells: by the names of `SPAN`, None where there is none.
        where: how messages begin.

    Raises:
        ValueError: no such span.
    """
    try:
        start_s = float(cells['start_s'] or 0.0)
        end_s = inf if cells['end_s'] is None else float(cells['end_s'])
    except (TypeError, ValueError):
        raise ValueError(f'{where}{cells} are not seconds') from None
    if not 0 <= start_s < end_s:
        why = f'from {start_s} s to {end_s} s; needs 0 <= start < end'
        raise ValueError(f'{where}a span {why}')
    return start_s, end_s


def _csv(path: Path) -> Table:
    with path.open(encoding='utf-8-sig', newline='') as file:
        first = file.readline()
        file.seek(0)
        reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count))
        columns, rows = _header(path, [cell.strip() for cell in next(reader, [])]), []
        for cells in _lines(path, reader):
            place = f'{path}, line {reader.line_num}'
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise ValueError(f'{place} has {len(cells)} cells, but the header {len(columns)}')
            texts = zip(columns, (cell.strip() for cell in cells), strict=True)
            rows.append(Row(place, {column: text for column, text in texts if text}))
    return Table(columns, rows)


def _lines(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f'{path}, line {reader.line_num}: {error}') from None


def _header(path: Path, columns: list[str]) -> tuple[str, ...]:
    if again := sorted({column for column in columns if columns.count(column) > 1}):
        raise ValueError(f'{path}: the header {columns} names {again} more than once')
    return tuple(columns)


def _json_lines(path: Path) -> Table:
    columns: dict[str, None] = {}
    rows = []
    for number, line in enumerate(path.read_text(encoding='utf-8-sig').split('\n'), start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f'{path}, line {number} is not JSON: {error.msg}') from None
        if not isinstance(cells, dict):
            raise ValueError(f'{path}, line {number} is {line.strip()[:40]!r}, not a JSON object')
        columns.update(dict.fromkeys(cells))
        filled = {column: cell for column, cell in cells.items() if cell not in (None, '')}
        rows.append(Row(f'{path}, line {number}', filled))
    return Table(tuple(columns), rows)


def _npz(path: Path) -> Table:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is not an NPZ file of plain arrays: {error}') from None
    if 'id' in arrays and arrays['id'].ndim:
        length = len(arrays['id'])
        arrays = {name: a for name, a in arrays.items() if a.ndim and len(a) == length}
    elif arrays:
        raise ValueError(f"{path} has the arrays {sorted(arrays)}; one must be 'id', a row each")
    # Text and whole numbers as Python's own: an id is a str, not a numpy.str_.
    lists = {name: a.tolist() if a.ndim == 1 else list(a) for name, a in arrays.items()}
    rows = [
        Row(f'{path}, row {k}', {n: v for n, v in zip(lists, row, strict=True) if _filled(v)})
        for k, row in enumerate(zip(*lists.values(), strict=True))
    ]
    return Table(tuple(lists), rows)


def _filled(cell: Any) -> bool:
    return not isinstance(cell, str) or bool(cell)
