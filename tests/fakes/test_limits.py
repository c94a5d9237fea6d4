"""Time limits: a command or a share that hangs does not hang the script."""

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE
from tests.fakes.test_commands import unit_states

LIMITS = {"DO_LIMIT": 3, "SERVICE_LIMIT": 3, "SHARE_LIMIT": 1}
INCOMPLETE, UNKNOWN = 5, 4


@pytest.fixture
def active(members):
    """The active one of two nodes, with short limits."""
    host1, _ = members
    host1.shorten(**LIMITS)
    host1.xcatha(*ACTIVATE)
    return host1


@pytest.mark.parametrize("call", ["systemctl start xcatd", "hostname hamn", "ip address add"])
def test_hanging_command_fails_activate_which_is_undone(members, call):
    host1, _ = members
    host1.shorten(**LIMITS)
    before = losses.Before(host1)
    host1.plan("HANG_ON", call)
    host1.xcatha(*ACTIVATE, code=1)
    assert before.differences() == []


def test_deactivate_on_a_hung_share_stops_services_and_removes_the_vip(active):
    active.plan("HANG_ON", "stat")
    said = active.xcatha(*DEACTIVATE, code=INCOMPLETE).stderr
    assert "power this node off before activating the other" in said
    assert set(unit_states(active)) == {"inactive"}
    assert "10.5.106.50" not in active.addresses()


def test_status_on_a_hung_share_cannot_tell(active):
    active.plan("HANG_ON", "stat")
    active.xcatha("--status", code=UNKNOWN)


def test_activate_on_a_hung_share_is_refused(members):
    host1, _ = members
    host1.shorten(**LIMITS)
    before = host1.picture()
    host1.plan("HANG_ON", "stat")
    said = host1.xcatha(*ACTIVATE, code=3).stderr
    assert "the share /HA does not answer" in said
    assert "bring its server or network back" in said
    assert host1.changes_since(before) == []
