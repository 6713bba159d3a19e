"""Lists of labelled events, one line each, as they come with AVE."""

import csv
import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log

# fmt: off
AVE_CLASSES = (  # in the order in which the official Annotations.txt first names them
    'Church bell', 'Male speech, man speaking', 'Bark', 'Fixed-wing aircraft, airplane',
    'Race car, auto racing', 'Female speech, woman speaking', 'Helicopter', 'Violin, fiddle',
    'Flute', 'Ukulele', 'Frying (food)', 'Truck', 'Shofar', 'Motorcycle', 'Acoustic guitar',
    'Train horn', 'Clock', 'Banjo', 'Goat', 'Baby cry, infant cry', 'Bus', 'Chainsaw', 'Cat',
    'Horse', 'Toilet flush', 'Rodents, rats, mice', 'Accordion', 'Mandolin',
)
# fmt: on
SPLITS = ('train', 'val', 'test')
WANTED = 'Category&VideoID&Quality&StartTime&EndTime'
WANTED_PAIR = 'class,id'


class Event(NamedTuple):
    label: str
    id: str
    start_s: float
    end_s: float
    line: str  # where it stands, for messages


class Selection(NamedTuple):
    places: list[int]  # in the list of the split
    counts: dict[str, int]  # how many were listed, named again, shared, and left out


def read_events(path: Path) -> list[Event]:
    """The lines `Category&VideoID&Quality&StartTime&EndTime`; of no file, none.

    Raises:
        ValueError: a line that is not understood.
    """
    events: list[Event] = []
    for row, line in _lines(path):
        fields = [' '.join(field.split()) for field in row.rsplit('&', 4)]  # also joins U+00A0
        if fields == [''] or fields[1:2] == ['VideoID']:
            continue
        try:
            label, name, _, start, end = fields
            events.append(Event(label, name, float(start), float(end), line))
        except ValueError:
            raise ValueError(f'{line}: {row!r} is not {WANTED}') from None
        if not 0 <= events[-1].start_s <= events[-1].end_s < inf:
            raise ValueError(f'{line}: an event from {start} s to {end} s; needs 0 <= start <= end')
    return events


def read_pairs(path: Path) -> list[Event]:
    """The lines `class,id`, of events that last as long as their clips; of no file, none.

    A class may have commas, in quotes or without.

    Raises:
        ValueError: a line that is not understood.
    """
    events: list[Event] = []
    for row, line in _lines(path):
        if not row.strip():
            continue
        *names, clip = _fields(row)
        label = ', '.join(names)
        if not label or not clip or ' ' in clip:
            raise ValueError(f'{line}: {row!r} is not {WANTED_PAIR}')
        events.append(Event(label, clip, 0.0, inf, line))
    return events


def read_names(path: Path) -> tuple[str, ...]:
    """The classes of a file, one per line; numbers behind a name are passed over.

    Raises:
        ValueError: no class, or one of them twice.
    """
    names: list[str] = []
    for row, line in _lines(path):
        name = ', '.join(field for field in _fields(row) if field and not field.isdecimal())
        if name in names:
            raise ValueError(f'{line}: {name!r} is named again')
        names += [name] if name else []
    if not names:
        raise ValueError(f'{path} names no class')
    return tuple(names)


def _lines(path: Path) -> list[tuple[str, str]]:
    """Each line, and where it stands."""
    text = path.read_text(encoding='utf-8-sig', errors='replace') if path.exists() else ''
    return [(row, f'{path}, line {k}') for k, row in enumerate(text.splitlines(), start=1)]


def _fields(row: str) -> list[str]:
    return [' '.join(field.split()) for field in next(csv.reader([row]), [])]


def select(
    lists: Mapping[str, Sequence[Event]],
    split: str,
    duplicates: str,
    drop_leaks: bool,
    owner: str = 'AVE',
) -> Selection:
    """The events of a split that are used; videos of several lines or splits are reported.

    Args:
        lists: of every split.
        split: which.
        duplicates: of a video's lines, 'first' keeps the first, 'keep' all.
        drop_leaks: leave out videos that a later split also names.
        owner: for messages.
    """
    ids = {s: {event.id for event in events} for s, events in lists.items()}
    events, notes = lists[split], []
    counts = {'listed': len(events), 'again': len(events) - len(ids[split])}
    if counts['again']:
        notes.append(f'{counts["again"]} lines name a video again (duplicates={duplicates!r})')
    places = list(range(len(events)))
    if duplicates == 'first':
        first = {events[k].id: k for k in reversed(places)}
        places = [k for k in places if first[events[k].id] == k]
    shared = {s: both for s in SPLITS if s != split and (both := ids[split] & ids[s])}
    for other, both in shared.items():
        notes.append(f'{len(both)} videos are also in {other} (drop_leaks={drop_leaks})')
    later = SPLITS[SPLITS.index(split) + 1 :]
    leaks = set().union(*(shared.get(s, ()) for s in later)) if drop_leaks else set()
    kept = [k for k in places if events[k].id not in leaks]
    counts |= {'shared': len(set().union(*shared.values())), 'dropped': len(places) - len(kept)}
    if notes:
        text = f'{owner} {split}: {"; ".join(notes)}; {len(kept)} of {len(events)} lines are used'
        print_log(text, logger='current', level=logging.WARNING)
    return Selection(kept, counts)


def class_of(event: Event, names: Sequence[str]) -> int:
    """The place of an event's label among the classes.

    Raises:
        ValueError: it is none of them.
    """
    if event.label in names:
        return names.index(event.label)
    close = get_close_matches(event.label, names, n=1, cutoff=0.0)
    text = f'{event.line}: {event.label!r} is none of the {len(names)} classes, the closest is'
    raise ValueError(f"{text} {close}; classes='auto' takes the labels from the lists")
