"""Build a model from a config that came with a file: registered names only, nothing by import."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mmengine import registry as mm

from mmcalib import registry
from mmcalib.apis.checkpoints import entries
from mmcalib.engine.balancing import Balancing
from mmcalib.engine.observe import unmoved
from mmcalib.registry import HOOKS, MODELS

OURS = 'mmcalib.'
STAGES = ('encoders', 'calibrator', 'fuser', 'head')
# In a config these make mmengine or transformers import or download code.
CODE = (
    *('_scope_', 'auto_map', 'trust_remote_code', 'use_kernels', 'quantization_config'),
    *('attn_implementation', '_attn_implementation'),
)
SETTINGS = '.config.'  # of a model of transformers, which has types of its own


def use_imports(config: Mapping[str, Any], place: str, trust: bool) -> None:
    """Import the modules that a config names, if the caller trusts them.

    Raises:
        ValueError: there are such modules, and they are not trusted.
        ImportError: one is not there.
    """
    given = config.get('custom_imports') or {}
    names = given.get('imports', ()) if isinstance(given, Mapping) else given
    names = [names] if isinstance(names, str) else list(names)
    if names and not trust:
        raise ValueError(
            f'{place} needs the modules {names}, whose code importing would run. If you trust '
            'them: Inferencer(..., trust_imports=True), tools/infer.py --trust-imports'
        )
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            text = f'{place} needs the module {name!r}, which cannot be imported: {error}'
            raise ImportError(text) from None


def check_names(part: Any, where: str, place: str) -> None:
    """Refuse what would import code: a `type` that is no registered name, and some other keys.

    Raises:
        ValueError: such a thing.
    """
    known = names()
    for spot, key, value in entries({where: part}):
        if key in CODE and value:
            raise ValueError(f'{place}: {spot}={value!r} may run code; it is not possible there')
        if key != 'type' or SETTINGS in spot:
            continue
        if not isinstance(value, str) or value.removeprefix(OURS) not in known:
            raise ValueError(
                f'{place}: {spot}={value!r} is no registered component. A component of yours is '
                "found through custom_imports = dict(imports=['your.module']) of the config"
            )


def build(config: Mapping[str, Any], place: str) -> Any:
    """The model of a config, on the CPU, in evaluation mode, with random weights.

    Raises:
        ValueError: the config names what is not registered.
    """
    check_names(config['model'], 'model', place)
    with unmoved():
        model = registry.build(config['model'], MODELS)
    if absent := [stage for stage in STAGES if not hasattr(model, stage)]:
        raise ValueError(f'{place}: {type(model).__name__} has no {absent}; needed are {STAGES}')
    return model.eval()


def balancing(config: Mapping[str, Any], place: str) -> Balancing | None:
    """The hook that replaces predictions in evaluation, if the config has one."""
    for hook in config.get('custom_hooks') or ():
        name = hook.get('type') if isinstance(hook, Mapping) else None
        kind = HOOKS.get(name) if isinstance(name, str) and name in names() else None
        if not isinstance(kind, type) or not issubclass(kind, Balancing):
            continue
        if kind.predictions is not Balancing.predictions:
            check_names(hook, 'custom_hooks', place)
            made = HOOKS.build(dict(hook))
            assert isinstance(made, Balancing)
            return made
    return None


def names() -> set[str]:
    """Everything that is registered, by us, by mmengine, or by imported modules."""
    ours = [kind for kind in vars(registry).values() if isinstance(kind, mm.Registry)]
    for kind in ours:
        kind.import_from_location()
    return {name for kind in (*ours, mm.MODELS) for name in kind.module_dict}
