"""Runner: mmengine's Runner, mended for current PyTorch."""

import atexit
import gc
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import mmengine.runner
import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.model import is_model_wrapper
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmcalib.engine.ordered_config import OrderedConfig
from mmcalib.registry import DATASETS, MODELS, build

_DDP = 'MMDistributedDataParallel'


class Runner(mmengine.runner.Runner):
    """What differs from mmengine's Runner 0.10.7.

    - It trains with several processes on CPUs too: `launcher='pytorch'` under torchrun.
    - All ranks use the buffers of rank 0 (torch's default), so that what is saved is what trained.
    - The model and the data sets are built by mmcalib's registries, whose errors say what exists.
    - Checkpoints are written atomically, and resumed on the CPU, so that a GPU holds one copy.
    - A resumed seed also reaches samplers that drew theirs at random.
    - Runs that start in one second share no state.
    - Data workers leave Ctrl-C to their owner.
    - The environment report does not import torchvision, whose every mismatch would end the run.
    - Its config is written in order, and without yapf: that takes 0.4 s per checkpoint and log.

    Raises:
        ValueError: another launcher than 'pytorch' without CUDA.
    """

    _taken: set[str] = set()
    _timestamp: str

    @classmethod
    def from_cfg(cls, cfg: Config | dict[str, Any]) -> 'Runner':
        """Build a runner as mmengine does, but for its config's text."""
        if isinstance(cfg, Config):
            cfg = OrderedConfig(cfg.to_dict(), cfg.text, cfg.filename, cfg.env_variables)
        return super().from_cfg(cfg)  # type: ignore[return-value]

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Join the processes through gloo if there is no GPU, then do as mmengine."""
        if self.distributed and not torch.cuda.is_available() and not is_distributed():
            if self.launcher != 'pytorch':
                raise ValueError(
                    f"launcher={self.launcher!r} needs CUDA, and there is none; on CPUs 'pytorch' "
                    'is possible, under torchrun'
                )
            seconds = env_cfg.get('dist_cfg', {}).get('timeout', 1800)
            torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=seconds))
            atexit.register(_leave)
        super().setup_env(env_cfg)
        # mmengine names a run, its log and its state by the second in which it starts.
        second, others = self._timestamp, count(2)
        while self._timestamp in Runner._taken:
            self._timestamp = f'{second}_{next(others)}'
        Runner._taken.add(self._timestamp)

    def build_model(self, model: nn.Module | dict[str, Any]) -> nn.Module:
        """Build the model with mmcalib's errors."""
        return super().build_model(build(model, MODELS) if isinstance(model, dict) else model)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict[str, Any],
        seed: int | None = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader:
        """Build the data set with mmcalib's errors, and the loader around it as mmengine does."""
        if isinstance(dataloader, DataLoader):
            return dataloader
        if isinstance(dataloader.get('dataset'), dict):
            # Not built here: mmengine copies what it is given, and a data set may be large.
            later = {'type': _build_dataset, 'cfg': dataloader['dataset']}
            dataloader = {**dataloader, 'dataset': later}
        loader = mmengine.runner.Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        loader.worker_init_fn = partial(_start_worker, start=loader.worker_init_fn)
        return loader

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Wrap with DDP, on CPUs without a device."""
        cfg = model_wrapper_cfg or {}
        if self.distributed and not is_model_wrapper(model) and cfg.get('type', _DDP) == _DDP:
            unused = self.cfg.get('find_unused_parameters', False)
            device = {} if torch.cuda.is_available() else {'device_ids': None}
            model_wrapper_cfg = {'find_unused_parameters': unused, **device, **cfg}
        return super().wrap_model(model_wrapper_cfg, model)

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        """Save as mmengine does; a file of this machine is written atomically."""
        if not file_client_args and not backend_args and '://' not in str(out_dir):
            backend_args = {'backend': 'atomic'}
        super().save_checkpoint(
            out_dir,
            filename,
            file_client_args,
            save_optimizer,
            save_param_scheduler and self.param_schedulers is not None,
            meta,
            by_epoch,
            backend_args,
        )

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'cpu',
    ) -> None:
        """Restore the state of training, with the seed it began with."""
        seed = self.seed
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        for loop in (self._train_loop, self._val_loop):
            sampler = getattr(getattr(loop, 'dataloader', None), 'sampler', None)
            if getattr(sampler, 'seed', None) == seed:
                sampler.seed = self.seed  # type: ignore[union-attr]

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        torchvision = sys.modules.pop('torchvision', None)
        sys.modules['torchvision'] = None  # type: ignore[assignment]  # it counts as absent
        try:
            super()._log_env(env_cfg)
        finally:
            del sys.modules['torchvision']
            if torchvision:
                sys.modules['torchvision'] = torchvision


def _leave() -> None:
    """Join gloo's threads: one that is still alive at the end of the process aborts it."""
    if torch.distributed.is_initialized():
        gc.collect()  # the DDP model, in a cycle of runner and hooks, would keep them alive
        torch.distributed.destroy_process_group()


def _build_dataset(cfg: dict[str, Any]) -> Dataset:
    return DATASETS.build(cfg)


def _start_worker(worker: int, start: Callable[[int], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if start:
        start(worker)
