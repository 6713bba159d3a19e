"""Names to components: what a user reads when a name or an argument is wrong."""

import inspect

import pytest
from mmengine import dataset as mm_dataset
from mmengine.config import Config

from mmcalib.contract import Calibration, Calibrator, Encoder, Fuser, Head
from mmcalib.registry import (
    CALIBRATORS,
    DATASETS,
    ENCODERS,
    FUSERS,
    HEADS,
    MODELS,
    Registry,
    UnknownComponent,
    build,
    discover,
)

TOOLS = Registry('tool', build_func=build, scope='mmcalib')


@TOOLS.register_module()
class Hammer:
    def __init__(self, weight: float, handle: str = 'wood') -> None:
        self.weight, self.handle = weight, handle


@TOOLS.register_module()
class Screwdriver:
    pass


def test_a_config_builds_its_component():
    hammer = TOOLS.build({'type': 'Hammer', 'weight': 2.0, 'handle': 'steel'})
    assert isinstance(hammer, Hammer) and (hammer.weight, hammer.handle) == (2.0, 'steel')
    assert TOOLS.build({'type': 'Hammer'}, weight=3.0).weight == 3.0
    assert TOOLS.build({'type': Hammer, 'weight': 1.0}).weight == 1.0


def test_building_leaves_the_config_as_it_was():
    cfg = {'type': 'Hammer', 'weight': 2.0}
    TOOLS.build(cfg)
    assert cfg == {'type': 'Hammer', 'weight': 2.0}


def test_an_unknown_name_is_answered_with_what_exists_and_the_closest_match():
    with pytest.raises(UnknownComponent) as caught:
        TOOLS.build({'type': 'hamer'})
    message = str(caught.value)
    assert "no tool 'hamer'; did you mean 'Hammer'?" in message
    assert 'Hammer, Screwdriver' in message and 'custom_imports' in message


def test_a_name_like_no_other_gets_the_list_and_no_guess():
    with pytest.raises(UnknownComponent) as caught:
        TOOLS.build({'type': 'Zzz'})
    assert 'did you mean' not in str(caught.value) and 'Hammer, Screwdriver' in str(caught.value)


def test_an_unknown_name_is_a_key_error_with_a_readable_message():
    with pytest.raises(KeyError) as caught:
        TOOLS.get('hamer')
    assert not str(caught.value).startswith('"')


def test_an_unknown_argument_is_answered_with_the_signature():
    with pytest.raises(TypeError) as caught:
        TOOLS.build({'type': 'Hammer', 'wieght': 2.0})
    message = str(caught.value)
    assert "Hammer takes no argument 'wieght'; did you mean 'weight'?" in message
    assert "handle: str = 'wood'" in message


def test_a_missing_argument_is_named():
    with pytest.raises(TypeError, match=r"Hammer\(weight.*missing.*'weight'"):
        TOOLS.build({'type': 'Hammer'})


def test_an_argument_that_the_owner_sets_is_refused_in_a_config():
    with pytest.raises(TypeError, match=r'Hammer\(weight=\.\.\.\) is set by its owner'):
        TOOLS.build({'type': 'Hammer', 'weight': 2.0}, weight=3.0)


def test_a_config_without_a_type_is_refused():
    with pytest.raises(TypeError, match=r"tool config needs the key 'type'.*\['weight'\]"):
        TOOLS.build({'weight': 2.0})


def test_a_child_registry_also_finds_what_mmengine_has():
    assert DATASETS.get('ConcatDataset') is mm_dataset.ConcatDataset
    with pytest.raises(UnknownComponent, match="did you mean 'ConcatDataset'"):
        DATASETS.get('ConcatDatset')


def test_the_model_is_found_by_its_name_with_and_without_scope():
    assert MODELS.get('MultimodalModel') is MODELS.get('mmcalib.MultimodalModel')


@pytest.mark.parametrize(
    ('registry', 'kind'),
    [(ENCODERS, Encoder), (CALIBRATORS, Calibrator), (FUSERS, Fuser), (HEADS, Head)],
)
def test_a_folder_fills_its_registry_with_final_classes_of_one_kind(registry, kind):
    registry.import_from_location()
    assert registry.module_dict, f'no {registry.name} is registered'
    for name, component in registry.module_dict.items():
        assert issubclass(component, kind) and not inspect.isabstract(component), name
        assert component.__name__ == name


def test_discover_imports_every_module_of_a_package(tmp_path, monkeypatch):
    package = tmp_path / 'toolbox'
    package.mkdir()
    (package / '__init__.py').write_text('')
    for name in ('one', 'two'):
        (package / f'{name}.py').write_text(
            'import toolbox\ntoolbox.found = [*getattr(toolbox, "found", []), __name__]\n'
        )
    monkeypatch.syspath_prepend(tmp_path)
    import toolbox

    discover('toolbox', toolbox.__path__)
    assert toolbox.found == ['toolbox.one', 'toolbox.two']


def test_a_component_from_outside_is_found_through_custom_imports(tmp_path, monkeypatch):
    (tmp_path / 'their_calibrator.py').write_text(
        'from mmcalib.contract import Calibration, Calibrator\n'
        'from mmcalib.registry import CALIBRATORS\n'
        '@CALIBRATORS.register_module()\n'
        'class Theirs(Calibrator):\n'
        '    def forward(self, signals, supervision=None):\n'
        '        return Calibration(signals)\n'
    )
    (tmp_path / 'config.py').write_text(
        "custom_imports = dict(imports=['their_calibrator'])\ncalibrator = dict(type='Theirs')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownComponent, match="no calibrator 'Theirs'"):
        CALIBRATORS.get('Theirs')
    try:
        cfg = Config.fromfile(tmp_path / 'config.py')
        theirs = CALIBRATORS.build(cfg.calibrator, dims={'audio': 3})
        assert theirs.dims == {'audio': 3}
        assert theirs({}) == Calibration({})
    finally:
        CALIBRATORS.module_dict.pop('Theirs', None)
