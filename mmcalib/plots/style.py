"""How every picture here is made: a figure without a window, colours that all can tell apart."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito, "Color Universal Design", 2008, without its yellow, which white swallows.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
MARKERS = ('o', '^', 's')  # 7 colours in 3 shapes: no two of 20 classes look alike
REST = '#BBBBBB'
GROUPS = {'all': '#0072B2', 'clean': '#0072B2', 'corrupted': '#D55E00', 'swapped': '#CC79A7'}
DIVERGING = 'PuOr_r'
PADDED = '#DDDDDD'
DPI = 90
PLAIN: dict[str, Any] = {'parse_math': False}  # ids and classes may hold dollars


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure that can draw itself; sizes in inches."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def note(figure: Figure, title: str, mark: str = '') -> None:
    """A title at the upper left; `mark` says in front of it what the data are."""
    text = f'{mark}: {title}' if mark else title
    figure.suptitle(text, fontsize=10, x=0.01, ha='left', **PLAIN)


def say(ax: Axes, text: str) -> None:
    """Words where there is nothing to draw."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, text, ha='center', va='center', fontsize=8, transform=ax.transAxes, **PLAIN)


def colour_bar(image: Any, axes: Any, label: str, shrink: float = 1.0) -> None:
    """What the colours of an image mean, beside one axes or several."""
    bar = image.figure.colorbar(image, ax=axes, label=label, shrink=shrink)
    bar.ax.yaxis.label.set_size(8)
    bar.ax.tick_params(labelsize=7)


def shorten(text: str, letters: int = 22) -> str:
    """The beginning of a long name."""
    return text if len(text) <= letters else f'{text[: letters - 1]}…'


def centred(arrays: Sequence[np.ndarray], centre: float) -> Normalize:
    """A scale that reaches equally far to both sides of `centre`, over all arrays."""
    apart = [np.nanmax(np.abs(a - centre)) for a in arrays if np.isfinite(a).any()]
    reach = max([*apart, 1e-3])
    return Normalize(centre - reach, centre + reach)


def neutral(name: str, arrays: Sequence[np.ndarray]) -> float:
    """The value at which a gate neither strengthens nor weakens: 1, of a plain sigmoid 0.5."""
    tops = [np.nanmax(a) for a in arrays if np.isfinite(a).any()]
    return (
        0.5
        if name.endswith('gate') and 'effective' not in name and max(tops, default=0) <= 1
        else 1.0
    )


def rgb(figure: Figure) -> np.ndarray:
    """(H, W, 3) uint8."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def png(figure: Figure) -> bytes:
    """A PNG of at most 256 colours: a third of the size."""
    file = io.BytesIO()
    picture = Image.fromarray(rgb(figure))
    palette = picture.quantize(256, Image.Quantize.FASTOCTREE)
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(file, 'PNG', optimize=True)
    return file.getvalue()


def finite_rows(values: np.ndarray) -> np.ndarray:
    """(n,) bool: no NaN and no infinity in the row."""
    return np.isfinite(values.reshape(len(values), -1)).all(axis=1)


def looks(count: int) -> list[dict[str, Any]]:
    """Colour and marker of up to 21 classes."""
    colours, markers = len(COLOURS), len(MARKERS)
    assert count <= colours * markers, count
    return [{'color': COLOURS[k % colours], 'marker': MARKERS[k // colours]} for k in range(count)]
