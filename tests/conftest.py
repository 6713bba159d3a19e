"""What every test shares: one seed, and one warning that is not ours."""

import logging
import os

import pytest

if 'PYTEST_XDIST_WORKER' in os.environ:  # one thread each, or they get in each other's way
    os.environ.setdefault('OMP_NUM_THREADS', '1')

import torch  # it reads the variable once


def pytest_configure(config: pytest.Config) -> None:
    # torch.distributed.optim, which mmengine imports, warns of its own torch.jit.
    config.addinivalue_line('filterwarnings', 'ignore:.torch.jit.:DeprecationWarning')


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest's capture off the log of all that torch traces, which would take minutes."""
    log = logging.getLogger('torch.__trace')
    monkeypatch.setattr(log, 'handlers', [])
    monkeypatch.setattr(log, 'propagate', True)  # pytest listens to each logger that does not
