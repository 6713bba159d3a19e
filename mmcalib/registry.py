"""Names to classes: one registry per kind of component, filled from the files of a folder."""

import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from mmengine import registry as mm


class UnknownComponent(KeyError):
    """A name that no registry holds; says what exists and what is closest."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(mm.Registry):
    """mmengine's Registry, with errors that list what exists and the closest match."""

    def get(self, key: str) -> Any:
        found = super().get(key)
        if found is None:
            known = sorted(self.module_dict)
            # A child also answers for its parent, but lists the parent's names only as matches.
            parents = sorted(self.parent.module_dict) if self.parent else []
            raise UnknownComponent(
                f'There is no {self.name} {key!r}{_closest(key, known + parents)}. '
                f'There is: {", ".join(known or parents)}. A component of yours is found through '
                "custom_imports = dict(imports=['your.module'])"
            )
        return found


def build(cfg: Mapping[str, Any], registry: mm.Registry, **given: Any) -> Any:
    """Build one component from its config; `given` are the arguments that its owner supplies.

    Raises:
        UnknownComponent: no such name.
        TypeError: the arguments do not fit the signature, or the config has no 'type'.
    """
    arguments = dict(cfg)
    if 'type' not in arguments:
        raise TypeError(
            f"A {registry.name} config needs the key 'type', but has {sorted(arguments)}"
        )
    name = arguments.pop('type')
    component = registry.get(name) if isinstance(name, str) else name
    signature = inspect.signature(component)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for key in arguments:
        if key in given:
            raise TypeError(f'{component.__name__}({key}=...) is set by its owner, not by a config')
        if key not in signature.parameters and not takes_any:
            free = [p for p in signature.parameters if p not in given]
            raise TypeError(
                f'{component.__name__} takes no argument {key!r}{_closest(key, free)}. '
                f'It takes: {component.__name__}{signature}'
            )
    try:
        signature.bind(**arguments, **given)
    except TypeError as error:
        raise TypeError(f'{component.__name__}{signature}: {error}') from None
    return component(**arguments, **given)


def discover(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that its components register."""
    for module in pkgutil.iter_modules(path):
        import_module(f'{package}.{module.name}')


def _closest(key: str, names: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    match = get_close_matches(key.lower(), by_lower, n=1, cutoff=0.5)
    return f'; did you mean {by_lower[match[0]]!r}?' if match else ''


def _root(name: str, folder: str) -> Registry:
    return Registry(name, build_func=build, scope='mmcalib', locations=[f'mmcalib.{folder}'])


def _child(parent: mm.Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='mmcalib', locations=list(locations))


ENCODERS = _root('encoder', 'encoders')
CALIBRATORS = _root('calibrator', 'calibrators')
FUSERS = _root('fuser', 'fusers')
HEADS = _root('head', 'heads')
# mmengine's Runner builds these; the transforms are ours to build.
TRANSFORMS = Registry(
    'transform',
    build_func=build,
    parent=mm.TRANSFORMS,
    scope='mmcalib',
    locations=['mmcalib.transforms'],
)
DATASETS = Registry(
    'dataset', build_func=build, parent=mm.DATASETS, scope='mmcalib', locations=['mmcalib.datasets']
)
MODELS = _child(mm.MODELS, 'mmcalib.model')
METRICS = _child(mm.METRICS, 'mmcalib.metrics')
HOOKS = _child(mm.HOOKS, 'mmcalib.hooks', 'mmcalib.engine')
LOOPS = _child(mm.LOOPS, 'mmcalib.engine')
DATA_SAMPLERS = _child(mm.DATA_SAMPLERS, 'mmcalib.engine')
OPTIM_WRAPPERS = _child(mm.OPTIM_WRAPPERS, 'mmcalib.engine')
FUNCTIONS = _child(mm.FUNCTIONS, 'mmcalib.datasets')
# Nothing of ours; without a child mmengine warns that the scope is not found.
OPTIMIZERS = _child(mm.OPTIMIZERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(mm.OPTIM_WRAPPER_CONSTRUCTORS)
PARAM_SCHEDULERS = _child(mm.PARAM_SCHEDULERS)
VISUALIZERS = _child(mm.VISUALIZERS)
VISBACKENDS = _child(mm.VISBACKENDS)
