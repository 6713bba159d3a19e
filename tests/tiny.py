"""Options of a tiny run: small batches and pictures, and none drawn, which takes longest."""

from pathlib import Path

from mmengine.config import Config

_RUNTIME = Path(__file__).parents[1] / 'configs' / '_base_' / 'runtime.py'
_HOOKS = [hook.type for hook in Config.fromfile(str(_RUNTIME), lazy_import=False).custom_hooks]
NO_PICTURES = [
    f'custom_hooks.{_HOOKS.index("FeatureDump")}.{what}=False' for what in ('pictures', 'projector')
]
LOADERS = [  # of a config of AVE
    f'{loader}_dataloader.{option}'
    for loader in ('train', 'val', 'test')
    for option in (
        'dataset.visual.0.size=32',
        'batch_size=4',
        'num_workers=0',
        'persistent_workers=False',
    )
]
