"""FixedSamples: the same few validation samples after every epoch, as the encoders see them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmcalib.contract import Signal, Signals


class Sample(NamedTuple):
    """One sample, on the CPU."""

    place: int  # in the data set
    encoded: Signals  # x (L_m, D_m), mask (L_m,)
    target: Tensor
    id: str


class Batch(NamedTuple):
    """Several, on the device of the model."""

    encoded: Signals  # x (B, L_m, D_m), mask (B, L_m)
    target: Tensor
    id: list[str]


class FixedSamples:
    """Keep what the encoders make of some samples while a validation passes by.

    No sample is decoded or encoded twice. The samples are a function of the seed and of the size of
    the data set. With several processes, rank r of W validates the samples r, r + W, ..., as
    unshuffled samplers hand them out; repetitions at the end are left out.

    Args:
        count: how many at most; None keeps all.
        seed: of the choice.
    """

    def __init__(self, count: int | None = 64, seed: int = 0) -> None:
        if count is not None and count < 1:
            raise ValueError(f'FixedSamples(count={count}); it is 1 or more, or None for all')
        self.count, self.seed = count, seed
        self._handles: list[Any] = []
        self.begin(0)

    def begin(self, length: int) -> None:
        """Forget what there is; choose from a data set of `length` samples."""
        count = length if self.count is None else min(self.count, length)
        generator = np.random.default_rng(self.seed)
        self.chosen = (
            set(generator.choice(length, count, replace=False).tolist()) if count else set()
        )
        self.samples: list[Sample] = []
        self._seen = 0  # samples of this rank that passed by
        self._watching = False
        self._encoded: Signals = {}

    def attach(self, encoders: Mapping[str, nn.Module]) -> None:
        """Tap the encoders."""
        for m, encoder in encoders.items():
            self._handles.append(encoder.register_forward_hook(self._tap(m)))

    def detach(self) -> None:
        """Leave the encoders as they were."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def watch(self) -> None:
        """The next forward pass is one of validation."""
        self._watching, self._encoded = True, {}

    def take(self, samples: Sequence[Mapping[str, Any]]) -> list[int]:
        """Keep the chosen ones of a batch, as the model predicted it; their places in the set."""
        rank, world = get_dist_info()
        places = [rank + world * (self._seen + row) for row in range(len(samples))]
        self._seen += len(samples)
        encoded, self._encoded, self._watching = self._encoded, {}, False
        rows = [row for row, place in enumerate(places) if place in self.chosen]
        if rows and encoded:
            parts = {
                m: Signal(s.x[rows].float().cpu(), s.mask[rows].cpu()) for m, s in encoded.items()
            }
            for index, row in enumerate(rows):
                one = {
                    m: Signal(x[index].clone(), mask[index].clone())
                    for m, (x, mask) in parts.items()
                }
                given = samples[row]
                target = given['target'].detach().cpu()
                self.samples.append(
                    Sample(places[row], one, target, str(given.get('id', places[row])))
                )
        return places

    def gather(self) -> list[Sample]:
        """The samples of all processes, in the order of the data set."""
        every = [sample for part in all_gather_object(self.samples) for sample in part]
        self.samples = []
        return sorted(every, key=lambda sample: sample.place)

    def _tap(self, modality: str) -> Any:
        def tap(module: nn.Module, args: Any, output: Signal) -> None:
            if self._watching:
                self._encoded[modality] = Signal(output.x.detach(), output.mask)

        return tap


def batches(samples: Sequence[Sample], size: int, device: torch.device | str) -> list[Batch]:
    """Samples in groups of `size`, padded."""
    groups = [samples[start : start + size] for start in range(0, len(samples), size)]
    return [stack(group, device) for group in groups]


def stack(samples: Sequence[Sample], device: torch.device | str) -> Batch:
    """One batch; signals of different lengths are padded with tokens that are not real."""
    encoded = {}
    for m in samples[0].encoded:
        x = pad_sequence([sample.encoded[m].x for sample in samples], batch_first=True)
        mask = pad_sequence([sample.encoded[m].mask for sample in samples], batch_first=True)
        encoded[m] = Signal(x.to(device), mask.to(device))
    target = torch.stack([sample.target for sample in samples]).to(device)
    return Batch(encoded, target, [sample.id for sample in samples])
