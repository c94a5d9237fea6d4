"""Fixtures of the unit level. Kept, as all of it, to Python 3.6 and pytest 7.0."""

import argparse
import copy
import signal

import pytest

import xcatha

FRESH = {name: dict(vars(getattr(xcatha, name))) for name in ("RUN", "UNDO", "PAIR")}


@pytest.fixture(autouse=True)
def run_state(monkeypatch):
    """Each test has what a fresh run has: nothing pretended, nothing to undo, no dry run."""
    for name, fields in FRESH.items():
        for field, value in fields.items():
            monkeypatch.setattr(getattr(xcatha, name), field, copy.copy(value))
    return xcatha.RUN


@pytest.fixture
def undo(opts):
    """Fails the run, which undoes what it did."""
    xcatha.UNDO.changed = True
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    opts.path = ""
    yield lambda: xcatha.rollback(xcatha.HAError("failed"), opts)
    for number, handler in zip(numbers, handlers):
        signal.signal(number, handler)


@pytest.fixture
def dry_run(monkeypatch):
    monkeypatch.setattr(xcatha.RUN, "dryrun", True)


@pytest.fixture
def mounts(monkeypatch):
    """Lets a test say what is mounted: (mount point, filesystem, options), in mount order."""

    def pretend(*table):
        root = ("/", "ext4", "rw")
        rows = [(place, fstype, options.split(",")) for place, fstype, options in (root,) + table]
        monkeypatch.setattr(xcatha, "mounts", lambda: rows)

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
        also=[],
        others=[],
        peer_is_off=False,
    )
