"""The commands on nodes of fakes: each does its part, and a second time changes nothing."""

import pytest

from tests.fakes.lines import ACTIVATE, ACTIVATE_OLDER_FORM, DEACTIVATE, SETUP

PRIMARY = "This machine is set to primary management node successfully...\n"
STANDBY = "This machine is set to standby management node successfully...\n"
DIRECTORIES = ["/install", "/etc/xcat", "/root/.xcat", "/tftpboot", "/var/lib/pgsql"]
STAYS_CHANGED = [
    "etc/dhcp", "etc/dhcp/dhcpd.conf", "etc/hosts", "etc/named.conf", "var/lib/xcatha/hosts",
]
UNITS = ["xcatd", "postgresql", "named", "dhcpd"]


def unit_states(node):
    """Which of the managed units are up."""
    return [node.run("systemctl", "is-active", unit).stdout.strip() for unit in UNITS]


def boot_states(node):
    """Which of the managed units start at boot."""
    return {node.run("systemctl", "is-enabled", unit).stdout.strip() for unit in UNITS}


def changes_of(node, *argv):
    """Run a command, which must exit 0; what it changed on the node or the share."""
    before = node.picture()
    node.xcatha(*argv)
    return node.changes_since(before)


def test_setup_leaves_a_standby(members):
    host1, host2 = members
    assert not any(host1.path(path).is_symlink() for path in DIRECTORIES)
    assert set(unit_states(host1)) == {"inactive"} and boot_states(host1) == {"disabled"}
    assert host1.addresses() == ["127.0.0.1", "10.5.106.4"]
    assert host2.succeed("cat", "/etc/hostname") == "host2\n"


def test_setup_says_standby_last(node):
    assert node.xcatha(*SETUP).stdout.endswith(STANDBY)


def test_setup_a_second_time_changes_nothing(members):
    assert [changes_of(node, *SETUP) for node in members] == [[], []]


def test_activate_makes_the_node_active(members):
    host1, _ = members
    assert host1.xcatha(*ACTIVATE).stdout.endswith(PRIMARY)
    assert [host1.succeed("readlink", path) for path in DIRECTORIES] == [
        f"/HA{path}\n" for path in DIRECTORIES
    ]
    assert "10.5.106.50" in host1.addresses()
    assert host1.succeed("hostname") == "hamn\n"
    assert set(unit_states(host1)) == {"active"} and boot_states(host1) == {"disabled"}


def test_database_of_the_active_node_works_on_the_share(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    pid = host1.succeed("systemctl", "show", "postgresql", "-p", "MainPID", "--value").strip()
    assert host1.succeed("readlink", f"/proc/{pid}/cwd") == "/HA/var/lib/pgsql/data\n"


@pytest.mark.parametrize("line", [ACTIVATE, ACTIVATE_OLDER_FORM, SETUP])
def test_second_command_on_the_active_node_changes_nothing(members, line):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    assert changes_of(host1, *line) == []


def test_deactivate_leaves_only_the_lines_of_hosts_and_what_activate_regenerated(members):
    host1, _ = members
    before = host1.picture()
    host1.xcatha(*ACTIVATE)
    assert host1.xcatha(*DEACTIVATE).stdout.endswith(STANDBY)
    changed = host1.changes_since(before, rewritten=False)
    local = [name for name in changed if not name.startswith(("HA/", "run/"))]
    assert local == STAYS_CHANGED
    assert set(unit_states(host1)) == {"inactive"}


def test_deactivate_a_second_time_changes_nothing(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    assert changes_of(host1, *DEACTIVATE) == []


def test_deactivate_of_a_node_that_was_never_set_up_changes_nothing(node):
    assert changes_of(node, *DEACTIVATE) == []


def test_other_node_takes_over_after_deactivate(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    host2.xcatha(*ACTIVATE)
    assert "10.5.106.50" in host2.addresses() and "10.5.106.50" not in host1.addresses()


def test_first_activate_knows_the_compute_nodes_of_the_node_that_was_set_up_first(pair):
    host1, host2 = pair
    host1.succeed("tee", "-a", "/etc/hosts", input="10.5.106.101 cn1\n")
    for node in pair:
        node.xcatha(*SETUP)
    host2.xcatha(*ACTIVATE)
    assert "10.5.106.101 cn1\n" in host2.succeed("cat", "/etc/hosts")


@pytest.mark.timeout(120)
def test_activate_is_refused_while_the_other_node_is_active(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    before = host2.picture()
    assert "host1 is active" in host2.xcatha(*ACTIVATE, code=3).stderr
    assert host2.changes_since(before) == [] and set(unit_states(host1)) == {"active"}


def test_activate_takes_over_from_a_node_that_lost_power(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    assert host2.xcatha(*ACTIVATE).stdout.endswith(PRIMARY)


def test_node_that_lost_power_is_cleaned_by_deactivate_and_takes_over_again(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    host1.boot()
    assert host1.run("systemctl", "start", "postgresql").returncode == 5
    host1.xcatha(*DEACTIVATE)
    assert not any(host1.path(path).is_symlink() for path in DIRECTORIES)
    host1.xcatha(*ACTIVATE)
    assert set(unit_states(host1)) == {"active"}


def test_lost_lease_stops_the_database_and_removes_the_vip(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("systemctl", "stop", "xcatha-lease")
    assert unit_states(host1)[:2] == ["inactive", "inactive"]
    assert "10.5.106.50" not in host1.addresses()
