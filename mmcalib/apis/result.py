"""What a model says to one sample, and a picture of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmcalib.plots.inputs import Shown
from mmcalib.plots.sample_page import sample_page
from mmcalib.plots.style import png

TOP = 5  # classes of a picture


@dataclass(repr=False)
class Page:
    """What a picture shows besides the numbers."""

    inputs: Mapping[str, Shown | str]
    gates: Mapping[str, np.ndarray]
    gate: str
    mark: str


class Result(NamedTuple):
    """One sample."""

    prediction: Any  # a label; labels, of several or one per segment; a number or numbers; or None
    probability: dict[str, Any] | None  # by label, one number, or one per segment; None: no classes
    value: dict[str, float | None]  # by modality: means over channels, None where there is none
    gate: dict[str, float | None]  # by modality: of what multiplies its features
    missing: tuple[str, ...]  # modalities that the model did not have
    unreadable: dict[str, str]  # and why, where they were given
    evidence: dict[str, dict[str, float | None]]  # all that the calibrator tells, by name
    output: np.ndarray | None  # of the head, as it is
    id: str
    page: Page | None

    def top(self, count: int = TOP) -> dict[str, float]:
        """The most probable classes; of segments, by their mean."""
        means = {name: float(np.mean(p)) for name, p in (self.probability or {}).items()}
        return dict(sorted(means.items(), key=lambda item: -item[1])[:count])

    def words(self) -> str:
        """The prediction as text."""
        if self.prediction is None:
            return 'nothing to predict on'
        if isinstance(self.prediction, str):
            return f'{self.prediction} ({self.top(1)[self.prediction]:.3f})'
        if isinstance(self.prediction, list):
            spelled = [p if isinstance(p, str) else f'{p:.4g}' for p in self.prediction]
            return ', '.join(spelled) or 'none of the classes'
        return f'{self.prediction:.4g}'

    def plain(self) -> dict[str, Any]:
        """The same as JSON has it."""
        named = self._asdict()
        named.pop('page')
        output = None if self.output is None else self.output.tolist()
        return {**named, 'missing': list(self.missing), 'output': output}

    def draw(self, path: str | Path) -> Path:
        """Write a PNG: the inputs beside their gates, and the most probable classes.

        Raises:
            ValueError: it was not kept what is to be drawn.
        """
        if self.page is None:
            raise ValueError(
                'This result keeps no picture; of a list, inferencer(samples, pictures=True) does'
                if self.prediction is not None
                else 'There is nothing to draw: all modalities are missing'
            )
        facts = {}
        for m in self.page.inputs:
            told = {'value': self.value.get(m), 'gate': self.gate.get(m)}
            words = [f'{name} {x:.3f}' for name, x in told.items() if x is not None]
            facts[m] = ', '.join(words)
        name = f'{self.id}: ' if self.id else ''
        figure = sample_page(
            self.page.inputs,
            self.page.gates,
            name + self.words(),
            facts,
            self.page.gate or 'gate',
            self.page.mark,
            self.top(),
        )
        path = Path(path)
        path.write_bytes(png(figure))
        return path
