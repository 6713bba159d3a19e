"""Runs of the small project, in this process and in children that may be killed."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

SLOW_IMPORTS = ['mmcalib.datasets', 'mmcalib.metrics', 'torch._dynamo', 'matplotlib.pyplot']


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    import engine_project  # not above: mmengine's import warns before pytest knows what to ignore

    engine_project.make_haste(monkeypatch.setattr)


@pytest.fixture(autouse=True)
def _signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope='session')
def uninterrupted(tmp_path_factory):
    """The diary of a training that nothing disturbed."""
    import engine_project

    work_dir = tmp_path_factory.mktemp('uninterrupted')
    engine_project.train(engine_project.config(work_dir))
    return engine_project.diary(work_dir)


@pytest.fixture(scope='session')
def context():
    """A server that has imported torch once, and forks a fresh child for every start."""
    os.environ['PYTHONPATH'] = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]
    )
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['engine_project', *SLOW_IMPORTS])
    return context


@pytest.fixture
def start(context):
    """Start `engine_project.child(config, output, environment)`; it is gone after the test."""
    import engine_project

    children = []

    def begin(cfg, output=os.devnull, environment=None):
        child = context.Process(
            target=engine_project.child, args=(cfg.to_dict(), str(output), environment or {})
        )
        child.start()
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.join(10)


def wait_until(condition, seconds=30.0):
    """Wait for a condition, but not for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'what the test waits for does not happen'
        time.sleep(0.002)


@pytest.fixture
def wait():
    return wait_until


def same_story(diary, expected):
    """Every entry was told before, word for word, and in the end all of them are."""
    facts = {tuple(map(str, entry)) for entry in expected}
    told = {tuple(map(str, entry)) for entry in diary}
    assert told <= facts, sorted(told - facts)[:3]
    assert told == facts, sorted(facts - told)[:3]


@pytest.fixture
def same():
    return same_story
