"""Fixtures of the fakes level."""

import os
import pathlib
import shutil
import tempfile

import pytest

from tests.fakes.lines import SETUP
from tests.fakes.node import cluster, freeze
from tests.fakes.sweep import Tally, World
from tests.pythons import CACHE

PAIR = ("host1", "host2")


@pytest.fixture(scope="session", autouse=True)
def no_leftovers():
    """The directories of runs that were killed are gone."""
    for folder in CACHE.glob("fakes.*.*"):
        if not os.path.exists("/proc/" + folder.name.split(".")[1]):
            shutil.rmtree(folder, ignore_errors=True)


def directory():
    """A directory on a disk: overlays and durable files are no matter for a tmpfs."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"fakes.{os.getpid()}.", dir=CACHE))
    yield folder
    shutil.rmtree(folder)


home = pytest.fixture(directory)
kept = pytest.fixture(directory, scope="session")


@pytest.fixture
def node(home):
    """A fresh node on fakes: booted, nothing installed, an empty share at /HA."""
    with cluster(home) as (host1,):
        yield host1


@pytest.fixture
def pair(home):
    """Two fresh nodes on fakes with one share and one network."""
    with cluster(home, PAIR) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def set_up(kept):
    """The frozen disks of two nodes after setup."""
    with cluster(kept / "work", PAIR) as nodes:
        for one in nodes:
            one.xcatha(*SETUP)
        freeze(nodes, kept / "set up")
    return kept / "set up"


@pytest.fixture
def members(home, set_up):
    """Two nodes after setup, both standing by."""
    with cluster(home, PAIR, set_up) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def world(kept):
    """The states that the sweeps start from."""
    own = kept / "states"
    own.mkdir()
    return World(own)


@pytest.fixture(scope="session")
def tally(request):
    """The counts of the sweeps, shown as a table at the end of the run."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(text):
        with capture.global_and_fixture_disabled():
            print("\n" + text, flush=True)

    counts = Tally(show)
    yield counts
    show(counts.table())
