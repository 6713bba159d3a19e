"""Every seed of every method as a dot, and its difference to the baseline with an interval."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmcalib.comparison.rows import Table
from mmcalib.plots.style import COLOURS, PLAIN, new_figure, note

SEED, MEAN = COLOURS[0], COLOURS[1]
START, END = 38, 25  # letters of a name that is longer than both
SEEDS, BELOW = (-0.3, 0.1), 0.28  # heights within a row: from the first seed to the last; the mean


def dots(table: Table, mark: str = '') -> Figure:
    """A row per method, as in the table: the metric on the left, the differences on the right."""
    names = [short(row.method) for row in table.rows]
    panels = 2 if table.baseline else 1
    width_in = 1 + 0.065 * max(map(len, names)) + 3.8 * panels
    figure = new_figure(width_in, 1.3 + 0.36 * len(names))
    axes = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
    for place, row in enumerate(table.rows):
        draw(axes[0], place, row.values, row.spread.mean)
        if row.versus is not None:
            draw(axes[1], place, row.versus.differences, row.versus.spread.mean)
            if (over := row.versus.interval) is not None:
                ends, height = [over.low, over.high], [place + BELOW] * 2
                axes[1].plot(ends, height, color=MEAN, linewidth=2, zorder=3)
    axes[0].set_xlabel(f'test {table.metric} ({table.direction})', fontsize=8, **PLAIN)
    axes[0].set_yticks(range(len(names)), names, fontsize=8, **PLAIN)
    axes[0].set_ylim(len(names) - 0.5, -0.5)  # the first row on top
    if table.baseline:
        axes[1].axvline(0, color='#888888', linewidth=1, zorder=1)
        text = f'difference to {short(table.baseline)} ({table.direction})'
        axes[1].set_xlabel(text, fontsize=8, **PLAIN)
    for ax in axes:
        ax.tick_params(axis='x', labelsize=7)
        ax.tick_params(axis='y', length=0)
        ax.grid(axis='x', alpha=0.25)
        for place in range(1, len(names)):
            ax.axhline(place - 0.5, color='#BBBBBB', linewidth=0.6, zorder=0)
    signs = legend(table)
    figure.legend(handles=signs, loc='outside lower left', fontsize=8, frameon=False, ncols=3)
    note(figure, str(table.group), mark)
    return figure


def draw(ax: Axes, place: int, values: Mapping[int, float], mean: float) -> None:
    """A dot per seed, each at its own height so that none hides another, and their mean."""
    heights = place + np.linspace(*SEEDS, len(values))
    ax.scatter(list(values.values()), heights, s=16, color=SEED, linewidth=0, zorder=2)
    ax.plot(mean, place + BELOW, 'D', color=MEAN, markersize=4.5, zorder=4)


def short(name: str) -> str:
    """Both ends of a long name: methods differ in either."""
    return name if len(name) <= START + END else f'{name[:START]}…{name[-END:]}'


def legend(table: Table) -> list[Line2D]:
    """What the signs are."""
    signs = [
        Line2D([], [], linestyle='', marker='o', markersize=4, color=SEED, label='one seed'),
        Line2D(
            [], [], linestyle='', marker='D', markersize=4.5, color=MEAN, label='mean over seeds'
        ),
    ]
    if any(row.versus and row.versus.interval for row in table.rows):
        label = '95 % interval over test items'
        signs.append(Line2D([], [], linewidth=2, color=MEAN, label=label))
    return signs
