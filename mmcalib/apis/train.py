"""Train, select, test, and leave a record."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmcalib import config
from mmcalib.engine.atomic_backend import AtomicBackend
from mmcalib.engine.balancing import Balancing, unwrap
from mmcalib.engine.runner import Runner
from mmcalib.hooks.run_record import RECORD, RunRecord
from mmcalib.media.splits import digest
from mmcalib.registry import HOOKS
from mmcalib.verification.splits import ids, is_test, targets

OF_THE_RUN = (
    'randomness',
    'work_dir',
    'experiment_name',
    'asked',
    'resume',
    'load_from',
    'launcher',
)
Record = dict[str, Any]


def train(cfg: Config) -> Record:
    """Train one config as `mmcalib.config.load` gives it, and test the checkpoint it selects.

    Returns what `test.json` in the work dir then holds, as docs/comparison.md lists it. Without a
    test split nothing is tested, and its `test` is empty.
    """
    if cfg.sample_data:
        config.prepare_sample(cfg)
    runner = Runner.from_cfg(cfg)
    keep = RunRecord()
    runner.register_hook(keep)
    runner.train()
    best = runner.message_hub.get_info('best_ckpt') if cfg.get('val_cfg') is not None else None
    meta = runner.load_checkpoint(best)['meta'] if best else {}
    metrics = runner.test() if cfg.get('test_dataloader') is not None else {}
    model = unwrap(runner.model)
    record = {
        **asked(cfg),
        'seed': runner.seed,
        'test': {name: float(value) for name, value in metrics.items()},
        'selection': selection(cfg, runner, meta),
        'checkpoint': Path(best).name if best else 'last',
        'parameters': parameters(model),
        'calibrator_parameters': parameters(model.calibrator),
        'epochs': runner.epoch,
        'epoch_s': keep.epoch_s,
        'inference_ms': keep.inference_ms,
        'data': data(runner),
        'sample_data': cfg.sample_data,
        'commit': commit(),
        'torch': torch.__version__,
        'device': device(),
    }
    if is_main_process():
        text = json.dumps(record, indent=2) + '\n'
        AtomicBackend().put_text(text, Path(cfg.work_dir, RECORD))
    if cfg.sample_data:
        print_log(cfg.sample.notice, 'current')
    return record


def asked(cfg: Config) -> Record:
    """What was to be trained, in words that compare."""
    given = cfg.get('asked', {})
    return {
        'config': given.get('config', cfg.filename),
        'calibrator': config.spell_component(cfg.model.get('calibrator', {'type': 'Identity'})),
        'balancing': ', '.join(map(config.spell_component, filter(balances, hooks(cfg)))),
        'options': plain(given.get('options', {})),
        'tuned': plain(given.get('tuned', {})),
        'command': given.get('command', ''),
        'setting': given.get('setting') or setting(cfg),
    }


def setting(cfg: Config) -> str:
    """16 letters that are the same for runs that differ in calibrator, balancing and seed only."""
    rest = plain(cfg.to_dict())
    rest['model'].pop('calibrator', None)
    rest['custom_hooks'] = [hook for hook in hooks(cfg) if not balances(hook)]
    for key in OF_THE_RUN:
        rest.pop(key, None)
    return digest([json.dumps(rest, sort_keys=True)])


def hooks(cfg: Config) -> list[dict[str, Any]]:
    """The custom hooks that a config names."""
    given = plain(cfg.get('custom_hooks') or [])
    return [hook for hook in given if isinstance(hook, dict) and isinstance(hook['type'], str)]


def balances(hook: Mapping[str, Any]) -> bool:
    """Is it a balancing method?"""
    return issubclass(HOOKS.get(hook['type']), Balancing)


def plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def selection(cfg: Config, runner: Runner, meta: Mapping[str, Any]) -> Record | None:
    """By which rule the tested checkpoint was chosen, on which split; None: it is the last."""
    checkpoint = cfg.get('default_hooks', {}).get('checkpoint') or {}
    if not meta or not isinstance(metric := checkpoint.get('save_best'), str):
        return None
    value = runner.message_hub.get_info('best_score')
    rule = checkpoint.get('rule', 'greater')
    val = inner(runner.val_dataloader)
    test = inner(runner.test_dataloader) if cfg.get('test_dataloader') is not None else None
    split = config.plain(cfg.val_dataloader.dataset).get('split', 'val')
    if is_test(getattr(val, 'metainfo', None) or {}, ids(val), ids(test)):
        split = 'test'
    return dict(split=split, metric=metric, rule=rule, value=value, epoch=meta.get('epoch'))


def data(runner: Runner) -> Record:
    """Name, size of each split, and 16 letters that change with any id or target of any split.

    The letters are empty where a data set does not tell its ids and targets without reading items.
    """
    found: Record = {'name': '', 'root': ''}
    told: list[str] = []
    whole = True
    for split, given in config.plain_of_splits(runner.cfg).items():
        loader = getattr(runner, f'{split}_dataloader')
        found[split], dataset = len(loader.dataset), inner(loader)
        found['name'], found['root'] = type(dataset).__name__, str(given.get('root', ''))
        names, wanted = ids(dataset), targets(dataset)
        if names is None or wanted is None:
            whole = False
        else:
            told += [f'{split} {n} {t.tolist()}' for n, t in zip(names, wanted, strict=True)]
    return {**found, 'sha256': digest([*told, '']) if whole else ''}


def inner(loader: Any) -> Any:
    """The data set of a loader without what is around it; None without a loader."""
    found = getattr(loader, 'dataset', None)
    return inner(found) if hasattr(found, 'dataset') else found


def parameters(module: torch.nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def device() -> str:
    """Where it ran."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'


def commit() -> str:
    """Of the checkout that this package is run from; empty where it is none."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ['git', '-C', str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git('rev-parse', '--show-toplevel')) != root:
            return ''
        changed = git('status', '--porcelain', '--', 'mmcalib', 'configs', 'tools')
        return git('rev-parse', '--short=10', 'HEAD') + (' with changes' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return ''
