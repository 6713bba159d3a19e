"""Lists of videos: `Class/name.avi [number]`, as UCF101 has them, and `Class/name frames label`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FOLDERS = ('', 'ucfTrainTestlist', 'annotations', 'splits')


class Listed(NamedTuple):
    """A video of a list."""

    name: str  # without folder and suffix
    label: str  # its class, the name of its folder
    number: int | None  # of its class, as the list counts
    frames: int | None  # how many pictures it has, where the list tells
    line: str  # where it stands, for messages


def find_list(root: Path, names: Sequence[str]) -> Path | None:
    """The first of these files, in the usual folders.

    Raises:
        ValueError: there are several.
    """
    found = [p for folder in FOLDERS for name in names if (p := root / folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f'{root} has several lists {list(map(str, found))}; keep one')
    return found[0] if found else None


def read_list(path: Path) -> list[Listed]:
    """The videos of a list, each once.

    Raises:
        ValueError: a line is not understood, or a video is listed twice, or nothing is listed.
    """
    rows: dict[str, Listed] = {}
    text = path.read_text(encoding='utf-8-sig', errors='replace')
    for number, row in enumerate(text.splitlines(), start=1):
        if not row.strip():
            continue
        line = f'{path}, line {number}'
        match = re.fullmatch(
            r'(?:.*/)?([^/\s]+)/([^/\s]+?)(?:\.\w{2,4})?((?:\s+\d+)*)', row.strip()
        )
        if match is None or len(match[3].split()) > 2:
            raise ValueError(
                f'{line}: {row!r} is not <class>/<video> and one or two numbers or none'
            )
        numbers = [int(number) for number in match[3].split()]
        label = numbers[-1] if numbers else None
        frames = numbers[0] if len(numbers) == 2 else None
        listed = Listed(match[2], match[1], label, frames, line)
        if before := rows.get(listed.name):
            raise ValueError(f'{line}: {listed.name} is listed already, at {before.line}')
        rows[listed.name] = listed
    if not rows:
        raise ValueError(f'{path} lists no video; a line is <class>/<video>')
    return list(rows.values())


def read_classes(path: Path) -> tuple[str, ...]:
    """The names of `<number> <class>`, from 1 on in order.

    Raises:
        ValueError: a line is not that, or a number is absent.
    """
    names: dict[int, str] = {}
    text = path.read_text(encoding='utf-8-sig', errors='replace')
    for number, row in enumerate(text.splitlines(), start=1):
        fields = row.split()
        if not fields:
            continue
        if len(fields) != 2 or not fields[0].isdigit() or int(fields[0]) in names:
            raise ValueError(f'{path}, line {number}: {row!r} is not <number> <class>, each once')
        names[int(fields[0])] = fields[1]
    if sorted(names) != list(range(1, len(names) + 1)) or not names:
        raise ValueError(f'{path} has the numbers {sorted(names)[:5]}...; needed are 1, 2, 3, ...')
    return tuple(names[k] for k in sorted(names))
