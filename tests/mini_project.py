"""A data set of vectors and its config, small enough that a whole training takes a second."""

from pathlib import Path

import numpy as np

CONFIGS = Path(__file__).parents[1] / 'configs' / '_base_'
CONFIG = """
_base_ = [{runtime!r}, {loaders!r}, {fusion!r}]
data = dict(type='Manifest', root={root!r}, modalities=['audio', 'visual'])
model = dict(
    encoders=dict(audio=dict(type='Features', dim=6), visual=dict(type='Features', dim=4)),
    head=dict(num_classes=3),
)
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=16)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification')
train_cfg = dict(max_epochs={epochs})
custom_hooks = [
    hook for hook in _base_.custom_hooks if hook.type not in ('TrainingDynamics', 'FeatureDump')
]
"""


def make(folder: Path, epochs: int = 2, n: int = 120) -> Path:
    """`mine.npz` and `mine.py`, the config, in a folder: 3 classes, which both modalities show."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    target = random.integers(0, 3, n)
    shown = {}
    for modality, width in (('audio', 6), ('visual', 4)):
        shown[modality] = random.normal(size=(n, width)).astype(np.float32)
        shown[modality][np.arange(n), target] += 1.5
    split = np.array([('train', 'train', 'val', 'test')[k % 4] for k in range(n)])
    ids = np.array([f'item {k:03}' for k in range(n)])
    np.savez(folder / 'mine.npz', id=ids, target=target, split=split, **shown)
    config = folder / 'mine.py'
    files = {'runtime': 'runtime.py', 'loaders': 'loaders.py', 'fusion': 'fusion/conv.py'}
    bases = {name: str(CONFIGS / file) for name, file in files.items()}
    config.write_text(CONFIG.format(root=str(folder / 'mine.npz'), epochs=epochs, **bases))
    return config
