"""What the tests of data sets share."""

import pytest
from mmengine.logging import MMLogger


@pytest.fixture(autouse=True)
def heard(caplog):
    """mmengine's logger does not propagate."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield
    logger.removeHandler(caplog.handler)
