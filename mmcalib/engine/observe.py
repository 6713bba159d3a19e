"""Observe: what every stage makes of a batch, without leaving a trace."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Signal, Signals

GATES = ('effective_gate', 'gate')  # what multiplies the features: the first that is there
Rows = dict[str, np.ndarray]  # of a batch, first axis B


class Observed(NamedTuple):
    """One forward pass."""

    encoded: Signals
    calibration: Calibration
    fused: Tensor  # (B, F)
    prediction: Tensor  # (B, ...)
    by_token: frozenset[tuple[str, str]]  # (evidence, modality) with an axis of tokens


@contextmanager
def unmoved() -> Iterator[None]:
    """Afterwards, Python's, numpy's and torch's random states are what they were."""
    states = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def observe(model: Any, inputs: Signals) -> Observed:
    """One pass of a MultimodalModel over raw signals; the caller chooses mode and gradients."""
    seen: dict[str, Any] = {}

    def keep(stage: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            seen[stage] = (args[0], output)

        return hook

    names = ('calibrator', 'fuser', 'head')
    handles = [getattr(model, name).register_forward_hook(keep(name)) for name in names]
    try:
        model(inputs=inputs, mode='tensor')
    finally:
        for handle in handles:
            handle.remove()
    encoded, calibration = seen['calibrator']
    tokens = token_evidence(model.calibrator, encoded)
    return Observed(encoded, calibration, seen['fuser'][1].vector, seen['head'][1], tokens)


def token_evidence(calibrator: nn.Module, encoded: Signals) -> frozenset[tuple[str, str]]:
    """Which evidence has an axis of tokens: that which doubles when tokens do.

    Its shape alone does not tell: (B, 160) may be 160 tokens or 160 channels.
    """
    short = {m: Signal(s.x[:1], s.mask[:1]) for m, s in encoded.items()}
    long = {
        m: Signal(torch.cat([s.x, s.x], 1), torch.cat([s.mask, torch.zeros_like(s.mask)], 1))
        for m, s in short.items()
    }
    one, two = calibrator(short).evidence, calibrator(long).evidence
    return frozenset(
        (name, m)
        for name, by_modality in one.items()
        for m, given in by_modality.items()
        if given.ndim > 1 and two[name][m].shape[1] == 2 * given.shape[1]
    )


def pooled(seen: Observed) -> Rows:
    """Means over real tokens, NaN where the modality is absent; docs/features.md names them."""
    rows = {'fused': array(seen.fused), 'prediction': array(seen.prediction)}
    for m, before in seen.encoded.items():
        after = seen.calibration.signals[m]
        rows[f'present/{m}'] = before.present.cpu().numpy()
        rows[f'before/{m}'] = where_present(before.mean(), before)
        rows[f'after/{m}'] = where_present(after.mean(), after)
        for name, by_modality in seen.calibration.evidence.items():
            if m in by_modality:
                given = by_modality[m]
                if (name, m) in seen.by_token:
                    mask = before.mask if before.mask.shape[1] == given.shape[1] else after.mask
                    wide = given.reshape(*given.shape[:2], -1)
                    mean = Signal(wide, mask).mean()
                    given = mean.squeeze(-1) if given.ndim == 2 else mean
                rows[f'evidence/{name}/{m}'] = where_present(given, before)
        if (gate := gate_of(seen, m)) is not None:
            lost = Signal((before.clean() * (1 - gate)).clamp(min=0), before.mask)
            rows[f'suppression/{m}'] = where_present(lost.mean().mean(-1), before)
    return rows


def gate_name(evidence: Mapping[str, Any]) -> str:
    """The evidence that multiplies the features; '' if none does."""
    return next((name for name in GATES if name in evidence), '')


def gate_of(seen: Observed, modality: str) -> Tensor | None:
    """(B, L, D): the gate of every feature of a modality, however it is given; None without."""
    evidence = seen.calibration.evidence
    x, name = seen.encoded[modality].x, gate_name(evidence)
    if not name or modality not in evidence[name]:
        return None
    gate = evidence[name][modality]
    if gate.ndim == 1:
        gate = gate[:, None, None]
    elif gate.ndim == 2:
        gate = gate.unsqueeze(-1 if (name, modality) in seen.by_token else 1)
    fits = gate.ndim == 3 and all(g in (1, n) for g, n in zip(gate.shape, x.shape, strict=True))
    return gate.to(x.dtype).expand_as(x) if fits else None


def whole_gates(seen: Observed, count: int) -> dict[str, list[np.ndarray]]:
    """Of the first samples, per modality, (L, D) each: NaN where the token is not real."""
    whole = {}
    for m, signal in seen.encoded.items():
        gate = gate_of(seen, m)
        if gate is not None:
            real = signal.mask[:count].unsqueeze(-1)
            whole[m] = list(array(gate[:count].masked_fill(~real, torch.nan)))
    return whole


def where_present(values: Tensor, signal: Signal) -> np.ndarray:
    """Values (B, ...) as an array, NaN for the samples that lack the modality."""
    result = array(values).astype(np.float32)
    result[~signal.present.cpu().numpy()] = np.nan
    return result


def array(values: Tensor) -> np.ndarray:
    """On the CPU, floating point as float32: numpy has no bfloat16."""
    values = values.detach().float() if values.is_floating_point() else values.detach()
    return values.cpu().numpy().copy()
