"""Draw a generated sample: one row per class, frames and spectrograms as decoded from the files."""

import csv
from pathlib import Path

import av
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from mmcalib.samples.plan import CATEGORIES, DAMAGES
from mmcalib.samples.scene import HEIGHT, LENGTH_S, WIDTH
from mmcalib.samples.sounds import RATE_HZ

_CLEAN = 2  # clips shown per class before the damaged one
_WINDOW = 512


def draw(root: Path, path: Path) -> None:
    """Write a PNG: per class two clean clips and a damaged one, with every damage once."""
    with (root / 'reliability.csv').open(newline='') as table:
        rows = list(csv.DictReader(table))
    with (root / 'Annotations.txt').open() as lines:
        spans = {line.split('&')[1]: line.split('&')[3:] for line in lines}
    figure = Figure(figsize=(9.6, 9.2), dpi=90, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(CATEGORIES), 2 * (_CLEAN + 1))
    for k, (category, line) in enumerate(zip(CATEGORIES, axes, strict=True)):
        clips = [row for row in rows if row['category'] == category]
        clean = [row for row in clips if not row['kind']][:_CLEAN]
        wanted = DAMAGES[k % len(DAMAGES)]
        damaged = [row for row in clips if (row['modality'], row['kind']) == wanted][:1]
        for j, row in enumerate([*clean, *damaged]):
            start, end = (int(second) for second in spans[row['id']])
            file = root / 'AVE' / f'{row["id"]}.mp4'
            _frame(line[2 * j], file, (start + end) / 2)
            _spectrogram(line[2 * j + 1], file, start, end)
            title = f'{row["modality"]}: {row["kind"]}' if row['kind'] else f'{start} to {end} s'
            title += f' ({row["source"].split(",")[0]})' if row['source'] else ''
            colour = 'firebrick' if row['kind'] else 'dimgrey'
            line[2 * j].set_title(title, fontsize=7, loc='left', pad=2, color=colour)
        line[0].set_ylabel(category.replace(', ', ',\n'), fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    # A palette: a third of the size, since neither noise nor a spectrogram compresses well.
    palette = picture.quantize(256, Image.Quantize.FASTOCTREE)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def _frame(ax: Axes, file: Path, time_s: float) -> None:
    with av.open(str(file)) as container:
        frames = (f for f in container.decode(video=0) if f.time is not None and f.time >= time_s)
        ax.imshow(next(frames).to_ndarray(format='rgb24'))
    ax.set_aspect(HEIGHT / WIDTH / ax.get_data_ratio())


def _spectrogram(ax: Axes, file: Path, start_s: float, end_s: float) -> None:
    """The upper 60 dB; time to the right, 0 to half the rate upwards; dots bound the event."""
    with av.open(str(file)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    windows = sliding_window_view(sound, _WINDOW)[:: _WINDOW // 2] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(windows)[:, 1:].T) ** 2
    coarse = power.reshape(_WINDOW // 4, 2, -1).mean(axis=1)[:, : len(windows) // 4 * 4]
    level = 10 * np.log10(coarse.reshape(_WINDOW // 4, -1, 4).max(axis=2) + 1e-8)
    extent = (0, len(sound) / RATE_HZ, 0, RATE_HZ / 2)
    top = max(level.max(), -20)
    ax.imshow(
        level, origin='lower', aspect='auto', extent=extent, vmin=top - 60, vmax=top, cmap='magma'
    )
    ax.vlines([start_s, end_s], 0, RATE_HZ / 2, color='w', lw=0.8, ls=':')
    ax.set_xlim(0, LENGTH_S)
