"""Fixtures of the lab level."""
import pytest

from tests.lab.lab import Lab

# The first test of all builds the image, and a state takes the time that the tool takes.
LIMIT = pytest.mark.timeout(600)


def pytest_itemcollected(item):
    if not item.get_closest_marker("timeout"):
        item.add_marker(LIMIT)


@pytest.fixture
def lab():
    """Two fresh hosts on which xCAT is not installed, and the client."""
    with Lab() as booted:
        yield booted
