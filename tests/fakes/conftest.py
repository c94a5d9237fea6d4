"""Fixtures of the fakes level."""

import shutil
import tempfile

import pytest

from tests.fakes.node import cluster
from tests.pythons import CACHE


@pytest.fixture
def home():
    """A directory on a disk: overlays and durable files are no matter for a tmpfs."""
    folder = tempfile.mkdtemp(prefix="fakes.", dir=CACHE)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def node(home):
    """A fresh node on fakes: booted, nothing installed, an empty share at /HA."""
    with cluster(home) as (host1,):
        yield host1


@pytest.fixture
def pair(home):
    """Two fresh nodes on fakes with one share and one network."""
    with cluster(home, ("host1", "host2")) as nodes:
        yield nodes
