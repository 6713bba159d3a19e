"""A data set with modalities taken away."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from zlib import crc32

import numpy as np
import torch
from torch.utils.data import Dataset

from mmcalib.contract import Draw, Signal
from mmcalib.registry import DATASETS


@DATASETS.register_module()
class Missing(Dataset):
    """Any data set, whose samples lose modalities: zeros, and a mask that is all False.

    Modality m of sample i goes where u(seed, m, i) < rate(m), with u uniform in [0, 1) and
    independent between modalities. So what is missing at one rate is missing at every higher one
    (several rates have to grow in proportion, for `keep_one`), and neither the order, the epoch,
    the number of samples nor the other modalities matter: rates and models are compared on the same
    samples. `metainfo['missing']` holds the realised shares.

    Args:
        dataset: config of a data set, or the data set.
        rate: share in [0, 1] of the samples that lose each modality, or such a share by modality;
            a modality that is not named keeps its own.
        drop: a modality, or several, that every sample loses.
        seed: of the pattern; it is the same for every seed of the run.
        splits: take away only where the `split` in the data set's metainfo is this, or one of
            these; None takes away always.
        keep_one: a sample that would lose all it has keeps one, drawn evenly from those whose rate
            is not 1 by `drop`. Of two modalities each is then lost at rate - rate^2 / 2. False
            leaves nothing of some samples.
        each_epoch: draw anew in every epoch, as an augmentation.

    Raises:
        ValueError: a rate outside [0, 1], a modality that the data set has not, nothing left by
            `drop`, or `splits` for a data set that does not name its split.
    """

    METAINFO: Mapping[str, Any] = {'name': 'Missing'}

    def __init__(
        self,
        dataset: Mapping[str, Any] | Dataset,
        rate: float | Mapping[str, float] = 0.0,
        drop: str | Sequence[str] = (),
        seed: int = 0,
        splits: str | Sequence[str] | None = None,
        keep_one: bool = True,
        each_epoch: bool = False,
    ) -> None:
        built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.dataset = cast(Any, built)  # torch's Dataset has neither a length nor a metainfo
        meta = dict(self.dataset.metainfo)
        self.modalities: tuple[str, ...] = tuple(meta['modalities'])
        self.dropped = (drop,) if isinstance(drop, str) else tuple(drop)
        rates = dict(rate) if isinstance(rate, Mapping) else dict.fromkeys(self.modalities, rate)
        asked = f'Missing(rate={rate}, drop={drop!r})'
        if unknown := sorted({*rates, *self.dropped} - set(self.modalities)):
            has = f'{meta.get("name", "the data set")} has only {list(self.modalities)}'
            raise ValueError(f'{asked} names {unknown}, but {has}')
        if wrong := {m: r for m, r in rates.items() if not 0 <= r <= 1}:
            raise ValueError(f'{asked}: {wrong} is no share in [0, 1]')
        if set(self.dropped) == set(self.modalities) and keep_one:
            raise ValueError(f'{asked} drops all modalities; keep_one=False leaves nothing')
        if splits is not None and 'split' not in meta:
            raise ValueError(f'Missing(splits={splits}), but the data set names no split: {meta}')
        named = (splits,) if isinstance(splits, str) else splits
        self.active = named is None or meta['split'] in named
        self.rates = np.array([rates.get(m, 0.0) for m in self.modalities])
        self.seed, self.keep_one, self.each_epoch = seed, keep_one, each_epoch
        shares = self.pattern(0).mean(axis=0).tolist() if self.active else [0.0] * len(self.rates)
        meta['missing'] = {
            'rate': dict(zip(self.modalities, self.rates.tolist(), strict=True)),
            'drop': self.dropped,
            'seed': seed,
            'keep_one': keep_one,
            'each_epoch': each_epoch,
            'share': dict(zip(self.modalities, shares, strict=True)),
        }
        self.metainfo = meta

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        item = self.dataset[key]
        if not self.active:
            return item
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key])
        present = np.array([bool(item['inputs'][m].mask.any()) for m in self.modalities])
        lost = self.lost(self.uniform(draw.sample, draw.epoch)[np.newaxis], present)[0]
        inputs = dict(item['inputs'])
        for modality in np.array(self.modalities)[lost].tolist():
            x, mask = inputs[modality]
            inputs[modality] = Signal(torch.zeros_like(x), torch.zeros_like(mask))
        return {**item, 'inputs': inputs}

    def uniform(self, sample: int, epoch: int = 0) -> np.ndarray:
        """(M,) numbers in [0, 1) of one sample."""
        # A jump to the sample's place in its modality's stream: what `pattern` draws in one go.
        streams = [bits.advance(sample) for bits in self._bits(epoch)]
        return np.array([np.random.Generator(bits).random() for bits in streams])

    def pattern(self, epoch: int = 0) -> np.ndarray:
        """(N, M) bool: what is taken of samples that have every modality."""
        streams = [np.random.Generator(bits).random(len(self)) for bits in self._bits(epoch)]
        return self.lost(np.stack(streams, axis=1), np.ones(len(self.modalities), dtype=bool))

    def lost(self, uniform: np.ndarray, present: np.ndarray) -> np.ndarray:
        """(N, M) numbers and (M,) what samples have -> (N, M) bool, what they lose."""
        forced = np.isin(self.modalities, self.dropped)
        lost = (uniform < self.rates) | forced
        may_stay = present & ~forced
        if self.keep_one and may_stay.any():
            # Of numbers below their rates, the largest share of its rate: each is as likely.
            shares = np.where(may_stay, uniform / np.maximum(self.rates, np.finfo(float).tiny), -1)
            last = ~(may_stay & ~lost).any(axis=1)
            lost[last, shares[last].argmax(axis=1)] = False
        return lost

    def _bits(self, epoch: int) -> list[np.random.PCG64]:
        """One generator per modality, by its name, so that other modalities do not matter."""
        when = epoch if self.each_epoch else 0
        return [
            np.random.PCG64((self.seed, when, crc32(modality.encode())))
            for modality in self.modalities
        ]
