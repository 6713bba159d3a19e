"""A small project of random tokens, for the hooks that look at a run."""

import torch
from mmengine.config import Config

from mmcalib.contract import Signal
from mmcalib.model import MultimodalModel
from mmcalib.registry import DATASETS

DIMS = {'audio': 3, 'visual': 4}


@DATASETS.register_module(force=True)
class Tokens(torch.utils.data.Dataset):
    """One to four tokens per modality; every fifth sample lacks its second one."""

    def __init__(self, modalities=('audio', 'visual'), classes=('a', 'b', 'c'), length=14):
        self.modalities, self.length = tuple(modalities), length
        self.metainfo = {'name': 'Tokens', 'modalities': self.modalities}
        if classes:
            self.metainfo['classes'] = tuple(classes)

    def __len__(self):
        return self.length

    def __getitem__(self, draw):
        place = getattr(draw, 'sample', draw)
        generator, inputs = torch.Generator().manual_seed(place), {}
        for k, m in enumerate(self.modalities):
            x = torch.randn(1 + (place + k) % 4, DIMS[m], generator=generator)
            inputs[m] = Signal(x, torch.full((len(x),), not (k and place % 5 == 0)))
        return {'inputs': inputs, 'target': torch.tensor(place % 3), 'id': f'clip {place}'}


def model(calibrator='VGMR', modalities=('audio', 'visual')):
    torch.manual_seed(0)
    return MultimodalModel(
        encoders={m: dict(type='Features', dim=DIMS[m]) for m in modalities},
        calibrator=dict(type=calibrator),
        fuser=dict(type='Concat'),
        head=dict(type='Classify', num_classes=3),
    )


def config(work_dir, hooks, **more):
    loader = dict(
        dataset=dict(type='Tokens'),
        batch_size=4,
        collate_fn=dict(type='mmcalib.collate'),
        num_workers=0,
    )
    sampler = dict(type='EpochSampler', shuffle=False)
    return Config(
        dict(
            default_scope='mmcalib',
            work_dir=str(work_dir),
            model=dict(
                type='MultimodalModel',
                encoders={m: dict(type='Features', dim=d) for m, d in DIMS.items()},
                calibrator=dict(type='VGMR', width=8),
                fuser=dict(type='Concat'),
                head=dict(type='Classify', num_classes=3),
            ),
            train_dataloader=dict(**loader, sampler=dict(type='EpochSampler')),
            val_dataloader=dict(**loader, sampler=sampler),
            val_evaluator=dict(type='Classification'),
            val_cfg={},
            train_cfg=dict(type='EpochLoop', max_epochs=3),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
            custom_hooks=hooks,  # without StepSeed, which would hide a moved random state
            visualizer=dict(
                type='Visualizer',
                vis_backends=[dict(type=f'{name}VisBackend') for name in ('Local', 'Tensorboard')],
            ),
            randomness=dict(seed=3),
            log_level='ERROR',
            **more,
        )
    )
