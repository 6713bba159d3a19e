"""From a config file and the command line to the config of one run."""

import ast
import re
import shlex
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmcalib.media.cache import read_index
from mmcalib.media.mapped_pickle import is_mapped, of_sample
from mmcalib.samples.folder import is_sample

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
ABSENT = """
{asked} does not exist, so this run uses SAMPLE DATA: small synthetic clips in the format of the
real data set, generated once into {root} and seen with a short schedule. Its numbers say
nothing about the real data set. For that, read {page} and pass --data-root DIR.
"""
GENERATED = """
{root} holds SAMPLE DATA: small synthetic clips in the format of the real data set. Numbers on it
say nothing about the real data set. For that, read {page} and pass --data-root DIR.
"""


def load(
    path: str,
    options: Mapping[str, Any] | None = None,
    root: str | None = None,
    calibrator: str | None = None,
    seed: int | None = None,
    balancing: str | None = None,
    cache: str | None = None,
) -> Config:
    """Read a config and apply, in this order: the sample overlay, the flags, the options.

    The sample overlay applies when the config has one and nobody named a data root and the
    config's own does not exist. `cfg.sample_data` is True then, and whenever the data root holds a
    generated sample. `cfg.work_dir` names the config and whatever was changed by flags, as
    `work_dirs/base_conv_ave-VGMR-seed3-sample`. `cfg.asked` remembers the path, the options and
    the command.

    Args:
        path: of a config file.
        options: dotted keys to values, as `--cfg-options` gives them; they win over everything.
        root: folder of the data set.
        calibrator: a calibrator instead of the config's, as `parse_component` reads it.
        seed: instead of `randomness.seed`.
        balancing: a balancing method, read likewise and added to `custom_hooks`.
        cache: folder that `tools/prepare` made, to be read with the settings it was made with.
    """
    cfg = Config.fromfile(path, lazy_import=False)
    options = dict(options or {})
    name = Path(path).stem
    notice, asked = GENERATED, cfg.get('data', {}).get('root')
    if cache is not None and is_mapped(Path(cache)):
        root, cache = cache, None  # it stands for the pickle
    if root is not None:
        _shared(cfg, '--data-root')['root'] = root
    elif use_sample(cfg, options):
        notice = ABSENT
        cfg.merge_from_dict(cfg.sample.overlay)
        cfg.data.root = cfg.sample.root
    if calibrator is not None:
        cfg.model.calibrator = parse_component(calibrator)
        name += f'-{plain_name(calibrator)}'
    if balancing is not None:
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), parse_component(balancing)]
        name += f'-{plain_name(balancing)}'
    if seed is not None:
        cfg.setdefault('randomness', {})['seed'] = seed
        name += f'-seed{seed}'
    if cache is not None:
        settings = read_index(Path(cache))['settings']
        _shared(cfg, '--cache')['media'] = {**settings, 'cache': cache}
    for key in options:
        if key == 'data' or key.startswith('data.'):
            _shared(cfg, key)
    cfg.merge_from_dict(options)
    if 'data' in cfg and 'sample' in cfg:
        given = Path(cfg.data.root)
        cfg.sample_data = is_sample(given) or of_sample(given) or notice is ABSENT
        if cfg.sample_data:
            cfg.sample.notice = notice.format(asked=asked, root=cfg.data.root, page=cfg.sample.page)
    if cfg.setdefault('sample_data', False):
        name += '-sample'
    cfg.experiment_name = name
    cfg.asked = dict(config=path, options=options, command=shlex.join(['python', *sys.argv]))
    if cfg.get('work_dir') is None:
        cfg.work_dir = f'work_dirs/{name}'
    share(cfg)
    return cfg


def parse_component(text: str) -> dict[str, Any]:
    """A component as people type it: 'VGMR', or 'VGMR(order=norm_then_gate, width=80)'.

    Raises:
        ValueError: it is neither a name nor a name with keyword arguments.
    """
    try:
        node = ast.parse(text.strip(), mode='eval').body
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        arguments = {given.arg: _literal(given.value) for given in call.keywords}
        if not isinstance(call.func, ast.Name) or call.args or None in arguments:
            raise ValueError
    except (SyntaxError, ValueError):
        raise ValueError(
            f'{text!r} names no component; possible are a name, VGMR, and a name with keyword '
            'arguments, VGMR(order=norm_then_gate, width=80)'
        ) from None
    return {'type': call.func.id, **arguments}  # type: ignore[dict-item]


def spell_component(cfg: Mapping[str, Any]) -> str:
    """The inverse: VGMR(order=norm_then_gate, width=80)."""
    arguments = [
        f'{key}={value if isinstance(value, str) and value.isidentifier() else repr(value)}'
        for key, value in cfg.items()
        if key != 'type'
    ]
    name = cfg['type'] if isinstance(cfg['type'], str) else cfg['type'].__name__
    return f'{name}({", ".join(arguments)})' if arguments else name


def plain_name(text: str) -> str:
    """Text as a part of a folder's name."""
    return re.sub(r'[^\w.=+-]+', '-', text).strip('-')


def _literal(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def use_sample(cfg: Config, options: Mapping[str, Any]) -> bool:
    """Is there a sample to fall back on, and nothing else to train on?"""
    if 'sample' not in cfg or 'data' not in cfg or 'data.root' in options:
        return False
    return not Path(cfg.data.root).exists()


def prepare_sample(cfg: Config) -> None:
    """Say that this is sample data, and generate it where that is up to us."""
    print(cfg.sample.notice, flush=True)
    if cfg.sample.root in {given['root'] for given in plain_of_splits(cfg).values()}:
        import_module(cfg.sample.module).generate(cfg.sample.root, **cfg.sample.get('args', {}))


def share(cfg: Config) -> None:
    """Resolve what concerns every loader's data set: `data`, its arguments, and `missing`.

    A loader's own arguments win. `missing` holds the arguments of the data set `Missing`, which is
    put around each.
    """
    shared, missing = cfg.pop('data', {}), cfg.pop('missing', None)
    for loader in LOADERS:
        if cfg.get(loader) is not None:
            cfg[loader].dataset = {**shared, **cfg[loader].dataset}
            if missing is not None:
                cfg[loader].dataset = dict(type='Missing', dataset=cfg[loader].dataset, **missing)


def plain(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a data set, without what is around it."""
    return plain(dataset['dataset']) if 'dataset' in dataset else dict(dataset)


def plain_of_splits(cfg: Config) -> dict[str, dict[str, Any]]:
    """The config of the data set of each split that has a loader: train, val, test."""
    return {
        loader.removesuffix('_dataloader'): plain(cfg[loader].dataset)
        for loader in LOADERS
        if cfg.get(loader)
    }


def _shared(cfg: Config, asked: str) -> dict[str, Any]:
    if 'data' not in cfg:
        raise ValueError(
            f'{asked} sets what all loaders share, but this config has no `data`: a run has dumped '
            f'it. Start from the original file, or set {LOADERS[0]}.dataset and its like'
        )
    return cfg.data
