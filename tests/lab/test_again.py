"""A command on a host that is in that state already exits 0 and changes nothing."""
import pytest

from tests.lab import judge
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, Pair, cluster_lab

LINES = {"-s": SETUP, "-a": ACTIVATE, "-d": DEACTIVATE}


@pytest.fixture(scope="module")
def standbys():
    """Both hosts set up, neither active; host2 has the lines of host1's hosts file."""
    with cluster_lab() as lab:
        pair = Pair(lab, "postgresql")
        pair.setup(lab.host2)
        yield pair


@pytest.fixture(scope="module")
def active():
    """host1 active with a domain, a compute node and an osimage; host2 standby."""
    with cluster_lab() as lab:
        pair = Pair(lab, "postgresql")
        pair.activate(lab.host1)
        pair.setup(lab.host2)
        yield pair


def changes(pair, command, host):
    """What the command changes on any host or on the share."""
    before = look(pair)
    host.succeed(*pair.line(LINES[command], host))
    return judge.differences(before, look(pair))


def look(pair):
    """Pictures of both hosts, flat."""
    return {(host.name, name): fact for host in pair.lab.hosts
            for name, fact in judge.picture(host).items()}


def test_two_pictures_of_untouched_hosts_are_the_same(active):
    assert judge.differences(look(active), look(active)) == {}


def test_pictures_show_what_a_command_could_change(active):
    seen = {name for host, name in look(active) if host == "host1"}
    assert {"/etc/hosts", "/etc/resolv.conf", "/etc/dhcp/dhcpd.conf", "/install",
            "/HA/.xcatha/cluster.json", "/HA/etc/xcat/cfgloc", "/run/xcatha/xcatha.py",
            "/HA/var/lib/pgsql/data/pg_hba.conf", "/var/lib/xcatha/share", "units"} <= seen


@pytest.mark.parametrize("name", ["host1", "host2"])
@pytest.mark.parametrize("command", ["-s", "-d"])
def test_on_a_standby_changes_nothing(standbys, command, name):
    assert changes(standbys, command, getattr(standbys.lab, name)) == {}


@pytest.mark.parametrize("command", ["-s", "-a"])
def test_on_the_active_host_changes_nothing(active, command):
    assert changes(active, command, active.lab.host1) == {}


@pytest.mark.parametrize("command", ["-s", "-d"])
def test_on_a_standby_beside_an_active_host_changes_nothing(active, command):
    assert changes(active, command, active.lab.host2) == {}


@pytest.mark.parametrize("command", ["-s", "-a"])
def test_on_the_active_host_changes_no_definition(active, command):
    before = judge.definitions(active.lab.host1)
    active.lab.host1.succeed(*active.line(LINES[command], active.lab.host1))
    assert judge.differences(before, judge.definitions(active.lab.host1)) == {}
