"""One run that all tests of this folder share."""

from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def run(tmp_path_factory) -> Path:
    """The work dir of a finished run; its files lie in `../data`."""
    from tiny_run import make_run  # mmengine's import warns, which no filter here hears of yet

    with pytest.MonkeyPatch.context() as patch:
        return make_run(tmp_path_factory.mktemp('apis'), patch.setattr)
