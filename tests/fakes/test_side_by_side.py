"""DNS, DHCP and console server are configured side by side, where that is safe."""

import itertools

import pytest

from tests.bench.side_by_side import (
    SECONDS,
    at_work,
    change_tables,
    install_goconserver,
    need_all,
    slow_down,
)
from tests.fakes.lines import ACTIVATE

ROUNDING = 0.05
DNS, DHCP = "makedns -n", "makedhcp -n"


def together(one, other):
    """True if both were at work at a time; the log's times are rounded."""
    return min(one["ended"], other["ended"]) - max(one["began"], other["began"]) > ROUNDING


@pytest.fixture
def slow(members):
    """A standby on which each tool takes a second, with a console to configure."""
    slow_down(members[0], dict.fromkeys(SECONDS, 1))
    need_all(members[0])
    return members[0]


def test_dns_dhcp_and_goconserver_are_configured_together(slow):
    install_goconserver(slow)
    tools = at_work(slow)
    first = [tools[name] for name in (DNS, DHCP, "makegocons")]
    assert all(together(*pair) for pair in itertools.combinations(first, 2))


def test_conserver_waits_for_the_dns_that_it_asks(slow):
    tools = at_work(slow)
    assert together(tools[DNS], tools[DHCP])
    assert not together(tools["makeconservercf"], tools[DNS])


def test_dhcp_waits_for_the_dns_while_there_is_no_key_of_omapi(slow):
    change_tables(slow, passwd={})
    tools = at_work(slow)
    assert not together(tools[DHCP], tools[DNS])


def test_failure_of_one_is_told_with_its_name_and_leaves_the_others_alone(slow):
    slow.plan("FAIL_ON", DHCP)
    done = slow.xcatha(*ACTIVATE, code=4)
    assert f"ERROR: {DHCP} failed\n  evidence: exit 1, fake: planned fault\n" in done.stderr
    assert "Active, but not done or not up: DHCP." in done.stderr
    assert "running: named" in done.stdout
