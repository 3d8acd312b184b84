"""Fixtures of tests with real programs."""

import pytest

from tests.support import guests
from tests.support.guests import VERSIONS


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each version of Python that is on this machine."""
    if guests.guest_python(request.param) is None:
        pytest.skip(f"no Python {request.param} on this machine")
    return str(request.param)
