"""--status: what this node is, in words, as JSON and as an exit code; it changes nothing."""

import json
import sys

import pytest

from tests.fakes.lines import ACTIVATE

ACTIVE, INCONSISTENT, STANDBY, UNKNOWN = 0, 1, 3, 4


@pytest.fixture
def active(members):
    """The active one of two nodes."""
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    return host1


def status(node, code):
    """What --status says, after a look that it changed nothing."""
    before = node.picture()
    said = node.xcatha("--status", code=code).stdout
    assert node.changes_since(before) == []
    return said


def test_member_stands_by(members):
    assert "standby" in status(members[0], STANDBY)


def test_active_node_is_active(active):
    said = status(active, ACTIVE)
    assert "active" in said and "10.5.106.50" in said


def test_standby_says_who_is_active(active, members):
    assert "host1" in status(members[1], STANDBY)


def test_status_is_given_as_json(active):
    view = json.loads(active.xcatha("--status", "--json").stdout)
    assert view["role"] == "active"


@pytest.mark.parametrize(
    "break_it",
    [
        ["systemctl", "stop", "xcatd"],
        ["systemctl", "enable", "xcatd"],
        ["hostname", "other"],
        ["rm", "/install"],
        ["ip", "address", "del", "10.5.106.50/8", "dev", "eth0"],
    ],
    ids=" ".join,
)
def test_active_node_that_is_broken_is_inconsistent_and_told_how_to_mend_it(active, break_it):
    active.succeed(*break_it)
    assert "mend: " in status(active, INCONSISTENT)


@pytest.mark.parametrize(
    "break_it",
    [
        ["systemctl", "enable", "xcatd"],
        ["ip", "address", "add", "10.5.106.50/8", "dev", "eth0"],
        ["ln", "-sfn", "/HA/tftpboot", "/tftpboot"],
    ],
    ids=" ".join,
)
def test_standby_that_is_broken_is_inconsistent_and_told_how_to_mend_it(members, break_it):
    host1, _ = members
    if break_it[0] == "ln":
        host1.succeed("mv", "/tftpboot", "/tftpboot.xcatbak")
    host1.succeed(*break_it)
    assert "mend: " in status(host1, INCONSISTENT)


def test_anyone_may_ask(members):
    host1, _ = members
    host1.path("/root").chmod(0o755)
    user = ["setpriv", "--reuid=26", "--regid=26", "--clear-groups"]
    done = host1.run(*user, *host1.script("--status"))
    assert done.returncode in (STANDBY, UNKNOWN) and "Traceback" not in done.stderr, done


def test_script_needs_no_terminal_for_status(members):
    done = members[0].run("setsid", sys.executable, "/root/xcatha.py", "--status")
    assert done.returncode == STANDBY
