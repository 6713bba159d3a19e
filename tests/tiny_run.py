"""A finished run on a few files of sound, video and features, for what reads its checkpoint."""

import wave
from pathlib import Path

import cv2
import numpy as np
from engine_project import make_haste

from mmcalib import config
from mmcalib.apis.train import train

RATE = 8000
LABELS = ('bell', 'drum', 'whistle')
CONFIG = """
default_scope = 'mmcalib'
spectrogram = dict(type='LogSpectrogram', rate_hz=8000, length_s=0.25, nperseg=64, noverlap=0)
pictures = [dict(type='Resize', size=16), dict(type='Normalize')]
data = dict(
    type='Manifest',
    root='{root}',
    modalities=dict(
        audio=dict(rate_hz=8000, transforms=[spectrogram]),
        visual=dict(frames=2, transforms=pictures),
        text=dict(),
    ),
)
model = dict(
    type='MultimodalModel',
    encoders=dict(
        audio=dict(type='ResNet', in_channels=1, base_channels=4),
        visual=dict(type='ResNet', base_channels=4),
        text=dict(type='Features', dim=3),
    ),
    calibrator=dict(type='VGMR', width=8),
    fuser=dict(type='Concat'),
    head=dict(type='Classify', num_classes=3),
)
loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type='mmcalib.collate'))
still = dict(type='EpochSampler', shuffle=False)
train_dataloader = dict(**loader, sampler=dict(type='EpochSampler'), dataset=dict(split='train'))
val_dataloader = dict(**loader, sampler=still, dataset=dict(split='val'))
test_dataloader = dict(**loader, sampler=still, dataset=dict(split='test'))
val_evaluator = test_evaluator = dict(type='Classification')
train_cfg = dict(type='EpochLoop', max_epochs=1)
val_cfg = test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.01))
default_hooks = dict(
    checkpoint=dict(
        type='AtomicCheckpointHook', interval=1, save_best='accuracy', rule='greater'
    )
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_level = 'WARNING'
del spectrogram, pictures, loader, still
"""


def make_files(root: Path) -> None:
    """Eighteen samples in three classes; the last one of test has no text."""
    lines = ['id,target,split,audio,visual,text']
    for k in range(18):
        random = np.random.default_rng(k)
        sound = np.sin(np.arange(2000) * (0.1 + k % 3)) + random.normal(0, 0.3, 2000)
        with wave.open(str(root / f'{k}.wav'), 'wb') as file:
            file.setparams((1, 2, RATE, 0, 'NONE', ''))
            file.writeframes((8000 * sound).astype(np.int16).tobytes())
        np.save(root / f'{k}.npy', random.normal(k % 3, 1, (2 + k % 2, 3)).astype(np.float32))
        film = cv2.VideoWriter(str(root / f'{k}.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 4, (32, 24))
        for _ in range(4):
            film.write(random.integers(0, 256, (24, 32, 3), np.uint8))
        film.release()
        split = ('train', 'train', 'val', 'test', 'test', 'test')[k // 3]
        text = '' if k == 17 else f'{k}.npy'
        lines.append(f's{k},{LABELS[k % 3]},{split},{k}.wav,{k}.avi,{text}')
    (root / 'manifest.csv').write_text('\n'.join(lines) + '\n')


def make_run(folder: Path, replace, **options) -> Path:
    """Train for one epoch in `folder`; the run's work dir. `replace(owner, name, value)`."""
    make_haste(replace)
    root = folder / 'data'
    if not root.exists():
        root.mkdir(parents=True)
        make_files(root)
    (folder / 'tiny.py').write_text(CONFIG.replace('{root}', str(root)))
    work_dir = folder / 'run'
    train(config.load(str(folder / 'tiny.py'), {'work_dir': str(work_dir), **options}))
    return work_dir
