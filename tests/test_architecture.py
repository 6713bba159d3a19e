"""The rules of the tree, read from its source: floors, files and imports."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'mmcalib'
FLOORS = {
    **dict.fromkeys(('contract', 'registry', 'positions', 'recurrence', 'entries'), 0),
    **dict.fromkeys(('media', 'engine'), 0),
    **dict.fromkeys(
        ('encoders', 'calibrators', 'fusers', 'heads', 'transforms', 'samples', 'dynamics'), 1
    ),
    **dict.fromkeys(('hooks', 'metrics', 'datasets'), 3),
    **dict.fromkeys(('model', 'config'), 4),
    **dict.fromkeys(('prepare', 'prepare_pickle', 'verification'), 5),
    **dict.fromkeys(('plots',), 2),
    **dict.fromkeys(('apis',), 6),
    **dict.fromkeys(('comparison',), 7),
}
OPEN = {
    'media',
    'samples',
    'plots',
    'dynamics',
    'engine',
    'verification',
    'apis',
    'comparison',
}  # here, siblings may import each other
MODEL_STAGES = {'encoders', 'calibrators', 'fusers', 'heads'}  # here, every file is a component
ONE_WORD = {'ResNet', 'FiLM'}  # spelled as one word in the field
VAGUE = {'utils', 'util', 'helpers', 'helper', 'common', 'misc'}

Sources = dict[Path, ast.Module]  # paths relative to the folder that holds mmcalib/


def read(folder: Path) -> Sources:
    """Every module below `folder`."""
    files = sorted(folder.rglob('*.py')) if folder.exists() else []
    return {path.relative_to(folder.parent): ast.parse(path.read_text()) for path in files}


def imported(path: Path, tree: ast.Module) -> list[str]:
    """Absolute names of all that a module imports, also inside functions."""
    package = path.with_suffix('').parts[:-1]
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            names += [f'{module}.{alias.name}' for alias in node.names]
    return names


def upward_imports(sources: Sources) -> list[str]:
    """`file -> name` for each import of a higher floor, a neighbouring folder or a sibling."""
    return [
        f'{path} -> {name}'
        for path, tree in sources.items()
        for name in imported(path, tree)
        if name.startswith('mmcalib.') and not may_import(path.with_suffix('').parts[1:], name)
    ]


def may_import(here: tuple[str, ...], name: str) -> bool:
    """Whether the module ('calibrators', 'vgmr') may import a name of mmcalib."""
    there = name.split('.')[1]
    if there not in FLOORS or here[0] not in FLOORS:  # `from mmcalib import __version__`
        return there.startswith('__')
    if here[0] == there:
        return here[0] in OPEN or here[-1] == '__init__'
    if FLOORS[here[0]] == 0:
        return here[0] in OPEN and there in ('contract', 'registry')
    return FLOORS[there] < FLOORS[here[0]]


def misplaced_components(sources: Sources) -> list[str]:
    """`file: classes` where a file registers another class than that of its name, or several."""
    wrong = []
    for path, tree in sources.items():
        if len(path.parts) < 3 or path.stem == '__init__' or path.parts[1] in OPEN:
            continue
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        registered = [c.name for c in classes if any(map(registers, c.decorator_list))]
        needed = registered or path.parts[1] in MODEL_STAGES
        if needed and [snake_case(name) for name in registered] != [path.stem]:
            wrong.append(f'{path}: {registered}')
    return wrong


def registers(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).endswith('.register_module')


def snake_case(name: str) -> str:
    """VGMR -> vgmr, TokenTransformer -> token_transformer, IntraCED -> intra_ced."""
    if name in ONE_WORD:
        return name.lower()
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()


def importers_of(module: str, sources: Sources) -> set[str]:
    """Files that import `module`, by any of its names."""
    return {
        path.as_posix()
        for path, tree in sources.items()
        if any(name.split('.')[0] == module for name in imported(path, tree))
    }


def standard_library_imports(sources: Sources) -> list[str]:
    """`file -> name` for each import of Python's own library."""
    return [
        f'{path} -> {name}'
        for path, tree in sources.items()
        for name in imported(path, tree)
        if name.split('.')[0] in sys.stdlib_module_names
    ]


def test_every_module_has_a_floor():
    top = {p.parts[1].removesuffix('.py') for p in read(PACKAGE)} - {'__init__'}
    assert top <= FLOORS.keys(), f'no floor for {sorted(top - FLOORS.keys())}'


def test_imports_point_down_only():
    assert upward_imports(read(PACKAGE)) == []


def test_a_component_is_a_file_of_its_name():
    assert misplaced_components(read(PACKAGE)) == []


def test_no_file_has_a_vague_name():
    folders = [PACKAGE, ROOT / 'tools', ROOT / 'configs', ROOT / 'tests']
    names = {part for f in folders for path in read(f) for part in path.with_suffix('').parts}
    assert not names & VAGUE


def test_torchaudio_has_one_door():
    everywhere = read(PACKAGE) | read(ROOT / 'tools') | read(ROOT / 'configs')
    assert importers_of('torchaudio', everywhere) <= {'mmcalib/engine/audio_backend.py'}


def test_configs_do_not_import_the_standard_library():
    assert standard_library_imports(read(ROOT / 'configs')) == []


def source(path: str, text: str) -> Sources:
    return {Path(path): ast.parse(text)}


@pytest.mark.parametrize(
    ('path', 'text', 'wrong'),
    [
        ('mmcalib/fusers/a.py', 'from mmcalib.model import MultimodalModel', True),
        ('mmcalib/fusers/a.py', 'from mmcalib.calibrators.vgmr import VGMR', True),
        ('mmcalib/fusers/a.py', 'from mmcalib.fusers.concat import Concat', True),
        ('mmcalib/fusers/a.py', 'from .concat import Concat', True),
        ('mmcalib/fusers/a.py', 'from . import concat', True),
        ('mmcalib/fusers/a.py', 'def f():\n import mmcalib.hooks.x', True),
        ('mmcalib/engine/a.py', 'from mmcalib.media import video', True),
        ('mmcalib/contract.py', 'from mmcalib.registry import FUSERS', True),
        ('mmcalib/heads/__init__.py', 'from mmcalib.fusers.concat import Concat', True),
        ('mmcalib/heads/__init__.py', 'from mmcalib.heads.classify import Classify', False),
        ('mmcalib/contract.py', 'from mmcalib.engine import x', True),
        ('mmcalib/hooks/a.py', 'from mmcalib import model', True),
        ('mmcalib/fusers/a.py', 'from mmcalib.contract import Fuser\nimport torch', False),
        ('mmcalib/datasets/a.py', 'from mmcalib.samples.frames import pick', False),
        ('mmcalib/engine/a.py', 'from mmcalib.engine.b import c', False),
        ('mmcalib/engine/__init__.py', 'from mmcalib.registry import discover', False),
        ('mmcalib/model.py', 'from mmcalib.registry import MODELS', False),
        ('mmcalib/hooks/a.py', 'from mmcalib import __version__', False),
    ],
)
def test_the_floor_check_sees(path, text, wrong):
    assert bool(upward_imports(source(path, text))) is wrong


def component(*names: str) -> str:
    return '\n'.join(f'@FUSERS.register_module()\nclass {name}: ...' for name in names)


@pytest.mark.parametrize(
    ('path', 'text', 'wrong'),
    [
        ('mmcalib/fusers/a.py', component('B'), True),
        ('mmcalib/fusers/a.py', component('A', 'B'), True),
        ('mmcalib/fusers/a.py', 'def f(): ...', True),
        ('mmcalib/fusers/tokenmixer.py', component('TokenMixer'), True),
        ('mmcalib/fusers/token_mixer.py', component('TokenMixer'), False),
        ('mmcalib/fusers/intra_ced.py', component('IntraCED'), False),
        ('mmcalib/fusers/vgmr.py', 'class Branch: ...\n' + component('VGMR'), False),
        ('mmcalib/fusers/resnet.py', component('ResNet'), False),
        ('mmcalib/fusers/a.py', '@FUSERS.register_module\nclass A: ...', False),
        ('mmcalib/datasets/collate.py', '@FUNCTIONS.register_module()\ndef collate(): ...', False),
    ],
)
def test_the_component_check_sees(path, text, wrong):
    assert bool(misplaced_components(source(path, text))) is wrong


def test_the_import_checks_see():
    assert importers_of('torchaudio', source('a/b.py', 'from torchaudio.transforms import X'))
    assert importers_of('torchaudio', source('a/b.py', 'def f():\n import torchaudio as t'))
    assert not importers_of('torchaudio', source('a/b.py', 'import torchaudio_io'))
    assert standard_library_imports(source('configs/a.py', 'from pathlib import Path'))
    assert not standard_library_imports(source('configs/a.py', 'from mmengine import x'))
