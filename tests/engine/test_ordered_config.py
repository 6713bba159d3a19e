"""The text of a config says what the config is, in its order."""

import math

from engine_project import config
from mmengine.config import Config

from mmcalib.engine.ordered_config import OrderedConfig
from mmcalib.engine.runner import Runner

GIVEN = {
    'model': {
        'encoders': {'visual': {'type': 'ResNet'}, 'audio': {'type': 'ResNet'}, 'a b': {}},
        'one': (1,),
        'pairs': [(1, 2), [], ()],
    },
    'hooks': [{'type': 'A', 'class': 'x'}, {'text': 'it\'s "so"\n\\n'}],
    'limits': [math.inf, -math.inf, 0.1, -3, True, None],
}


def keys(value):
    """Every key, in order."""
    if isinstance(value, dict):
        return [part for k, v in value.items() for part in (k, *keys(v))]
    if isinstance(value, list | tuple):
        return [part for v in value for part in keys(v)]
    return []


def test_the_text_makes_the_same_config_in_the_same_order(tmp_path):
    path = tmp_path / 'dumped.py'
    OrderedConfig(GIVEN).dump(path)
    again = Config.fromfile(path, lazy_import=False).to_dict()
    assert again == GIVEN
    assert keys(again) == keys(GIVEN)
    assert isinstance(again['model']['one'], tuple) and isinstance(again['model']['pairs'], list)


def test_a_runner_leaves_its_config_in_order(tmp_path):
    cfg = config(tmp_path, zebra=dict(z=1, a=2))
    runner = Runner.from_cfg(cfg)
    runner.dump_config()
    dumped = Config.fromfile(next(tmp_path.glob('*.py')), lazy_import=False)
    assert list(dumped.zebra) == ['z', 'a']
