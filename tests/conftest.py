"""What every test shares: one seed, and one warning that is not ours."""

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    # torch.distributed.optim, which mmengine imports, warns of its own torch.jit.
    config.addinivalue_line('filterwarnings', 'ignore:.torch.jit.:DeprecationWarning')


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
