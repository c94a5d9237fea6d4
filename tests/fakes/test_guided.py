"""Guided mode and what else a terminal is for, through a real pseudo-terminal."""

import re

import pexpect
import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, SETUP

PROMPT = "Continue? [[Y]es/[N]o/[D]ryrun]:"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
RED, GREEN = "\x1b[31m", "\x1b[32m"


def terminal(node, *argv, **environment):
    """The script, started on a terminal of its own, whose keys send signals to it alone."""
    line = ["-t", str(node.pid), "-m", "-n", "-u", "-p", "setsid", "--ctty", *node.script(*argv)]
    env = {**ENVIRONMENT, "TERM": "xterm", **environment}
    return pexpect.spawn("nsenter", line, env=env, encoding="utf-8", timeout=100)


def finish(session):
    """What the rest of the run shows, and its exit code."""
    session.expect(pexpect.EOF)
    session.close()
    return session.before, session.exitstatus


def answer(node, command, *answers):
    """Run a guided command and answer its questions; what followed the last one, the exit code."""
    session = terminal(node, command)
    for word in answers:
        session.expect_exact(PROMPT)
        session.sendeof() if word is None else session.sendline(word)
    return finish(session)


# ---- The question ------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["Y", "Yes", "y"])
def test_yes_goes_on(members, word):
    said, code = answer(members[0], "-a", word)
    assert code == 0 and "primary management node successfully" in said
    assert losses.is_active(members[0])


@pytest.mark.parametrize("word", ["N", "No", "no"])
def test_no_changes_nothing(members, word):
    before = members[0].picture()
    said, code = answer(members[0], "-a", word)
    assert code == 0 and "Nothing was changed." in said
    assert members[0].changes_since(before) == []


@pytest.mark.parametrize("word", ["D", "Dryrun"])
def test_dry_run_says_what_would_happen(members, word):
    log = members[0].path("/var/log/xcatha.log")
    before, logged = members[0].picture(), log.read_text()
    said, code = answer(members[0], "-a", word)
    assert code == 0 and "would run: hostname hamn" in said and "Dry run" in said
    assert members[0].changes_since(before) == [] and log.read_text() == logged


def test_wrong_answer_is_asked_for_again(members):
    _, code = answer(members[0], "-a", "maybe", "", "yess", "Y")
    assert code == 0 and losses.is_active(members[0])


def test_wrong_answers_end_in_no(members):
    before = members[0].picture()
    said, code = answer(members[0], "-a", *["what?"] * 5)
    assert code == 0 and "Nothing was changed." in said
    assert members[0].changes_since(before) == []


def test_end_of_input_is_no(members):
    before = members[0].picture()
    said, code = answer(members[0], "-a", None)
    assert code == 0 and "Nothing was changed." in said
    assert members[0].changes_since(before) == []


@pytest.mark.parametrize("command", ["-a", "-d"])
def test_ctrl_c_is_no_at_once(members, command):
    before = members[0].picture()
    session = terminal(members[0], command)
    session.expect_exact(PROMPT)
    session.timeout = 5
    session.sendintr()
    said, code = finish(session)
    assert code == 1 and "stopped by SIGINT" in said and "Nothing was changed." in said
    assert members[0].changes_since(before) == []


def test_what_the_record_supplies_is_shown(members):
    session = terminal(members[0], "-a")
    session.expect_exact(PROMPT)
    shown = re.findall(r"^  (-\w \S+)\r$", session.before, re.M)
    assert shown == ["-p /HA", "-v 10.5.106.50", "-i eth0:0"]
    session.sendline("N")
    finish(session)


def test_without_a_terminal_missing_options_are_named(members):
    assert "missing: -p -v -i" in members[0].xcatha("-a", code=2).stderr
    assert "missing: -v" in members[0].xcatha("-d", code=2).stderr


def test_whole_line_asks_nothing_on_a_terminal(members):
    said, code = finish(terminal(members[0], *ACTIVATE))
    assert code == 0 and PROMPT not in said


# ---- Deactivate of a member --------------------------------------------------------------------


@pytest.fixture
def active(members):
    """The active one of two nodes."""
    members[0].xcatha(*ACTIVATE)
    return members[0]


def test_deactivate_goes_on_after_yes(active):
    said, code = answer(active, "-d", "Y")
    assert code == 0 and "standby management node successfully" in said
    assert losses.is_standby(active)


def test_deactivate_changes_nothing_after_no(active):
    before = active.picture()
    said, code = answer(active, "-d", "N")
    assert code == 0 and "Nothing was changed." in said
    assert active.changes_since(before) == []


def test_deactivate_says_what_would_happen_when_asked_for_a_dry_run(active):
    before = active.picture()
    said, code = answer(active, "-d", "D")
    assert code == 0 and "would run: systemctl stop xcatd.service" in said and "Dry run" in said
    assert active.changes_since(before) == []


# ---- A pair whose VIP and mounts the administrator moves ---------------------------------------


def test_services_of_a_node_without_a_record_are_stopped_and_started(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "enable", "--now", "named")
    before = node.picture()
    said, code = answer(node, "-d", "Y")
    assert code == 0 and "standby management node successfully" in said
    assert "take the VIP down and unmount the shared data" in said
    assert losses.units(node) == []
    boot = "etc/systemd/system/multi-user.target.wants/"
    changed = node.changes_since(before)
    assert {boot + "xcatd.service", boot + "named.service"} <= set(changed)
    assert [name for name in changed if not name.startswith((boot, "run/"))] == []
    said, code = answer(node, "-a", "Y")
    assert code == 0 and "primary management node successfully" in said
    assert {"xcatd", "named", "dhcpd"} <= set(losses.units(node))
    assert "enabled" not in node.run("systemctl", "is-enabled", "xcatd", "named").stdout.split()


def test_server_that_xcat_does_not_configure_is_left_running_by_hand(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "start", "xcatd", "named")
    node.succeed("/opt/xcat/bin/chdef", "-t", "site", "externaldns=1")
    assert "skipped: site.externaldns is set" in node.xcatha("-a", "--yes").stdout
    assert node.succeed("systemctl", "is-active", "named") == "active\n"


def test_service_that_does_not_stop_does_not_keep_the_others_up(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "enable", "--now", "named", "conserver")
    node.shorten(ASK_LIMIT=2)
    node.plan("FAIL_ON", "systemctl stop conserver")
    said, code = answer(node, "-d", "Y")
    assert code == 5 and "not a clean standby yet: Stop console" in said
    assert "take the VIP down" not in said
    assert not {"xcatd", "named"} & set(losses.units(node))
    boot = node.run("systemctl", "is-enabled", "xcatd", "named", "conserver").stdout
    assert boot.split() == ["disabled"] * 3


def test_node_without_a_record_asks_about_vip_and_mounts(node):
    session = terminal(node, "-a")
    session.expect_exact(PROMPT)
    assert "Is the VIP up and the shared data mounted?" in session.before
    session.sendline("N")
    finish(session)


# ---- Colour and progress -----------------------------------------------------------------------


def test_closing_line_is_green_and_errors_are_red(members):
    said, _ = finish(terminal(members[0], *ACTIVATE))
    assert f"{GREEN}This machine is set to primary" in said
    said, code = finish(terminal(members[0], *SETUP[:2], "/nowhere", *SETUP[3:]))
    assert code == 3 and f"{RED}ERROR: the share /nowhere is not there" in said


def test_problems_are_red(members):
    members[0].succeed("systemctl", "enable", "xcatd")
    said, _ = finish(terminal(members[0], "--status"))
    assert f"{RED}PROBLEM: xcatd starts at boot" in said


@pytest.mark.parametrize("variable, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(members, variable, value):
    members[0].succeed("systemctl", "enable", "xcatd")
    said, _ = finish(terminal(members[0], "--status", **{variable: value}))
    assert "PROBLEM: xcatd starts at boot" in said and "\x1b" not in said


def test_progress_of_the_copy_is_shown_on_a_terminal_alone(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("dd", "if=/dev/urandom", "of=/install/image", "bs=1M", "count=8")
    said, code = finish(terminal(node, *SETUP))
    assert code == 0 and re.search(r"\d+% .*\(xfr#\d+, to-chk=", said)
    calls = [call for call in node.calls() if call[0] == "rsync"]
    assert calls and all("--info=progress2" in call for call in calls)


# ---- Servers of others -------------------------------------------------------------------------

OTHER_SERVER = """\
[Unit]
Description=The accounting system's database
[Service]
WorkingDirectory=/var/lib/mysql
ExecStart=/usr/local/lib/fakes/mariadbd infinity
[Install]
WantedBy=multi-user.target
"""


def test_server_of_another_engine_is_neither_listed_nor_stopped_by_hand(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("mkdir", "-p", "/var/lib/mysql")
    node.succeed("ln", "-s", "/bin/sleep", "/usr/local/lib/fakes/mariadbd")
    node.succeed("tee", "/usr/lib/systemd/system/mariadb.service", input=OTHER_SERVER)
    node.succeed("systemctl", "enable", "--now", "mariadb", "xcatd")
    pid = node.succeed("systemctl", "show", "-P", "MainPID", "mariadb")
    for line in (["-d", "--yes"], ["-a", "--yes"]):
        said = node.xcatha(*line)
        assert "maria" not in said.stdout + said.stderr and "xcatd" in said.stdout
    assert node.succeed("systemctl", "show", "-P", "MainPID", "mariadb") == pid
    assert node.succeed("systemctl", "is-enabled", "mariadb") == "enabled\n"
