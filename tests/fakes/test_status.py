"""--status: what this node is, in words, as JSON and as an exit code; it changes nothing."""

import json
import re

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP

ACTIVE, INCONSISTENT, STANDBY, UNKNOWN = 0, 1, 3, 4
XCAT = {"PATH": "/opt/xcat/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def active(members):
    """The active one of two nodes."""
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    return host1


def status(node, code, *options):
    """What --status says, after a look that it changed nothing."""
    before = node.picture()
    said = node.xcatha("--status", *options, code=code).stdout
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


@pytest.mark.parametrize("options", [[], ["-p", "/HA"]])
def test_plain_management_node_is_no_member_and_has_no_problem(node, options):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "enable", "--now", "xcatd", "named")
    said = node.xcatha("--status", *options, code=UNKNOWN).stdout
    assert "This node is no member of a pair; xcatha.py -s makes it one." in said
    assert "PROBLEM" not in said and "disable" not in said
    view = json.loads(node.xcatha("--status", "--json", *options, code=UNKNOWN).stdout)
    assert view["member"] is False and view["problems"] == []


# ---- Advice ------------------------------------------------------------------------------------


def is_fixed_by_its_own_advice(node, code):
    """True if the commands that --status names, run as they stand there, lead to this exit code."""
    for line in status(node, INCONSISTENT).splitlines():
        if line.startswith("  fix: "):
            node.run("sh", "-c", line.partition("fix: ")[2], env=XCAT)
    return node.run(*node.script("--status")).returncode == code


@pytest.mark.parametrize(
    "break_it",
    [
        "systemctl stop xcatd",
        "systemctl stop xcatha-lease",
        "systemctl stop named dhcpd",
        "systemctl enable xcatd",
        "hostname other",
        "rm /install",
        "ip address del 10.5.106.50/8 dev eth0",
        "rm /etc/systemd/system/dhcpd.service.d/xcatha.conf",
        "sed -i s/10.5.106.50/10.5.106.4/ /etc/xcat/cfgloc",
        "chdef -t site master=10.5.106.4 nameservers=10.5.106.4",
        "mkdir /HA/tftpboot.xcatha-partial",
    ],
)
def test_active_node_that_is_broken_is_told_what_fixes_it(active, break_it):
    active.succeed("rm", "/run/xcatha/kept")  # else the lease's holder may be quicker
    active.succeed(*break_it.split(), env=XCAT)
    assert is_fixed_by_its_own_advice(active, ACTIVE)


@pytest.mark.parametrize(
    "break_it",
    [
        "systemctl enable xcatd",
        "ip address add 10.5.106.50/8 dev eth0",
        "hostname hamn",
        "mv /tftpboot /tftpboot.xcatbak",
        "mv /tftpboot /tftpboot.xcatbak && ln -s /HA/tftpboot /tftpboot",
        "mv /tftpboot /tftpboot.xcatbak && ln -s HA /share && ln -s /share/tftpboot /tftpboot",
        "echo nameserver 10.5.106.50 >/etc/resolv.conf",
        "printf '/dev/sdb1 /HA ext4 defaults,acl 0 2\\n' >>/etc/fstab",
        "rm -r /etc/systemd/system/xcatd.service.d",
        "sed -i s/9.4/9.5/ /etc/os-release /HA/.xcatha/nodes/host2.json",
        "rm /HA/.xcatha/nodes/host1.json",
        "setsid /usr/local/lib/fakes/dhcpd infinity >/dev/null 2>&1 &",
    ],
)
def test_standby_that_is_broken_is_told_what_fixes_it(members, break_it):
    host1, _ = members
    host1.succeed("sh", "-c", break_it)
    assert is_fixed_by_its_own_advice(host1, STANDBY)


@pytest.mark.parametrize(
    "setting", ["WorkingDirectory=/tmp", "ExecStart=\nExecStart=/bin/sleep infinity"]
)
def test_database_that_works_elsewhere_or_has_no_server_is_told_what_fixes_it(active, setting):
    drop_in = "/etc/systemd/system/postgresql.service.d/odd.conf"
    active.succeed("tee", drop_in, input=f"[Service]\n{setting}\n")
    active.succeed("systemctl", "restart", "postgresql")
    active.succeed("rm", drop_in)
    named = "PROBLEM: the database does not work on the share\n  fix: .*/root/xcatha.py -a -p /HA"
    assert re.search(named, status(active, INCONSISTENT))
    assert is_fixed_by_its_own_advice(active, ACTIVE)


@pytest.mark.parametrize("share, line", [
    ("/data", "mount /data"), ("/xcat/HA/host1", "mount /xcat"), ("/other/HA", "mount /other/HA")])
def test_what_the_missing_share_lies_on_is_what_the_line_mounts(node, share, line):
    text = "/dev/sda1 / ext4 rw 0 1\nstore:/a /data nfs rw 0 0\nstore:/b /xcat nfs4 rw 0 0\n"
    node.succeed("tee", "/etc/fstab", input=text)
    assert f"PROBLEM: the share {share} is missing\n  fix: {line}\n" in status(
        node, UNKNOWN, "-p", share)


@pytest.mark.parametrize("moment", ["hostname hamn", "systemctl start xcatd"])
def test_node_whose_activate_was_killed_is_told_what_fixes_it(members, moment):
    host1, _ = members
    host1.plan("SIGKILL_ON", moment)
    host1.run(*host1.script(*ACTIVATE))
    host1.heal()
    assert is_fixed_by_its_own_advice(host1, ACTIVE)


def test_node_whose_first_setup_was_killed_is_told_what_fixes_it(node):
    node.plan("SIGKILL_ON", "systemctl start xcatd")
    node.run(*node.script(*SETUP))
    node.heal()
    assert is_fixed_by_its_own_advice(node, STANDBY)


def test_upgraded_standby_is_told_to_upgrade_the_other_node(members):
    host1, _ = members
    host1.succeed("sed", "-i", "s/9.4/9.5/", "/etc/os-release")
    said = status(host1, INCONSISTENT)
    assert "os differs: rocky 9.5 here, rocky 9.4 on host2" in said
    assert "fix: upgrade the older node" in said


# ---- History -----------------------------------------------------------------------------------


def events(node, code):
    """The history as --status shows it, without times and lengths."""
    shown = [line.split(None, 2) for line in status(node, code).splitlines()
             if line.startswith("history")]
    return [re.sub(r"\d+ s\)", "N s)", event) for _, _, event in shown]


def test_history_has_the_last_transitions_with_node_kind_and_length(active, members):
    active.power_off()
    members[1].xcatha(*ACTIVATE)
    assert events(members[1], ACTIVE) == ["host1 standby (N s)", "host2 standby (N s)",
                                          "host1 active (planned, N s)",
                                          "host2 active (unplanned, N s)"]


@pytest.mark.parametrize("unit, kind", [("named", "DNS"), ("xcatd", "xcatd")])
def test_history_has_a_repair_of_the_active_node_as_one(active, unit, kind):
    since = json.loads(active.xcatha("--status", "--json").stdout)["record"]["since"]
    active.succeed("systemctl", "stop", unit)
    active.xcatha(*ACTIVATE)
    assert events(active, ACTIVE)[-1] == f"host1 completed: {kind} (N s)"
    view = json.loads(active.xcatha("--status", "--json").stdout)
    assert view["record"]["since"] == since


def test_history_has_what_failed_and_was_put_back(members):
    host1, _ = members
    host1.plan("FAIL_ON", "systemctl start xcatd.service")
    host1.xcatha(*ACTIVATE, code=1)
    assert events(host1, STANDBY)[-1] == "host1 activate failed, put back (N s)"


def test_history_names_what_did_not_come_up(members):
    host1, _ = members
    host1.plan("FAIL_ON", "makedns")
    host1.xcatha(*ACTIVATE, code=4)
    assert events(host1, INCONSISTENT)[-1] == "host1 active (planned, N s), not up: DNS"


def test_history_names_what_a_standby_could_not_finish(active):
    active.plan("FAIL_ON", "ip address del")
    active.xcatha(*DEACTIVATE, code=5)
    assert events(active, STANDBY)[-1] == "host1 standby failed: Virtual IP (N s)"


def test_history_is_bounded(members):
    host1, _ = members
    kept = host1.path("/HA/.xcatha/history")
    kept.write_text("".join(f"event {number}\n" for number in range(1200)))
    host1.xcatha(*ACTIVATE)
    lines = kept.read_text().splitlines()
    assert len(lines) == 1000 and lines[0] == "event 201" and "host1 active" in lines[-1]


# ---- Whoever asks ------------------------------------------------------------------------------


def test_anyone_may_ask(members):
    host1, _ = members
    host1.path("/root").chmod(0o755)
    user = ["setpriv", "--reuid=26", "--regid=26", "--clear-groups"]
    done = host1.run(*user, *host1.script("--status"))
    assert done.returncode in (STANDBY, UNKNOWN) and "Traceback" not in done.stderr, done


def test_script_needs_no_terminal_for_status(members):
    done = members[0].run("setsid", *members[0].script("--status"))
    assert done.returncode == STANDBY
