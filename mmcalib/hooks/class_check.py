"""Refuse a head that does not fit the data set's classes."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmcalib.registry import HOOKS


@HOOKS.register_module()
class ClassCheck(Hook):
    """Compare `head.num_classes` with the count of classes of every loader, before its first batch.

    Raises:
        ValueError: they differ.
    """

    def before_train(self, runner: Runner) -> None:
        self.check(runner, runner.train_dataloader)

    def before_val(self, runner: Runner) -> None:
        self.check(runner, runner.val_dataloader)

    def before_test(self, runner: Runner) -> None:
        self.check(runner, runner.test_dataloader)

    def check(self, runner: Runner, loader: DataLoader) -> None:
        """Compare one loader's classes with the head."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        given = getattr(model.head, 'num_classes', None)
        meta = getattr(loader.dataset, 'metainfo', {})
        classes = meta.get('classes')
        if given is not None and classes is not None and given != len(classes):
            raise ValueError(
                f'The head has num_classes={given}, but {meta.get("name", "the data set")} has '
                f'{len(classes)} classes ({", ".join(list(classes)[:3])}, ...): '
                f'--cfg-options model.head.num_classes={len(classes)}'
            )
