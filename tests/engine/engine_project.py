"""A small project that the tests of engine/ train: data, model, metric, config, and one command.

Its loss depends on everything that a resume must restore: order, augmentation, dropout, batch
statistics, optimiser and schedule.
"""

import argparse
import json
import os
import signal
import time
import warnings
from pathlib import Path

import mmengine
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mmcalib.contract import Draw
from mmcalib.engine.runner import Runner
from mmcalib.registry import DATASETS, HOOKS, METRICS, MODELS


@DATASETS.register_module()
class NoisyLine(torch.utils.data.Dataset):
    """Points on a plane plus noise of the draw; `log` gets a line for every sample loaded."""

    METAINFO = {'name': 'NoisyLine'}
    metainfo = METAINFO

    def __init__(self, length=22, noise=0.1, log=None):
        self.length, self.noise, self.log = length, noise, log

    def __len__(self):
        return self.length

    def __getitem__(self, draw):
        draw = draw if isinstance(draw, Draw) else Draw(draw)
        if self.log:
            with Path(self.log).open('a') as file:
                file.write(f'{draw.epoch} {draw.sample}\n')
        clean = torch.sin(torch.arange(4) * (1.0 + draw.sample))
        noise = torch.from_numpy(draw.generator().normal(size=4)).float()
        return {
            'inputs': clean + self.noise * noise,
            'target': clean.sum(),
            'id': str(draw.sample),
        }


@MODELS.register_module()
class Plane(BaseModel):
    def __init__(self, width=8, slow=0.0):
        super().__init__()
        self.slow = slow
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 1)
        )

    def forward(self, inputs, target=None, id=None, mode='tensor'):
        if self.slow:
            time.sleep(self.slow)
        output = self.net(inputs).squeeze(1)
        if mode == 'loss':
            return {'loss_task': (output.float() - target).square().mean()}
        return [
            {'prediction': p, 'target': t, 'id': i}
            for p, t, i in zip(output, target, id, strict=True)
        ]


@METRICS.register_module()
class Error(BaseMetric):
    """Mean square error; writes the ids that it counted."""

    default_prefix = 'line'

    def __init__(self, ids=None):
        super().__init__()
        self.ids = ids

    def process(self, data_batch, data_samples):
        self.results += [
            (s['id'], float(s['prediction']), float(s['target'])) for s in data_samples
        ]

    def compute_metrics(self, results):
        if self.ids:
            Path(self.ids).write_text(json.dumps([r[0] for r in results]))
        return {'mse': sum((p - t) ** 2 for _, p, t in results) / len(results)}


@HOOKS.register_module()
class Diary(Hook):
    """Append every loss, learning rate and metric to a file, exactly, at once."""

    priority = 'HIGHEST'

    def _write(self, runner, *entry):
        with Path(runner.work_dir, f'diary_{runner.rank}.jsonl').open('a') as file:
            file.write(json.dumps(entry) + '\n')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        rate = runner.optim_wrapper.get_lr()['lr'][0]
        loss = outputs['loss'].item().hex()
        self._write(runner, 'step', runner.iter, loss, rate, data_batch['id'], batch_idx)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._write(runner, 'looked', runner.iter, data_batch['id'])

    def after_val_epoch(self, runner, metrics=None):
        self._write(runner, 'val', runner.epoch, metrics['line/mse'].hex())


def loader(work_dir, shuffle, workers=0, length=22, batch_size=4, log=False):
    return dict(
        dataset=dict(
            type='NoisyLine', length=length, log=f'{work_dir}/loaded.txt' if log else None
        ),
        sampler=dict(type='EpochSampler', shuffle=shuffle),
        collate_fn=dict(type='default_collate'),
        batch_size=batch_size,
        num_workers=workers,
    )


def config(work_dir, epochs=4, workers=0, slow=0.0, val_length=9, log=False, **more):
    evaluator = dict(type='Error', ids=f'{work_dir}/ids.json')
    val = loader(work_dir, False, workers, val_length)
    cfg = dict(
        default_scope='mmcalib',
        work_dir=str(work_dir),
        model=dict(type='Plane', slow=slow),
        train_dataloader=loader(work_dir, True, workers, log=log),
        val_dataloader=val,
        test_dataloader=val,
        val_evaluator=evaluator,
        test_evaluator=evaluator,
        train_cfg=dict(type='EpochLoop', max_epochs=epochs),
        val_cfg={},
        test_cfg={},
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=7),
            dict(type='CosineAnnealingLR', T_max=epochs),
        ],
        default_hooks=dict(
            checkpoint=dict(
                type='AtomicCheckpointHook',
                interval=1,
                max_keep_ckpts=2,
                save_best='line/mse',
                rule='less',
            ),
            sync_buffers=dict(type='SyncBuffers'),
            step_seed=dict(type='StepSeed'),
            interrupt=dict(type='Interrupt', interval=2),
        ),
        custom_hooks=[dict(type='Diary')],
        randomness=dict(seed=7),
        log_level='WARNING',
    )
    cfg.update(more)
    return Config(cfg)


def train(cfg):
    """Run a training; for a child process."""
    warnings.filterwarnings('ignore', category=DeprecationWarning)
    torch.set_num_threads(1)
    return Runner.from_cfg(cfg).train()


def make_haste(replace):
    """Leave out what takes longer than a training here; `replace(owner, name, value)`."""
    replace(mmengine.runner.runner, 'collect_env', dict)  # it runs compilers for their versions
    replace(mmengine.config.config, 'FormatCode', lambda text, **options: (text, False))


def child(cfg, output, environment):
    """Train in a process of its own, whose output goes to a file."""
    os.environ.update(environment)
    make_haste(setattr)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(output).open('ab') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    train(Config(cfg))


def diary(work_dir, rank=0):
    path = Path(work_dir, f'diary_{rank}.jsonl')
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('work_dir')
    parser.add_argument('--launcher', default='none')
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--slow', type=float, default=0.0)
    arguments = parser.parse_args()
    train(
        config(
            arguments.work_dir,
            slow=arguments.slow,
            launcher=arguments.launcher,
            resume=arguments.resume,
            log_level='INFO',
        )
    )


if __name__ == '__main__':
    main()
