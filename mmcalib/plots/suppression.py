"""How much the gate takes away, per modality."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mmcalib.plots.style import GROUPS, new_figure, note


def suppression(
    values: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray] | None = None,
    mark: str = '',
) -> Figure:
    """A box per modality and group: quartiles, whiskers to 1.5 times their distance, and the mean.

    Args:
        values: per modality (n,), mean of max(0, x - x * gate); NaN: not there, left out.
        groups: per modality (n,) of 'clean', 'corrupted', 'swapped' or '' (left out); None: all.
        mark: what the data are, in front of the title.
    """
    names = list(values)
    figure = new_figure(2.6 + 1.9 * len(names), 3.6)
    ax = figure.subplots()
    used = [g for g in GROUPS if groups is not None and any((groups[m] == g).any() for m in names)]
    used = used or ['all']
    width = 0.7 / len(used)
    for k, name in enumerate(used):
        for j, m in enumerate(names):
            rows = np.isfinite(values[m]) & (True if groups is None else groups[m] == name)
            data = values[m][rows]
            if not len(data):
                continue
            place = j + (k - (len(used) - 1) / 2) * width
            box = ax.boxplot(
                data,
                positions=[place],
                widths=0.8 * width,
                patch_artist=True,
                showmeans=True,
                flierprops={'markersize': 3},
                medianprops={'color': 'black'},
                meanprops={'marker': 'D', 'markerfacecolor': 'white', 'markeredgecolor': 'black'},
            )
            box['boxes'][0].set(facecolor=GROUPS[name], alpha=0.6)
            ax.annotate(
                f'n = {len(data)}',
                (place, 0),
                (0, 3),
                xycoords=('data', 'axes fraction'),
                textcoords='offset points',
                ha='center',
                fontsize=7,
            )
    handles = [ax.bar([0], [0], color=GROUPS[name], alpha=0.6, label=name) for name in used]
    if groups is not None:
        ax.legend(handles=handles, fontsize=8, frameon=False, title='this modality is')
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.08 * (high - low), high)
    ax.set_ylabel('mean of max(0, x - x · gate)\n(unit of the features)', fontsize=8)
    note(figure, 'Suppression, before any normalisation; diamond: mean', mark)
    return figure
