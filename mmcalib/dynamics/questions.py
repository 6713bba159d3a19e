"""Questions to a model about samples that are encoded already.

No hook of torch on a stage sees these passes, so that no other observer takes them for training.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmcalib.contract import Calibration, Signal, Signals
from mmcalib.dynamics.fixed_samples import Batch
from mmcalib.dynamics.measures import cosine, gradient

Replace = Callable[[Signals], Tensor | None]  # another prediction than the model's, or None


def without_others(encoded: Signals, kept: Iterable[str]) -> Signals:
    """The signals as if the samples had no other modalities than `kept`."""
    return {m: signal if m in kept else nothing(signal) for m, signal in encoded.items()}


def nothing(signal: Signal) -> Signal:
    """What an encoder gives for a batch that lacks the modality: one token, which is not real."""
    x, mask = signal
    return Signal(x.new_zeros(len(x), 1, x.shape[-1]), mask.new_zeros(len(x), 1))


def calibrate(model: Any, encoded: Signals) -> Calibration:
    """Signals and evidence of the calibrator."""
    return model.calibrator.forward(encoded)


def predict(model: Any, signals: Signals) -> Tensor:
    """What fuser and head say to calibrated signals: (B, ...)."""
    return model.head.forward(model.fuser.forward(signals).vector)


@torch.no_grad()
def predictions(
    model: Any,
    batches: Sequence[Batch],
    kept: Iterable[str],
    replace: Replace = lambda signals: None,
) -> list[dict[str, Any]]:
    """Per sample `prediction`, `target` and `id`, of the modalities `kept` alone."""
    told = []
    for batch in batches:
        signals = calibrate(model, without_others(batch.encoded, kept)).signals
        other = replace(signals)
        prediction = predict(model, signals) if other is None else other
        told += [
            {'prediction': p, 'target': t, 'id': i}
            for p, t, i in zip(prediction, batch.target, batch.id, strict=True)
        ]
    return told


@torch.no_grad()
def impact(model: Any, signals: Signals, target: Tensor) -> dict[str, Tensor]:
    """Delta (B,): the rise of a sample's loss when one modality is taken behind the calibrator.

    The other modalities stay as they were calibrated with it, as in VGMR (arXiv:2606.02679).
    """
    whole = model.head.loss(predict(model, signals), target)
    rise = {}
    for m in signals:
        less = {**signals, m: nothing(signals[m])}
        rise[m] = model.head.loss(predict(model, less), target) - whole
    return rise


def shared_parameters(model: Any) -> list[Tensor]:
    """Those of fuser and head that are trained."""
    parts = (model.fuser, model.head)
    return [p for part in parts for p in part.parameters() if p.requires_grad]


def gradients(model: Any, batch: Batch, parameters: Sequence[Tensor]) -> dict[str, Tensor]:
    """The gradient (P,) of the task loss of all modalities, 'all', and of each one alone.

    Each is that of the mean over the samples that have the modality, or any; what no sample of the
    batch has is left out.
    """
    kept = {'all': tuple(batch.encoded), **{m: (m,) for m in batch.encoded}}
    found = {}
    for name, modalities in kept.items():
        there = torch.stack([batch.encoded[m].present for m in modalities]).any(0)
        if not there.any():
            continue
        with torch.no_grad():
            signals = calibrate(model, without_others(batch.encoded, modalities)).signals
        with torch.enable_grad():
            loss = model.head.loss(predict(model, signals), batch.target)[there].mean()
            found[name] = gradient(loss, parameters)
    return found


def coupling(model: Any, batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Cosines, one per batch: of each modality to all, `<m>`, and of each pair, `<m>-<n>`."""
    parameters, names = shared_parameters(model), list(batches[0].encoded)
    pairs = {m: (m, 'all') for m in names} | {f'{m}-{n}': (m, n) for m, n in combinations(names, 2)}
    cosines: dict[str, list[float]] = {name: [] for name in pairs}
    for batch in batches if parameters and len(names) > 1 else ():
        found = gradients(model, batch, parameters)
        for name, (one, other) in pairs.items():
            if one in found and other in found:
                cosines[name].append(cosine(found[one], found[other]))
    return {name: [c for c in series if not np.isnan(c)] for name, series in cosines.items()}


class Observation(NamedTuple):
    """Evidence about one modality, of the samples that have it."""

    numbers: list[np.ndarray]  # of each sample, those of real tokens

    @property
    def means(self) -> np.ndarray:
        """(N,): of each sample."""
        return np.array([part.mean() for part in self.numbers])

    @property
    def spreads(self) -> np.ndarray:
        """Standard deviation within each sample; none where that is a single number."""
        return np.array([part.std() for part in self.numbers if part.size > 1])


class Observations(NamedTuple):
    """What a calibrator shows of some samples, and what each modality is worth to them."""

    evidence: dict[str, dict[str, Observation]]  # name -> modality, as in Calibration
    impact: dict[str, np.ndarray]  # Delta (N,), of the same samples


@torch.no_grad()
def observe(model: Any, batches: Sequence[Batch]) -> Observations:
    """Ask the calibrator about complete samples; those that lack a modality are left out of it."""
    told = Observations({}, {})
    impacts: dict[str, list[float]] = {}
    for batch in batches:
        calibration = calibrate(model, batch.encoded)
        rise = impact(model, calibration.signals, batch.target)
        for m, signal in batch.encoded.items():
            impacts.setdefault(m, []).extend(rise[m][signal.present].tolist())
        for name, parts in calibration.evidence.items():
            for m, value in parts.items():
                rows = batch.encoded[m].present
                into = told.evidence.setdefault(name, {}).setdefault(m, Observation([]))
                into.numbers.extend(real(value, calibration.signals[m].mask, rows))
    told.impact.update({m: np.array(values) for m, values in impacts.items()})
    return told


def real(value: Tensor, mask: Tensor, rows: Tensor) -> list[np.ndarray]:
    """Evidence (B, ...) of the rows (B,), flat; of (B, L, ...) only tokens in the mask (B, L)."""
    tokens = value.ndim > 2 and value.shape[:2] == mask.shape
    return [
        (value[row][mask[row]] if tokens else value[row]).float().flatten().cpu().numpy()
        for row in rows.nonzero().flatten().tolist()
    ]


def worth(
    score: Callable[[list[dict[str, Any]]], float],
    model: Any,
    batches: Sequence[Batch],
    wanted: Iterable[frozenset[str]],
    replace: Replace = lambda signals: None,
) -> dict[frozenset[str], float]:
    """The score of the predictions of each subset of modalities."""
    return {s: score(predictions(model, batches, s, replace)) for s in wanted}
