"""SyncBuffers: all ranks validate the model that is saved."""

from typing import Any

from mmengine.dist import broadcast
from mmengine.hooks import Hook

from mmcalib.registry import HOOKS


@HOOKS.register_module()
class SyncBuffers(Hook):
    """Give every rank the buffers of rank 0 before a validation.

    Each rank updates the running statistics of its own batches. Rank 0 is the one that is saved,
    and torch's DDP too copies its buffers at every step; a mean over ranks would break counts
    and masks, and a resume in the middle of an epoch could not reproduce it.
    """

    # After EMAHook has put its averaged weights and buffers into the model.
    priority = 'VERY_LOW'

    def before_val_epoch(self, runner: Any) -> None:
        """Broadcast; nothing happens in a single process."""
        for buffer in runner.model.buffers():
            broadcast(buffer)
