"""EpochSampler: which samples a rank sees in an epoch, and with which randomness."""

from collections.abc import Iterator, Sized
from itertools import islice

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmcalib.contract import Draw
from mmcalib.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler[Draw]):
    """Yield `Draw(sample, epoch, seed)`, rank by rank in turn.

    The order is a function of (seed, epoch): the same with any number of workers and after a
    resume. Rank r of W takes places r, r + W, ... of it, so that results gathered in turn from
    the ranks are in the order of the data set.

    Args:
        dataset: what is sampled.
        shuffle: a new order in every epoch; False yields 0, 1, ... in epoch 0, as for testing.
        seed: the same on all ranks; None draws one.
        round_up: repeat the first samples until all ranks have equally many. The repetitions are
            last, where mmengine's `collect_results` cuts them off.

    Raises:
        ValueError: the data set is empty.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        if not len(dataset):
            raise ValueError('EpochSampler was given an empty data set; it needs a sample')
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed: int = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.rank, self.world_size = get_dist_info()
        self.epoch = 0
        self._skip = 0

    def __iter__(self) -> Iterator[Draw]:
        skip, self._skip = self._skip, 0
        epoch = self.epoch if self.shuffle else 0
        places = np.arange(len(self.dataset))
        if self.shuffle:
            places = np.random.default_rng((self.seed, epoch)).permutation(places)
        if self.round_up:
            places = np.resize(places, self.world_size * len(self))
        mine = places[self.rank :: self.world_size].tolist()
        return (Draw(sample, epoch, self.seed) for sample in islice(mine, skip, None))

    def __len__(self) -> int:
        """Samples of this rank in an epoch, whatever is skipped."""
        extra = self.world_size - 1 if self.round_up else self.world_size - 1 - self.rank
        return (len(self.dataset) + extra) // self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; mmengine's DistSamplerSeedHook calls it before every epoch."""
        self.epoch = epoch

    def skip(self, samples: int) -> None:
        """Leave out the first `samples` of the next iteration, and of that one only."""
        self._skip = samples
