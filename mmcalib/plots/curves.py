"""Curves of several groups of runs, side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmcalib.plots.run_log import Band
from mmcalib.plots.style import COLOURS, PLAIN, new_figure, note, shorten

COLUMNS = 4
DASHES = ('-', '--', ':', '-.')  # beyond 7 groups
FEW = 12  # points that are worth a marker


def curves(
    panels: Mapping[str, Mapping[str, Band]],
    title: str,
    x: str = 'epoch',
    y: str = '',
    log: bool = False,
    zero: bool = False,
    share: bool = False,
    order: Sequence[str] | None = None,
    mark: str = '',
) -> Figure:
    """A panel per name, in it a line per group: the mean over runs in a band of one sd.

    Args:
        panels: bands by group, by the name of the panel.
        title: of the figure.
        x: label of the common axis of steps.
        y: label of every panel's other axis, with its unit.
        log: whether that axis is logarithmic.
        zero: draw a line at 0.
        share: one scale for all panels.
        order: groups, for colours that stay the same between figures; None: as they come.
        mark: what the data are, in front of the title.
    """
    groups = list(order or dict.fromkeys(g for bands in panels.values() for g in bands))
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(max(3.1 * columns, 6.4), 2.4 * rows + 0.5 + 0.2 * len(groups))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=share).ravel()
    for ax, (name, bands) in zip(axes, panels.items(), strict=False):
        for group, band in bands.items():
            _line(ax, band, groups.index(group), group, log)
        if zero:
            ax.axhline(0, color='#888888', linewidth=0.8, zorder=0)
        if log:
            ax.set_yscale('log')
        ax.set_title(shorten(name.removesuffix('/mean'), 34), fontsize=8, **PLAIN)
        ax.tick_params(labelsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25)
    for k, ax in enumerate(axes):
        if k >= len(panels):
            ax.remove()
            continue
        if k % columns == 0:
            ax.set_ylabel(y, fontsize=8)
        if k + columns >= len(panels):
            ax.set_xlabel(x, fontsize=8)
            ax.tick_params(labelbottom=True)
    handles = {h.get_label(): h for ax in axes[: len(panels)] for h in ax.get_lines()}
    shown = [g for g in groups if g in handles]
    figure.legend(
        [handles[g] for g in shown], shown, loc='outside lower left', fontsize=8, frameon=False
    )
    note(figure, title, mark)
    return figure


def _line(ax: Axes, band: Band, place: int, label: str, log: bool) -> None:
    colour, dash = COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]
    marker = 'o' if len(band.steps) <= FEW else ''
    ax.plot(band.steps, band.mean, dash, color=colour, label=label, marker=marker, markersize=3)
    if len(band.values) > 1:
        low, high = band.mean - band.spread, band.mean + band.spread
        if log:
            low = np.maximum(low, band.values.min(axis=0))  # a logarithm has nothing below 0
        ax.fill_between(band.steps, low, high, color=colour, alpha=0.2, linewidth=0)
