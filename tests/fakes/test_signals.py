"""Signals: SIGINT and SIGTERM undo like a failure, SIGHUP and a dead terminal stop nothing.

What SIGKILL leaves is harmless.
"""

import signal

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.watcher import lock_is_free

# Sent by a stand-in that then waits to be killed: so the signal comes in the middle of a command.
AT_XCATD = "systemctl start xcatd"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal_undoes_activate(members, name):
    host1, _ = members
    before = losses.Before(host1)
    host1.plan(f"{name}_ON", AT_XCATD)
    done = host1.xcatha(*ACTIVATE, code=1)
    assert name in done.stderr
    assert before.differences() == []


def asks_about_xcatd(call):
    """True for the question whether xcatd starts at boot."""
    return call[:2] == ["systemctl", "is-enabled"] and "xcatd.service" in call


def test_signal_during_a_question_is_no_answer(node):
    node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    earlier = len(node.calls())
    node.plan("FAIL_ON", "hostname hamn")
    node.xcatha(*SETUP, code=1)
    node.succeed("rm", "-r", "/HA/.xcatha")  # so that there is something to undo again
    at = [asks_about_xcatd(call) for call in node.calls()[earlier:]].index(True)
    earlier = len(node.calls())
    node.plan("SIGINT_AT", 1 + at)
    node.xcatha(*SETUP, code=1)
    assert asks_about_xcatd(node.calls()[earlier + at])
    node.heal()
    assert node.succeed("systemctl", "is-enabled", "xcatd") == "enabled\n"


def test_signal_during_the_announcement_shows_no_traceback(members):
    host1, _ = members
    host1.plan("SIGINT_ON", "hostname hamn")
    assert "Traceback" not in host1.xcatha(*ACTIVATE, code=1).stderr


def test_hangup_at_every_call_stops_neither_activate_nor_deactivate(members):
    host1, _ = members
    host1.plan("SIGHUP_FROM", 1)
    for line in (ACTIVATE, DEACTIVATE):
        host1.xcatha(*line)
    host1.heal()
    assert losses.is_standby(host1)


def test_hangup_at_every_call_does_not_stop_setup(node):
    node.plan("SIGHUP_FROM", 1)
    node.xcatha(*SETUP)
    node.heal()
    assert losses.is_standby(node)


def test_closed_output_does_not_stop_deactivate(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    script = " ".join(host1.script(*DEACTIVATE))
    host1.run("sh", "-c", f"({script}; echo $? >/run/code) 2>&1 | true")
    assert host1.path("/run/code").read_text() == "0\n"
    assert "10.5.106.50" not in host1.addresses()


def test_kill_in_the_middle_of_activate_is_finished_by_the_same_command(members):
    host1, _ = members
    host1.plan("SIGKILL_ON", AT_XCATD)
    assert host1.run(*host1.script(*ACTIVATE)).returncode == -signal.SIGKILL
    host1.heal()
    host1.xcatha(*ACTIVATE)


def test_kill_in_the_middle_of_activate_is_cleaned_by_deactivate(members):
    host1, _ = members
    host1.plan("SIGKILL_ON", AT_XCATD)
    host1.run(*host1.script(*ACTIVATE))
    host1.heal()
    host1.xcatha(*DEACTIVATE)
    assert "10.5.106.50" not in host1.addresses() and not host1.path("/install").is_symlink()


def test_service_started_after_a_killed_activate_has_the_lease_that_was_about_to_be_taken(members):
    """The database by hand, where links are left: once, and never without the lock."""
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("systemctl", "stop", "xcatha-lease")
    host1.plan("SIGKILL_ON", "systemctl start xcatha-lease")
    host1.xcatha(*ACTIVATE, code=-signal.SIGKILL)
    host1.heal()
    host1.succeed("systemctl", "start", "postgresql")
    assert not lock_is_free(host1.share / ".xcatha/lease")
    host1.succeed("systemctl", "stop", "xcatha-lease")
    host1.fail("systemctl", "start", "postgresql")
