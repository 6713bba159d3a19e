"""AtomicCheckpointHook: there is always a complete checkpoint to resume from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook

from mmcalib.registry import HOOKS

INTERRUPTED = 'interrupted.pth'


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, safe against a kill at any instant.

    The order is: best file, epoch file (it names the new best), `last_checkpoint`; only then
    are older epoch files and the previous best deleted. The checkpoint lists what is to be
    deleted, so that a resume finishes the job. An epoch is saved after its validation, so that no
    validation is lost.

    `max_keep_ckpts` and `interval` count as in mmengine. An epoch that is not saved may leave a
    new best file; the previous one then stays until the next save.

    Args: those of mmengine's CheckpointHook, for folders of this machine.

    Raises:
        TypeError: `by_epoch` without the loop that announces whole epochs, EpochLoop.
        ValueError: `save_best` names a metric that validation does not give, or `out_dir` is not
            a folder of this machine.
    """

    out_dir: Any
    _training = False

    def before_train(self, runner: Any) -> None:
        """Find the folder, and finish what a killed run left behind."""
        if self.by_epoch and not hasattr(runner.train_loop, 'close_epoch'):
            raise TypeError(
                f'AtomicCheckpointHook(by_epoch=True) saves after validation, which '
                f'{type(runner.train_loop).__name__} does not announce; train_cfg needs '
                "type='EpochLoop'"
            )
        self._training = True
        if '://' in str(self.out_dir):
            raise ValueError(
                f'AtomicCheckpointHook(out_dir={str(self.out_dir)!r}) is not possible; it writes '
                'to folders of this machine'
            )
        if self.out_dir is None:
            self.out_dir = runner.work_dir
        elif self.out_dir != runner.work_dir:
            self.out_dir = str(Path(self.out_dir, Path(runner.work_dir).name))
        runner.logger.info(f'Checkpoints will be saved to {self.out_dir}')
        if is_main_process():
            for folder in {Path(self.out_dir), Path(runner.work_dir)}:
                for pattern in ('.*.pth.tmp', '.last_checkpoint.tmp'):
                    for leftover in folder.glob(pattern):
                        leftover.unlink()
        self._delete_obsolete(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Wait for `after_epoch`."""

    def after_epoch(self, runner: Any) -> None:
        """Save, if it is the turn of this epoch; EpochLoop calls it after validation."""
        loop, since = runner.train_loop, runner.epoch - self.save_begin
        last = runner.epoch == runner.max_epochs or loop.stop_training
        turn = self.interval > 0 and since >= 0 and since % self.interval == 0
        if self.by_epoch and (turn or (self.save_last and last)):
            runner.logger.info(f'Saving checkpoint at {runner.epoch} epochs')
            self._save(runner, runner.epoch, runner.iter)

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, float]) -> None:
        """Write the best file, if this validation belongs to a training and is its best."""
        if not self._training or not self.save_best or not metrics:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        for metric, rule in zip(self.key_indicators, self.rules, strict=True):
            if metric not in metrics:
                raise ValueError(f'save_best is {metric!r}, but validation gives {sorted(metrics)}')
            self._save_if_best(runner, metric, rule, metrics[metric])

    def save_interrupted(self, runner: Any, iteration: int) -> None:
        """Save the state after `iteration`, wherever the epoch is; Interrupt calls it."""
        self._write(runner, INTERRUPTED, iteration)
        self._point_at(runner, INTERRUPTED)

    def after_train(self, runner: Any) -> None:
        """Publish the last file and the best ones, if `published_keys` are given."""
        self._training = False
        names = ['last_ckpt'] if self.save_last else []
        names += [f'best_ckpt{self._suffix(metric)}' for metric in self.save_best or ()]
        for path in map(runner.message_hub.get_info, names if self.published_keys else ()):
            if path:
                self._publish_model(runner, path)

    def _save_checkpoint(self, runner: Any) -> None:
        """Save after an iteration, when `by_epoch` is False; mmengine decides when."""
        self._save(runner, runner.iter + 1, runner.iter + 1)

    def _save(self, runner: Any, step: int, iteration: int) -> None:
        hub, folder = runner.message_hub, Path(self.out_dir)
        keep = [s for s in hub.get_info('keep_ckpt_ids', []) if s != step] + [step]
        old = keep[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        obsolete = [*hub.get_info('obsolete_ckpts', []), str(folder / INTERRUPTED)]
        obsolete += [str(folder / self.filename_tmpl.format(s)) for s in old]
        name = self.filename_tmpl.format(step)
        hub.update_info('keep_ckpt_ids', keep[len(old) :])
        hub.update_info('obsolete_ckpts', obsolete)
        hub.update_info('last_ckpt', str(folder / name))
        self._write(runner, name, iteration)
        self._point_at(runner, name)
        self._delete_obsolete(runner)

    def _save_if_best(self, runner: Any, metric: str, rule: str, score: float | None) -> None:
        hub = runner.message_hub
        suffix = self._suffix(metric)
        best = hub.get_info(f'best_score{suffix}', self.init_value_map[rule])
        if score is None or not self.is_better_than[metric](score, best):
            return
        step = runner.epoch if self.by_epoch else runner.iter
        name = f'best_{metric}_{self.filename_tmpl.format(step)}'.replace('/', '_')
        path, previous = str(Path(self.out_dir) / name), hub.get_info(f'best_ckpt{suffix}')
        if previous and previous != path:
            obsolete = [*hub.get_info('obsolete_ckpts', []), previous]
            hub.update_info('obsolete_ckpts', obsolete)
        hub.update_info(f'best_score{suffix}', float(score))
        hub.update_info(f'best_ckpt{suffix}', path)
        self._write(runner, name, runner.iter)
        runner.logger.info(f'The best checkpoint is now {name}, with {metric} {score:0.4f}')

    def _suffix(self, metric: str) -> str:
        return f'_{metric}' if len(self.save_best) > 1 else ''

    def _write(self, runner: Any, name: str, iteration: int) -> None:
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta={'epoch': runner.epoch, 'iter': iteration},
            backend_args={'backend': 'atomic'},
        )

    def _point_at(self, runner: Any, name: str) -> None:
        if is_main_process():
            backend = get_file_backend(backend_args={'backend': 'atomic'})
            target = str(Path(self.out_dir) / name)
            backend.put_text(target, str(Path(runner.work_dir) / 'last_checkpoint'))

    def _delete_obsolete(self, runner: Any) -> None:
        """Delete what the newest checkpoint made superfluous, but never the one to resume."""
        hub, pointer = runner.message_hub, Path(runner.work_dir) / 'last_checkpoint'
        if is_main_process():
            # They differ when a resume was told to start from an older checkpoint.
            last = pointer.read_text().strip() if pointer.exists() else ''
            for path in hub.get_info('obsolete_ckpts', []):
                if path != last:
                    Path(path).unlink(missing_ok=True)
        hub.update_info('obsolete_ckpts', [])
