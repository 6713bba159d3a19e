"""TensorBoard in a browser: the scalars and the pictures of a run are on its pages."""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmengine
import numpy as np
import pytest
from tokens_project import config

from mmcalib.engine.runner import Runner

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
TRIES = 5
FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=20000']

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason='no Chromium: Debian has it as chromium'),
]


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    """Where TensorBoard shows a run of two epochs."""
    folder = tmp_path_factory.mktemp('runs')
    hooks = [dict(type='TrainingDynamics', interval=1), dict(type='FeatureDump', interval=0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine.runner.runner, 'collect_env', dict)
        cfg = config(folder / 'run', hooks)
        cfg.train_cfg.max_epochs = 2
        runner = Runner.from_cfg(cfg)
        runner.train()
        runner.visualizer.close()
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    command = [sys.executable, '-m', 'tensorboard.main', '--logdir', folder, '--port', port]
    server = subprocess.Popen(
        [*map(str, command), '--host', 'localhost', '--load_fast', 'false'],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f'http://localhost:{port}/'
    try:
        for _ in range(120):
            try:
                if b'vis_data' in urllib.request.urlopen(f'{url}data/runs', timeout=5).read():
                    break
            except OSError:
                pass
            time.sleep(0.5)
        else:
            pytest.fail('TensorBoard shows no run within a minute')
        yield url
    finally:
        server.kill()
        server.wait()


def browse(url: str, folder: Path, *more: str) -> str:
    """The page that the browser makes of it, without white space."""
    flags = [*FLAGS, f'--user-data-dir={folder}', '--window-size=1600,3000', *more]
    done = subprocess.run([BROWSER, *flags, url], capture_output=True, text=True, timeout=120)
    return ''.join(done.stdout.split())


def text(page: str) -> str:
    """What can be read; a tag's name is cut in two by elements."""
    return re.sub(r'<[^>]+>', '', page)


def missing(url: str, folder: Path, words: Sequence[str]) -> list[str]:
    """What a page lacks; on a busy machine the browser may take it before it is filled."""
    for k in range(TRIES):
        page = browse(url, folder / f'{k}', '--dump-dom')
        if not (lacks := [word for word in words if word not in page + text(page)]):
            break
    return lacks


def shows_plots(url: str, folder: Path) -> bool:
    """A picture of the page shows that of suppression."""
    shot = folder / 'page.png'
    browse(url, folder, f'--screenshot={shot}')
    picture = cv2.imread(str(shot))
    box = (209, 170, 102)  # blue of which 0.6 covers white, in BGR
    return bool((np.abs(picture.astype(int) - box).max(axis=-1) < 4).sum() > 500)


def test_the_page_of_scalars_is_filled(address, tmp_path):
    names = ['grad_norm/calibrator', 'grad_norm/head', 'score/all', 'score/only_audio', 'run/']
    assert not missing(f'{address}?tagFilter=grad_norm|score#timeseries', tmp_path, names)


def test_the_page_of_images_is_filled(address, tmp_path):
    url = f'{address}?tagFilter=features#timeseries'
    names = [f'features/{name}' for name in ('embedding', 'gate_map', 'confusion')]
    assert not missing(url, tmp_path, [*names, 'timeseries/imageData?imageId='])
    assert any(shows_plots(url, tmp_path / f'shot{k}') for k in range(TRIES)), 'plots are seen'
