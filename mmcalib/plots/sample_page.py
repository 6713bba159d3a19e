"""One sample beside its gates."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

from mmcalib.plots.gate_map import draw_gate
from mmcalib.plots.inputs import Shown
from mmcalib.plots.style import GROUPS, centred, colour_bar, neutral, new_figure, note, say, shorten

AXES = {
    'spectrogram': ('time (step)', 'frequency (bin)'),
    'features': ('time (token)', 'feature'),
    'wave': ('time', 'amplitude'),
}


def sample_page(
    inputs: Mapping[str, Shown | str],
    gates: Mapping[str, np.ndarray],
    title: str,
    facts: Mapping[str, str] = {},
    name: str = 'gate',
    mark: str = '',
    probability: Mapping[str, float] = {},
) -> Figure:
    """One row per modality: what the encoder saw, and the gate over time and feature.

    Args:
        inputs: per modality, what a sample looks like, or words where there is nothing to see.
        gates: per modality (L, D); NaN where the token is not real.
        title: of the page.
        facts: per modality, a line under its name: its values.
        name: of the gate.
        mark: what the data are, in front of the title.
        probability: of some classes, drawn below, the first on top.
    """
    bars_in = 0.6 + 0.25 * len(probability) if probability else 0.0
    figure = new_figure(9.5, 0.7 + 2.6 * len(inputs) + bars_in)
    pages: FigureBase = figure
    if probability:
        heights = (2.6 * len(inputs), bars_in)
        pages, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
        _bars(below.subplots(), probability)
    axes = pages.subplots(len(inputs), 2, squeeze=False, width_ratios=(1.6, 1))
    centre = neutral(name, list(gates.values()))
    for (left, right), (m, seen) in zip(axes, inputs.items(), strict=True):
        words = f'{m}: {facts[m]}' if facts.get(m) else m
        left.set_title(words, fontsize=9, loc='left', parse_math=False)
        gate = gates.get(m)
        if gate is None or not np.isfinite(gate).any():
            say(right, 'no gate' if gate is None else 'absent')
        else:
            image = draw_gate(right, gate, centred([gate], centre))
            right.set_xlabel('time (token)', fontsize=8)
            right.set_ylabel('feature', fontsize=8)
            right.set_title(f'{name}, mean {np.nanmean(gate):.3f}', fontsize=9)
            colour_bar(image, right, f'{name} (no unit)')
        if isinstance(seen, str):
            say(left, seen)
        else:
            _input(left, seen)
    note(figure, title, mark)
    return figure


def _bars(ax: Axes, probability: Mapping[str, float]) -> None:
    places = np.arange(len(probability))[::-1]
    bars = ax.barh(places, list(probability.values()), color=GROUPS['all'])
    ax.bar_label(bars, fmt='%.3f', padding=3, fontsize=8)
    ax.set_yticks(places, [shorten(label, 30) for label in probability], fontsize=8)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.set_xlim(0, 1.1)
    ax.set_xlabel('probability', fontsize=8)
    ax.tick_params(labelsize=8)


def _input(ax: Axes, seen: Shown) -> None:
    ax.tick_params(labelsize=7)
    if seen.kind == 'pictures':
        gap = np.full((seen.array.shape[1], 2, 3), 255, np.uint8)
        strip = [part for frame in seen.array for part in (frame, gap)][:-1]
        ax.imshow(np.concatenate(strip, axis=1))
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(f'{len(seen.array)} frame(s), time to the right', fontsize=8)
        return
    across, up = AXES[seen.kind]
    if seen.kind == 'wave':
        ax.plot(seen.array[0], lw=0.4, color='black')
    elif not np.isfinite(seen.array).any():
        say(ax, 'nothing finite')
    else:
        low, high = np.nanpercentile(seen.array, (1, 99))
        image = ax.imshow(
            np.ma.masked_invalid(seen.array),
            origin='lower',
            aspect='auto',
            cmap='magma',
            vmin=low,
            vmax=high,
            interpolation='nearest',
        )
        colour_bar(image, ax, 'as the encoder sees it')
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.set_xlabel(across, fontsize=8)
    ax.set_ylabel(up, fontsize=8)
