"""EpochLoop: training by epochs that can stop anywhere and go on as if it had not."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop
from torch import nn
from torch.utils.data import BatchSampler

from mmcalib.registry import LOOPS


@LOOPS.register_module()
class EpochLoop(EpochBasedTrainLoop):
    """mmengine's epochs, resumable at every iteration and during validation.

    Hooks get one more call, `after_epoch(runner)`: the epoch is trained, its schedulers have
    stepped, and its validation, if it has one, is done. What is saved there is complete.

    Differs from mmengine: a state from the middle of an epoch continues with the next batch, where
    mmengine starts the epoch again; a state whose validation is missing validates first.

    Raises:
        ValueError: on resume, when the state is from the middle of an epoch that had another
            number of batches.
    """

    _iter: int

    def run(self) -> nn.Module:
        """Train, beginning where the resumed state stopped."""
        self._fit_epoch_length()
        self.runner.call_hook('before_train')
        if self._epoch and not self._seen and self._closed != self._epoch:
            self.close_epoch()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self.close_epoch()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on those batches of the epoch that are still unseen."""
        self.runner.call_hook('before_train_epoch')  # this sets the epoch of the sampler
        self.runner.model.train()
        for index, batch in enumerate(self._unseen(self._seen), start=self._seen):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def close_epoch(self) -> None:
        """Validate the epoch if that is due, and tell the hooks that it is complete."""
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
            self.runner.val_loop.run()
        self.runner.message_hub.update_info('closed_epochs', self._epoch)
        self.runner.call_hook('after_epoch')

    @property
    def _seen(self) -> int:
        """Batches of the current epoch that the model has been trained on."""
        return self._iter - self._epoch * len(self.dataloader)

    @property
    def _closed(self) -> int:
        """Epochs that are complete with validation; a checkpoint carries it."""
        return self.runner.message_hub.get_info('closed_epochs', 0)

    def _unseen(self, seen: int) -> Iterator[Any]:
        batches = self.dataloader.batch_sampler
        sampler: Any = getattr(batches, 'sampler', None)
        if type(batches) is BatchSampler and hasattr(sampler, 'skip'):
            sampler.skip(seen * batches.batch_size)
            return iter(self.dataloader)
        return islice(self.dataloader, seen, None)  # loads what it leaves out, which takes longer

    def _fit_epoch_length(self) -> None:
        """Between epochs the number of batches may change, with the batch size or the GPUs."""
        hub, length = self.runner.message_hub, len(self.dataloader)
        before = hub.get_info('epoch_length', length)
        if before != length:
            if self._iter != self._epoch * before:
                raise ValueError(
                    f'The checkpoint stopped in epoch {self._epoch + 1} after iteration '
                    f'{self._iter}, when an epoch had {before} batches; now it has {length}. '
                    'Resume with the same data set, batch size and number of processes, or from '
                    'a checkpoint of a whole epoch'
                )
            self.runner.logger.warning(
                f'An epoch has {length} batches, but had {before} before the resume; schedules '
                'that count iterations move'
            )
            self._iter = self._epoch * length
        hub.update_info('epoch_length', length)
