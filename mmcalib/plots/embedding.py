"""Where samples lie before and after calibration: PCA and t-SNE of the pooled signals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import TSNE

from mmcalib.plots.style import REST, colour_bar, finite_rows, looks, new_figure, note, say, shorten

CLASSES = 20  # that get a colour of their own
LEAST = 5  # samples
ROUNDS = 500  # of t-SNE's gradient descent
PERPLEXITY = 30.0
FIRST = 50  # components of the PCA that t-SNE sees, as its authors recommend


def embedding(
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    target: np.ndarray | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
    mark: str = '',
) -> Figure:
    """One row per modality: PCA before and after, t-SNE before and after.

    Args:
        before: per modality (n, D); a row with a NaN is a sample without the modality, left out.
        after: the same after calibration.
        target: class numbers (n,), other numbers (n,), or None: all in one colour.
        classes: names of the classes.
        seed: of t-SNE.
        mark: what the data are, in front of the title.
    """
    figure = new_figure(13.5, 0.9 + 2.9 * len(before))
    axes = figure.subplots(len(before), 4, squeeze=False)
    painter = Painter(target, classes)
    for row, m in zip(axes, before, strict=True):
        for k, (when, points) in enumerate((('before', before[m]), ('after', after[m]))):
            keep = finite_rows(points)
            title = f'{m} {when} (n = {keep.sum()})'
            places = points[keep].astype(np.float64)
            _panel(row[k], f'PCA: {title}', *pca(places), painter, keep)
            _panel(row[2 + k], f't-SNE: {title}', *tsne(places, seed), painter, keep)
    painter.legend(figure, axes)
    note(figure, f'Pooled signals before and after calibration{painter.says}', mark)
    return figure


def pca(points: np.ndarray) -> tuple[np.ndarray | None, tuple[str, str]]:
    """Places (n, 2) on the first two principal components, and the axes' names."""
    names = ('component 1', 'component 2')
    if len(points) < LEAST or not (spread := points - points.mean(axis=0)).any():
        return None, names
    left, sizes, _ = np.linalg.svd(spread, full_matrices=False)
    places = np.pad(left * sizes, ((0, 0), (0, 2)))[:, :2]
    shares = np.pad(sizes**2 / (sizes**2).sum(), (0, 2))[:2]
    first, second = (f'{n} ({s:.0%} of variance)' for n, s in zip(names, shares, strict=True))
    return places, (first, second)


def tsne(points: np.ndarray, seed: int) -> tuple[np.ndarray | None, tuple[str, str]]:
    """Places (n, 2) by t-SNE of the first principal components, and the axes' names."""
    names = ('t-SNE 1 (no unit)', 't-SNE 2 (no unit)')
    if len(points) < LEAST or not (spread := points - points.mean(axis=0)).any():
        return None, names
    left, sizes, _ = np.linalg.svd(spread, full_matrices=False)
    first = (left * sizes)[:, :FIRST]
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    model = TSNE(perplexity=perplexity, init='random', max_iter=ROUNDS, random_state=seed)
    return model.fit_transform(first / first.std()), names


class Painter:
    """Which sample gets which look, and what the legend says."""

    def __init__(self, target: np.ndarray | None, classes: Sequence[str]) -> None:
        self.target, self.values = target, None
        self.shown: list[int] = []
        self.names, self.says = classes, ''
        if target is None or target.ndim != 1:
            self.says = '; the target is no single class or number: no colours'
            self.target = None
        elif target.dtype.kind == 'f':
            self.values = target
        else:
            found, counts = np.unique(target, return_counts=True)
            frequent = found[np.argsort(-counts, kind='stable')][:CLASSES]
            self.shown = sorted(frequent.tolist())
            if len(found) > CLASSES:
                self.says = f'; the {CLASSES} most frequent of {len(found)} classes in colours'

    def paint(self, ax: Axes, places: np.ndarray, keep: np.ndarray) -> None:
        """Draw the samples at `places`; `keep` (n,) says which ones they are."""
        x, y = places.T
        if self.values is not None:
            low, high = self.values.min(), self.values.max()
            ax.scatter(x, y, c=self.values[keep], s=14, cmap='cividis', vmin=low, vmax=high)
        elif self.target is None:
            ax.scatter(x, y, s=14, color=REST)
        else:
            target = self.target[keep]
            rest = ~np.isin(target, self.shown)
            if rest.any():
                ax.scatter(x[rest], y[rest], s=8, color=REST)
            for k, look in zip(self.shown, looks(len(self.shown)), strict=True):
                if (some := target == k).any():
                    ax.scatter(x[some], y[some], s=16, linewidths=0, alpha=0.85, **look)

    def legend(self, figure: Figure, axes: np.ndarray) -> None:
        """To the right of all panels."""
        if self.values is not None:
            drawn = [ax.collections[0] for ax in axes.flat if ax.collections]
            if drawn:
                colour_bar(drawn[0], axes, 'target', shrink=0.8)
        elif self.target is not None:
            handles = [
                Line2D([], [], ls='', label=self._name(k), **look)
                for k, look in zip(self.shown, looks(len(self.shown)), strict=True)
            ]
            if not np.isin(self.target, self.shown).all():
                handles.append(Line2D([], [], ls='', marker='o', color=REST, label='other classes'))
            figure.legend(handles=handles, loc='outside right upper', fontsize=8, frameon=False)

    def _name(self, k: int) -> str:
        return shorten(str(self.names[k])) if 0 <= k < len(self.names) else str(k)


def _panel(
    ax: Axes,
    title: str,
    places: np.ndarray | None,
    names: tuple[str, str],
    painter: Painter,
    keep: np.ndarray,
) -> None:
    ax.set_title(title, fontsize=9)
    if places is None:
        say(ax, f'fewer than {LEAST} samples,\nor all the same')
        return
    painter.paint(ax, places, keep)
    ax.set_xlabel(names[0], fontsize=8)
    ax.set_ylabel(names[1], fontsize=8)
    ax.tick_params(labelsize=7)
