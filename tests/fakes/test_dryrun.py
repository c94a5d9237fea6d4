"""--dryrun: every check and every change is said, and nothing at all is changed."""

import shlex

import pytest

from tests.fakes.announcements import announced, compare, looks_only, misplaced, unexplained
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP

GUIDED = ["-a", "--yes"]


def log_of(node):
    """The node's log; None where there is none yet."""
    log = node.path("/var/log/xcatha.log")
    return log.read_text() if log.exists() else None


def dry_run(node, *line):
    """Dry-run a command, which must exit 0 and change nothing, not even its log; what it says."""
    before, calls = node.picture(), len(node.calls())
    logged = log_of(node)
    done = node.xcatha(*line, "--dryrun")
    assert node.changes_since(before) == [] and log_of(node) == logged
    assert [call for call in node.calls()[calls:] if not looks_only(call)] == []
    return done.stdout


def both(node, *line):
    """Dry-run a command, then run it: the same changes. What the dry run said."""
    said = dry_run(node, *line)
    before, calls, start = node.picture(), len(node.calls()), len(log_of(node) or "")
    node.xcatha(*line)
    log = log_of(node)[start:]
    assert compare(said, log) == ([], []) and misplaced(said, log) == [], said
    changing = [call for call in node.calls()[calls:] if not looks_only(call)]
    unlogged = [call for call in changing if shlex.join(call) not in log]
    assert unlogged == []
    assert unexplained(node.changes_since(before, rewritten=False), log) == []
    return said


# ---- The same changes from every starting point ------------------------------------------------


def test_setup_of_a_fresh_first_node(node):
    assert "would run: bash /root/go-xcat --yes install" in both(node, *SETUP)


def test_setup_of_an_existing_node(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    said = both(node, *SETUP)
    assert "unless" not in said  # its tables can be asked


def test_setup_of_the_second_node(pair):
    host1, host2 = pair
    host1.xcatha(*SETUP)
    assert "would link: /install -> /HA/install" in both(host2, *SETUP)


@pytest.mark.timeout(240)
def test_setup_while_the_other_node_is_active(pair):
    host1, host2 = pair
    host1.xcatha(*SETUP)
    host1.xcatha(*ACTIVATE)
    assert "would link: /install" not in both(host2, *SETUP)


def test_activate_and_deactivate(members):
    host1, _ = members
    said = both(host1, *ACTIVATE)
    for change in (
        "would run: ip address add 10.5.106.50/8",
        "would run: systemctl start postgresql.service",
        "would run: systemctl start xcatd.service",
        "would link: /etc/xcat -> /HA/etc/xcat",
    ):
        assert change in said
    said = both(host1, *DEACTIVATE)
    for change in (
        "would run: systemctl stop xcatd.service",
        "would remove: /etc/xcat",
        "would run: ip address del 10.5.106.50/8",
        "would run: hostname host1",
        "would run: systemctl stop xcatha-lease.service",
    ):
        assert change in said


def test_guided_activate_of_the_second_node_after_the_first(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    both(host2, *GUIDED)


def test_guided_deactivate_and_activate_of_a_node_without_a_record(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "enable", "--now", "named", "conserver")
    assert "would run: systemctl disable named.service" in both(node, "-d", "--yes")
    assert "would run: systemctl start xcatd.service" in both(node, *GUIDED)


def test_takeover_from_a_node_that_was_powered_off(members):
    host1, host2 = members
    for node in members:
        node.shorten(LEASE_TIME=9)
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    assert "would rename: /HA/.xcatha/lease -> " in both(host2, *ACTIVATE, "--peer-is-off")


def test_setup_without_a_directory_that_is_shared_otherwise(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    assert "/tftpboot" not in both(node, *SETUP, "--exclude", "/tftpboot")


def test_takeover_after_a_power_loss(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    both(host2, *ACTIVATE)
    host1.boot()
    assert "would remove: /install" in both(host1, *DEACTIVATE)


def test_activate_again_after_a_power_loss(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    host1.boot()
    both(host1, *ACTIVATE)


def test_activate_of_a_node_that_lost_its_lease(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("systemctl", "stop", "xcatha-lease")
    both(host1, *ACTIVATE)


def test_activate_of_an_active_node_whose_dns_is_down(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("systemctl", "stop", "named")
    assert "would run: makedns -n" in both(host1, *ACTIVATE)


@pytest.mark.parametrize("moment", ["rsync", "systemctl start postgresql", "hostname host1"])
def test_setup_again_after_it_was_killed(node, moment):
    node.plan("SIGKILL_ON", moment)
    node.run(*node.script(*SETUP))
    node.heal()
    both(node, *SETUP)


@pytest.mark.parametrize("line", [ACTIVATE, DEACTIVATE])
@pytest.mark.parametrize("moment", ["hostname hamn", "systemctl start xcatd"])
def test_command_after_an_activate_that_was_killed(members, moment, line):
    host1, _ = members
    host1.plan("SIGKILL_ON", moment)
    host1.run(*host1.script(*ACTIVATE))
    host1.heal()
    both(host1, *line)


def test_server_that_runs_outside_its_unit_is_ended_by_deactivate(members):
    host1, _ = members
    host1.succeed("sh", "-c", "setsid /usr/local/lib/fakes/dhcpd infinity >/dev/null 2>&1 &")
    assert "would run: kill " in both(host1, *DEACTIVATE)


def test_comparison_finds_what_was_kept_back_or_made_up():
    said = "  would run: hostname hamn\n  would run, if needed: systemctl stop UNIT\n"
    log = "t - INFO - systemctl stop a (0.1 s) [Passed]\nt - INFO - write /etc/hosts\n"
    assert compare(said, log) == (["run hostname hamn"], ["write /etc/hosts"])
    turned = "  would write: /etc/hosts\n  would run: systemctl stop a\n"
    assert misplaced(turned, log) == ["run systemctl stop a"]


# ---- Nothing to announce -----------------------------------------------------------------------


@pytest.mark.parametrize("line", [SETUP, DEACTIVATE])
def test_dry_run_of_a_standby_says_no_change(members, line):
    assert announced(dry_run(members[0], *line)) == ([], [])


@pytest.mark.parametrize("line", [SETUP, ACTIVATE])
def test_dry_run_of_the_active_node_says_no_change(members, line):
    members[0].xcatha(*ACTIVATE)
    assert announced(dry_run(members[0], *line)) == ([], [])


def test_what_needs_writing_to_be_known_would_be_tried(node):
    assert "would be tried: a file of root's on the share" in dry_run(node, *SETUP)


def test_dry_run_is_refused_like_the_real_one(node):
    before = node.picture()
    assert "xcatha.py -s" in node.xcatha(*ACTIVATE, "--dryrun", code=3).stderr
    assert node.changes_since(before) == []
