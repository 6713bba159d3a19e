"""Options of a run that draws no pictures: drawing takes longer than a tiny training."""

from pathlib import Path

from mmengine.config import Config

_RUNTIME = Path(__file__).parents[1] / 'configs' / '_base_' / 'runtime.py'
_HOOKS = [hook.type for hook in Config.fromfile(str(_RUNTIME), lazy_import=False).custom_hooks]
NO_PICTURES = [
    f'custom_hooks.{_HOOKS.index("FeatureDump")}.{what}=False' for what in ('pictures', 'projector')
]
