"""Fixtures of the lab level."""
import pytest

from tests.lab.lab import Lab


@pytest.fixture
def lab():
    """Two fresh hosts on which xCAT is not installed, and the client."""
    with Lab() as booted:
        yield booted
