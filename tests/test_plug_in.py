"""The page on use without the framework, run as it stands, and what its import brings."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.model import MultimodalModel

PAGE = (Path(__file__).parents[1] / 'docs' / 'plug_in.md').read_text()
YOURS, CALIBRATED, EVALUATED = re.findall(r'^```python\n(.*?)^```', PAGE, re.M | re.S)
IMPORTED = """
import sys, torch
before = set(sys.modules)
from mmcalib.calibrators.vgmr import VGMR
print(*sorted(set(sys.modules) - before))
"""


@pytest.fixture(scope='module')
def page():
    """What the names on the page mean behind its last line."""
    names = {}
    for block in (YOURS, CALIBRATED, EVALUATED):
        exec(block, names)
    return names


def test_ten_lines_are_ten():
    assert 'Ten lines train it calibrated' in PAGE
    statements = [n for n in ast.walk(ast.parse(CALIBRATED)) if isinstance(n, ast.stmt)]
    assert len(statements) == 10  # however the formatter lays them out


def test_the_page_trains_a_calibrated_model_and_evaluates_it(page):
    right = (page['prediction'].argmax(-1) == page['target']).float().mean()
    assert right > 0.8  # a third is chance
    steps = len(page['loader'])
    assert page['calibrator'].step == steps, 'the value loss was asked for in every step'
    assert page['value'].shape == (256,) and page['gate'].shape == (256, 5, 32)
    video = page['calibration'].evidence['value']['video'][page['mask']['video'].any(1)]
    assert page['value'].mean() > video.mean() + 0.05, 'video is noise, and its value says so'
    assert page['calibration'].losses == {}


def test_its_losses_are_those_of_the_framework():
    dims = {'audio': 32, 'video': 48}
    model = MultimodalModel(
        encoders={m: {'type': 'Features', 'dim': dim} for m, dim in dims.items()},
        fuser={'type': 'Concat'},
        head={'type': 'Classify', 'num_classes': 3},
        calibrator={'type': 'VGMR', 'dropout': 0.0},
    )
    names = {}
    exec(YOURS.replace('range(100)', 'range(1)'), names)
    still = CALIBRATED.replace("'video': 48}", "'video': 48}, dropout=0.0")
    exec(still.replace('update(loss)', 'pass'), names)
    model.head.linear = names['classifier']
    fresh = dict(model.calibrator.named_buffers())  # the statistics and the step
    model.calibrator.load_state_dict(names['calibrator'].state_dict() | fresh)
    inputs = {m: Signal(s.x.detach(), s.mask) for m, s in names['signals'].items()}
    expected = model(inputs, names['target'], mode='loss')
    assert expected.keys() == {'loss_task', *names['calibration'].losses}
    torch.testing.assert_close(names['loss'], sum(expected.values()))
    assert expected['loss_value'] > 0


def test_the_import_brings_no_reader_of_media_and_no_training():
    command = [sys.executable, '-W', 'ignore', '-c', IMPORTED]
    new = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    new = new.split()
    parts = {name.split('.')[1] for name in new if name.startswith('mmcalib.')}
    assert parts == {'calibrators', 'contract', 'recurrence', 'registry'}
    heavy = {'av', 'cv2', 'h5py', 'matplotlib', 'pandas', 'safetensors', 'scipy', 'sklearn'}
    heavy |= {'tensorboard', 'torchaudio', 'torchvision', 'transformers', 'onnx'}
    assert not heavy & {name.split('.')[0] for name in new}
    assert not {name for name in new if name.startswith(('mmengine.runner', 'mmengine.dataset'))}
