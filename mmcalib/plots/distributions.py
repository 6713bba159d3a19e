"""How evidence is distributed over samples, intact and damaged ones apart."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmcalib.plots.style import GROUPS, new_figure, note, say

BINS = 20
STYLES = ('-', '-', '--', ':')  # of the groups, for those who see no colours


def distributions(
    evidence: Mapping[str, Mapping[str, np.ndarray]],
    groups: Mapping[str, np.ndarray] | None = None,
    mark: str = '',
) -> Figure:
    """One row per evidence, one column per modality: a histogram per group, and its mean.

    Args:
        evidence: by name and modality (n,); NaN: not there, left out.
        groups: per modality (n,) of 'clean', 'corrupted', 'swapped' or '' (left out); None: all.
        mark: what the data are, in front of the title.
    """
    modalities = list(dict.fromkeys(m for values in evidence.values() for m in values))
    figure = new_figure(1.8 + 3.4 * len(modalities), 1.1 + 1.9 * len(evidence))
    axes = figure.subplots(len(evidence), len(modalities), squeeze=False)
    for row, (name, values) in zip(axes, evidence.items(), strict=True):
        for ax, m in zip(row, modalities, strict=True):
            ax.tick_params(labelsize=7)
            ax.set_xlabel(
                f'{name} (unit of the features)' if name == 'suppression' else name, fontsize=8
            )
            given = values.get(m, np.array([]))
            keep = np.isfinite(given)
            if not keep.any():
                say(ax, 'none')
                continue
            named = np.array(['all'] * len(given)) if groups is None else groups[m]
            _histogram(ax, given[keep], named[keep])
        row[0].set_ylabel('share of samples', fontsize=8)
    labels = {
        m: np.array(['all'] * len(v)) for values in evidence.values() for m, v in values.items()
    }
    labels = labels if groups is None else dict(groups)
    for ax, m in zip(axes[0], modalities, strict=True):
        counts = [f'{name} {(labels[m] == name).sum()}' for name in GROUPS if name in labels[m]]
        ax.set_title(f'{m}: {", ".join(counts)}', fontsize=9)
    if groups is not None:
        lines = [
            Line2D([], [], color=colour, ls=style, label=name)
            for (name, colour), style in zip(GROUPS.items(), STYLES, strict=True)
            if any((of == name).any() for of in groups.values())
        ]
        figure.legend(handles=lines, loc='outside lower left', ncols=4, fontsize=8, frameon=False)
    what = '.' if groups is None else ': is this modality clean, corrupted or swapped?'
    note(figure, f'Evidence per sample{what} Vertical lines: means', mark)
    return figure


def _histogram(ax: Axes, values: np.ndarray, named: np.ndarray) -> None:
    low, high = values.min(), values.max()
    apart = max(high - low, 1e-6 * max(1.0, abs(low)))  # all the same: one bar
    edges = np.linspace(low - 0.02 * apart, high + 0.02 * apart, BINS + 1).tolist()
    for k, (name, colour) in enumerate(GROUPS.items()):
        some = values[named == name]
        if not len(some):
            continue
        style = STYLES[k]
        weights = np.full(len(some), 1 / len(some))
        ax.hist(some, edges, weights=weights, histtype='stepfilled', color=colour, alpha=0.15)
        ax.hist(some, edges, weights=weights, histtype='step', color=colour, ls=style, lw=1.5)
        ax.axvline(some.mean(), color=colour, ls=style, lw=1)
