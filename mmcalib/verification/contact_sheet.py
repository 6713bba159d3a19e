"""A picture of a data set: two items of each class, drawn for what each modality is."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mmcalib.plots.inputs import pixels, some, spectrogram
from mmcalib.verification.facts import Record, channels_first, kind
from mmcalib.verification.splits import Split

ROWS = 12  # classes
BINS = 6  # rows of numbers to predict
FRAMES = 4  # pictures that are shown of an item
FLOW_TOP = 16  # of 127; slower flow is dark
ARROWS = 8  # along the shorter side of a flow
GAP = 0.06  # between the two items, of the width of a panel
LETTERS_PER_INCH = 17  # of a title
PLAIN: dict[str, Any] = {'parse_math': False}  # the ids of MOSI have dollars
PANEL_IN, ROW_IN, LABEL_IN = 1.9, 1.25, 1.1  # width, height, and room for the class


class Row(NamedTuple):
    """One class, and at most two of its items."""

    label: str
    records: list[Record]


def draw(splits: Mapping[str, Split], records: Sequence[Record], path: Path) -> None:
    """Write the PNG; at most `ROWS` classes, evenly chosen."""
    meta = next(iter(splits.values())).data.metainfo
    modalities = list(meta['modalities'])
    rows, total = choose(records, meta.get('classes'))
    if not rows:
        return
    size = (LABEL_IN + 2 * PANEL_IN * len(modalities), 0.6 + ROW_IN * len(rows))
    figure = Figure(figsize=size, dpi=90, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = _panels(figure, len(rows), len(modalities))
    title = f'{meta["name"]}: up to two items of each of {_which(len(rows), total)}'
    figure.suptitle(title, fontsize=9, x=0.01, ha='left', **PLAIN)
    for row, line in zip(rows, axes, strict=True):
        label = textwrap.fill(row.label, 16)
        line[0].set_ylabel(label, fontsize=8, rotation=0, ha='right', va='center', **PLAIN)
        for k in range(2):
            panels = line[k * len(modalities) : (k + 1) * len(modalities)]
            _item(panels, splits, row.records[k] if k < len(row.records) else None, modalities)
    for panel, modality in zip(axes[-1], 2 * modalities, strict=True):
        panel.set_xlabel(modality, fontsize=8, **PLAIN)
    canvas.draw()
    _save(canvas, path)


def _panels(figure: Figure, rows: int, modalities: int) -> np.ndarray:
    """(rows, 2 * modalities) of them, with a gap in the middle."""
    widths = [*[1.0] * modalities, GAP, *[1.0] * modalities]
    axes = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths)
    for panel in axes[:, modalities]:
        panel.remove()
    return np.delete(axes, modalities, axis=1)


def _save(canvas: FigureCanvasAgg, path: Path) -> None:
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    # A palette: a third of the size, since neither noise nor a spectrogram compresses well.
    palette = picture.quantize(256, Image.Quantize.FASTOCTREE)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def _which(shown: int, total: int) -> str:
    if not total:
        return f'{shown} equal parts of the targets, from low to high'
    chosen = ', evenly chosen' if shown < total else ''
    return f'{shown} of {total} classes{chosen}'


def choose(records: Sequence[Record], classes: Sequence[str] | None) -> tuple[list[Row], int]:
    """The rows, and how many classes there are that have items; 0 for numbers to predict."""
    read = [record for record in records if record.target is not None]
    if classes is None:
        return _by_size(read), 0
    used = sorted({k for record in read for k in _labels(record.target)})
    places = np.linspace(0, len(used) - 1, min(ROWS, len(used))).round().astype(int)
    chosen = [used[k] for k in places]
    of = {k: [r for r in read if k in _labels(r.target)] for k in chosen}
    return [Row(str(classes[k]), pick_two(of[k])) for k in chosen], len(used)


def _by_size(read: Sequence[Record]) -> list[Row]:
    """Equal parts of the items, by their first target."""
    values = {id(r): float(np.ravel(r.target)[0]) for r in read if r.target is not None}
    ordered = sorted(read, key=lambda r: values[id(r)])
    parts = [
        ordered[a[0] : a[-1] + 1] for a in np.array_split(np.arange(len(read)), BINS) if len(a)
    ]
    return [
        Row(f'{values[id(part[0])]:.2g} to {values[id(part[-1])]:.2g}', pick_two(part))
        for part in parts
    ]


def _labels(target: np.ndarray | None) -> set[int]:
    assert target is not None
    if target.dtype.kind == 'f':  # one number per label
        return set(np.flatnonzero(target > 0.5).tolist())
    return set(np.ravel(target).tolist())


def pick_two(records: Sequence[Record]) -> list[Record]:
    """Two items, whole ones and of different splits where there are any."""
    whole = [r for r in records if all(f.length and f.finite for f in r.facts.values())]
    rest = whole if len(whole) > 1 else list(records)
    other = next((r for r in rest if r.split != rest[0].split), None)
    return [rest[0], other] if other else rest[:2]


def _item(
    panels: Sequence[Axes],
    splits: Mapping[str, Split],
    record: Record | None,
    modalities: Sequence[str],
) -> None:
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    if record is None:
        return
    data = splits[record.split].still
    inputs = data[record.place]['inputs']
    name, room = record.id, int(LETTERS_PER_INCH * PANEL_IN * len(panels)) - len(record.split) - 4
    name = name if len(name) <= room else f'{name[: room - 1]}…'
    title = f'{name}, {record.split}'
    panels[0].set_title(title, fontsize=7, loc='left', pad=3, color='dimgrey', **PLAIN)
    for panel, modality in zip(panels, modalities, strict=True):
        signal = inputs[modality]
        x = signal.x[signal.mask].numpy()
        if not x.size or not np.isfinite(x).all():
            what = 'missing' if not x.size else 'not finite'
            panel.text(0.5, 0.5, what, ha='center', va='center', fontsize=8, color='firebrick')
            continue
        transforms = getattr(data, 'transforms', {}).get(modality, [])
        DRAWN[kind(modality, x.shape)](panel, x, transforms)


def _pictures(panel: Axes, x: np.ndarray, transforms: Sequence[Any]) -> None:
    frames = pixels(channels_first(x[some(len(x), FRAMES)]), transforms)
    gap = np.full((frames.shape[1], max(1, frames.shape[2] // 30), frames.shape[3]), 255, np.uint8)
    strip = [part for frame in frames for part in (frame, gap)][:-1]
    whole = np.concatenate(strip, axis=1)
    panel.imshow(whole if whole.shape[2] == 3 else whole[..., 0], cmap='gray', vmin=0, vmax=255)
    panel.set_adjustable('datalim')  # the panel keeps its place, whatever the picture's shape


def _flow(panel: Axes, x: np.ndarray, transforms: Sequence[Any]) -> None:
    """Arrows on their lengths; bytes, of which 128 is no motion."""
    at = len(x) // 2
    middle = pixels(channels_first(x[at : at + 1]), transforms)[0].astype(np.float32) - 128
    length = np.hypot(middle[..., 0], middle[..., 1])
    # At most the middle of the colours, so that arrows are seen on it.
    panel.imshow(length, cmap='cividis', vmin=0, vmax=max(FLOW_TOP, 2 * length.max()))
    panel.set_adjustable('datalim')
    step = max(1, min(middle.shape[:2]) // ARROWS)
    some = middle[step // 2 :: step, step // 2 :: step]
    down, right = np.mgrid[: some.shape[0], : some.shape[1]] * step + step // 2
    panel.quiver(right, down, some[..., 0], some[..., 1], color='w', angles='xy', pivot='mid')


def _map(panel: Axes, x: np.ndarray, transforms: Sequence[Any]) -> None:
    """Time to the right, frequency upwards."""
    image = spectrogram(x, transforms)
    low, high = np.percentile(image, (1, 99.9))
    panel.imshow(image, origin='lower', aspect='auto', cmap='magma', vmin=low, vmax=high)


def _wave(panel: Axes, x: np.ndarray, transforms: Sequence[Any]) -> None:
    panel.plot(x[0], lw=0.3, color='black')


def _tokens(panel: Axes, x: np.ndarray, transforms: Sequence[Any]) -> None:
    """Tokens from top to bottom, their width to the right."""
    image = x.reshape(len(x), -1).astype(np.float64)
    low, high = np.percentile(image, (5, 95))  # one large feature must not hide all others
    panel.imshow(image, aspect='auto', cmap='viridis', vmin=low, vmax=high, interpolation='nearest')


DRAWN = {'pictures': _pictures, 'flow': _flow, 'map': _map, 'wave': _wave, 'tokens': _tokens}
