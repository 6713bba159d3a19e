"""Which class is taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from mmcalib.plots.style import PADDED, colour_bar, new_figure, note, shorten

NUMBERS = 15  # classes up to which cells hold numbers


def confusion(
    target: np.ndarray, predicted: np.ndarray, classes: Sequence[str] = (), mark: str = ''
) -> Figure:
    """Rows are true classes and sum to 1; a class that occurs on neither side is left out.

    Args:
        target: true class numbers (n,).
        predicted: predicted class numbers (n,).
        classes: names of the classes.
        mark: what the data are, in front of the title.
    """
    used = np.union1d(target, predicted)
    counts = confusion_matrix(target, predicted, labels=used)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    side = 2.6 + max(2.2, min(9.0, 0.52 * len(used)))
    figure = new_figure(side + 0.8, side)
    ax = figure.subplots()
    ax.set_facecolor(PADDED)
    image = ax.imshow(np.ma.masked_invalid(shares), cmap='cividis', vmin=0, vmax=1)
    names = [shorten(str(classes[k])) if 0 <= k < len(classes) else str(k) for k in used]
    size = 8 if len(used) <= 40 else 5
    ax.set_xticks(range(len(used)), names, rotation=90, fontsize=size, parse_math=False)
    ax.set_yticks(range(len(used)), names, fontsize=size, parse_math=False)
    ax.set_xlabel('predicted class')
    ax.set_ylabel('true class')
    if len(used) <= NUMBERS:
        for (i, j), share in np.ndenumerate(shares):
            if counts[i, j]:
                ax.text(
                    j,
                    i,
                    f'{share:.2f}',
                    ha='center',
                    va='center',
                    fontsize=8,
                    color='white' if share < 0.55 else 'black',
                )
    colour_bar(image, ax, 'share of the true class', shrink=0.8)
    right = np.mean(target == predicted)
    note(figure, f'Confusion, accuracy {right:.3f}, n = {len(target)}; grey: no such sample', mark)
    return figure
