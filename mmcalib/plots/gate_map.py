"""Gates over time and feature."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from mmcalib.plots.style import (
    DIVERGING,
    PADDED,
    centred,
    colour_bar,
    neutral,
    new_figure,
    note,
    say,
    shorten,
)

SAMPLES = 4


def gate_map(
    gates: Mapping[str, np.ndarray],
    ids: Sequence[str],
    name: str = 'gate',
    centre: float | None = None,
    mark: str = '',
) -> Figure:
    """One row per modality: the first samples, then the mean over all that are given.

    Args:
        gates: per modality (K, L, D); NaN where the token is not real.
        ids: of the K samples.
        name: of the gate.
        centre: the value at which it changes nothing; the middle of the colours. None: 1, or 0.5 of
            a plain sigmoid.
        mark: what the data are, in front of the title.
    """
    shown = min(SAMPLES, len(ids))
    if centre is None:
        centre = neutral(name, list(gates.values()))
    figure = new_figure(2.2 + 1.9 * (shown + 1), 0.9 + 2.5 * len(gates))
    axes = figure.subplots(len(gates), shown + 1, squeeze=False)
    for row, (m, gate) in zip(axes, gates.items(), strict=True):
        scale = centred([gate], centre)
        for ax, one, label in zip(row, gate[:shown], ids, strict=False):
            image = draw_gate(ax, one, scale)
            ax.set_title(shorten(str(label), 16), fontsize=8, parse_math=False)
        row[0].set_ylabel(f'{m}\nfeature', fontsize=8)
        image = draw_gate(row[-1], mean_over_samples(gate), scale)
        row[-1].set_title(f'mean of {len(gate)} samples', fontsize=8)
        colour_bar(image, row.tolist(), f'{name} (no unit)', shrink=0.9)
    for ax in axes[-1]:
        ax.set_xlabel('time (token)', fontsize=8)
    note(figure, f'{name} over time and feature; white is {centre:g}, grey is not there', mark)
    return figure


def mean_over_samples(gate: np.ndarray) -> np.ndarray:
    """(K, L, D) -> (L, D), NaN where no sample has the token."""
    real = np.isfinite(gate)
    count = real.sum(axis=0)
    total = np.where(real, gate, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def draw_gate(ax: Axes, gate: np.ndarray, scale: Normalize) -> AxesImage:
    """One gate (L, D): time to the right, features upwards."""
    ax.set_facecolor(PADDED)
    ax.tick_params(labelsize=7)
    if not np.isfinite(gate).any():
        say(ax, 'absent')
    image = ax.imshow(
        np.ma.masked_invalid(gate.T),
        aspect='auto',
        origin='lower',
        cmap=DIVERGING,
        norm=scale,
        interpolation='nearest',
    )
    if np.isfinite(gate).any():
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    return image
