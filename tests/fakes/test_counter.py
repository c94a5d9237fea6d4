"""Where a lock may not reach the other node, and where clocks lie: the holder's counter decides.

The share is a tmpfs, of whose locks the script knows nothing.
"""
import json
import os
import subprocess

import pytest

from tests.fakes.conftest import PAIR
from tests.fakes.lines import ACTIVATE, DEACTIVATE
from tests.fakes.node import cluster


@pytest.fixture
def members(home, set_up):
    """Two nodes after setup, both standing by, whose share has locks that count for nothing."""
    share = home / "share"
    share.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", share], check=True)
    try:
        with cluster(home, PAIR, set_up) as nodes:
            for node in nodes:
                node.shorten(HEARTBEAT=2)
            yield nodes
    finally:
        subprocess.run(["umount", share], check=True)


def set_clock_of_records(share):
    """All that the share tells of times is of a clock that was years ahead."""
    record = share / ".xcatha/cluster.json"
    text = json.loads(record.read_text())
    text["active"]["since"] = "2099-12-31T23:59:59+00:00"
    record.write_text(json.dumps(text))
    for file in (record, share / ".xcatha/lease"):
        os.utime(file, (4102444799, 4102444799))


def test_released_pair_is_activated_without_watching_the_counter(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    assert "watching" not in host2.xcatha(*ACTIVATE).stdout


def test_standby_is_refused_while_the_counter_moves(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    refused = host2.xcatha(*ACTIVATE, code=3)
    assert "host1 is active" in refused.stderr
    assert "counter on the share moves" in refused.stderr


def test_standby_takes_over_when_the_counter_stands(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    assert "watching" in host2.xcatha(*ACTIVATE).stdout
    assert "10.5.106.50" in host2.addresses()


def test_wrong_clock_does_not_let_a_standby_pass(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    set_clock_of_records(host1.share)
    assert "counter" in host2.xcatha(*ACTIVATE, code=3).stderr


def test_wrong_clock_does_not_keep_a_standby_from_taking_over(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    set_clock_of_records(host1.share)
    host1.power_off()
    host2.xcatha(*ACTIVATE)
    assert "10.5.106.50" in host2.addresses()
