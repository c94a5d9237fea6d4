"""Fixtures of the unit level. Kept, as all of it, to Python 3.6 and pytest 7.0."""

import argparse
import collections

import pytest

import xcatha


@pytest.fixture(autouse=True)
def run_state(monkeypatch):
    """Each test has what a fresh run has: nothing pretended, nothing to undo, no dry run."""
    fresh = {"dryrun": False, "pretended": {}, "secrets": [], "signal": None, "children": []}
    for name, value in fresh.items():
        monkeypatch.setattr(xcatha.RUN, name, value)
    with xcatha.contextlib.ExitStack() as undo:
        monkeypatch.setattr(xcatha.RUN, "undo", undo)
        yield xcatha.RUN
        undo.pop_all()


@pytest.fixture
def dry_run(monkeypatch):
    monkeypatch.setattr(xcatha.RUN, "dryrun", True)


@pytest.fixture
def mounts(monkeypatch):
    """Lets a test say what is mounted: (mount point, filesystem, options), in mount order."""
    part = collections.namedtuple("part", "mountpoint fstype opts")

    def pretend(*table):
        rows = [part(*row) for row in (("/", "ext4", "rw"),) + table]
        monkeypatch.setattr(xcatha.psutil, "disk_partitions", lambda all: rows)

    return pretend


@pytest.fixture
def opts():
    """The options of the line that must work as written."""
    return argparse.Namespace(
        path="/HA",
        vip="10.5.106.50",
        nic="eth0:0",
        host_name="hamn",
        netmask="255.0.0.0",
        dbtype="postgresql",
        exclude=[],
        peer_is_off=False,
    )
