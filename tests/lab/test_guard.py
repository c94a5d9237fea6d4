"""host1 loses power while active and host2 takes over: what host1 may do when it is back."""
import json

import pytest

from tests.lab import judge
from tests.lab.lab import Lab
from tests.lab.pair import VIP, Pair, cluster_lab
from tests.watcher import lock_is_free

GUARDED = ("postgresql", "xcatd", "isc-dhcp-server")


class Comeback:
    """A pair whose host1 lost power while active, was replaced by host2, and boots."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab, "postgresql")
        self.pair.activate(lab.host1)
        lab.host1.power_off()
        self.pair.activate(lab.host2)
        self.invocations = judge.invocations(lab.host2)
        lab.host1.boot()


@pytest.fixture(scope="module")
def comeback():
    """host1 just after its boot, for tests that leave it so."""
    with cluster_lab() as lab:
        yield Comeback(lab)


@pytest.fixture(scope="module")
def cleaned():
    """host1 after its boot and a deactivate."""
    with cluster_lab() as lab:
        found = Comeback(lab)
        assert judge.links_into_share(lab.host1) != []
        found.pair.deactivate(lab.host1)
        yield found


@pytest.fixture(scope="module")
def stood_down():
    """A lab whose host1 was active since its last boot, and was deactivated."""
    with cluster_lab() as lab:
        pair = Pair(lab, "postgresql")
        pair.activate(lab.host1)
        pair.deactivate(lab.host1)
        yield lab


def record(lab: Lab):
    """The host that the share's record names, and whether nobody is active."""
    found = json.loads((lab.share / ".xcatha/cluster.json").read_text())
    return found["host"], found["state"] == "standby"


# ---- After the boot --------------------------------------------------------------------------

def test_no_managed_program_runs_after_the_boot(comeback):
    assert judge.programs(comeback.lab.host1) == []


def test_no_managed_unit_is_active_after_the_boot(comeback):
    assert {state for state, _ in judge.units(comeback.lab.host1).values()} == {"inactive"}


def test_apache_runs_after_the_boot(comeback):
    assert judge.unit(comeback.lab.host1, "apache2") == ("active", "enabled")


def test_vip_is_not_on_host1_after_the_boot(comeback):
    assert judge.holders(comeback.lab) == ["host2"]


def test_host1_boots_with_its_own_name(comeback):
    assert judge.host_name(comeback.lab.host1) == "host1"


@pytest.mark.parametrize("unit", GUARDED)
def test_guarded_unit_cannot_be_started(comeback, unit):
    comeback.lab.host1.fail("systemctl", "start", unit)
    assert judge.unit(comeback.lab.host1, unit)[0] != "active"
    assert judge.programs(comeback.lab.host1) == []


@pytest.mark.parametrize("unit", GUARDED)
def test_guarded_unit_cannot_be_restarted(comeback, unit):
    comeback.lab.host1.fail("systemctl", "restart", unit)
    assert judge.programs(comeback.lab.host1) == []


def test_host1_cannot_be_activated_while_host2_is_active(comeback):
    line = comeback.pair.line("python xcatha.py -a -p {path} -v 10.5.106.50 -i eth0:0 -n hamn",
                              comeback.lab.host1)
    refused = comeback.lab.host1.fail(*line, code=3)
    assert "host2" in refused.stderr
    assert judge.holders(comeback.lab) == ["host2"]


# ---- After a deactivate ----------------------------------------------------------------------

def test_deactivate_leaves_no_link_into_the_share(cleaned):
    assert judge.links_into_share(cleaned.lab.host1) == []


def test_deactivate_leaves_every_managed_unit_off(cleaned):
    expected = dict.fromkeys(judge.MANAGED, ("inactive", "disabled"))
    assert judge.units(cleaned.lab.host1) == expected


def test_deactivate_takes_the_vip_out_of_resolv_conf(cleaned):
    assert VIP not in judge.name_servers(cleaned.lab.host1)


def test_deactivate_leaves_the_record_of_host2_alone(cleaned):
    assert record(cleaned.lab) == ("host2", False)


def test_deactivate_on_host1_does_not_disturb_host2(cleaned):
    assert judge.invocations(cleaned.lab.host2) == cleaned.invocations
    assert cleaned.lab.client.holder(VIP) == "host2"
    assert cleaned.lab.client.connects(VIP, 3001)


def test_host1_takes_over_again(cleaned):
    cleaned.pair.deactivate(cleaned.lab.host2)
    cleaned.pair.activate(cleaned.lab.host1)
    assert cleaned.lab.client.holder(VIP) == "host1"
    assert judge.database_directories(cleaned.lab.host1) == {"/HA/var/lib/pgsql/data"}
    assert record(cleaned.lab) == ("host1", False)


# ---- Where the lease was let go --------------------------------------------------------------

@pytest.mark.parametrize("unit", GUARDED)
def test_guarded_unit_cannot_be_started_where_the_lease_was_let_go(stood_down, unit):
    stood_down.host1.fail("systemctl", "start", unit)
    assert judge.programs(stood_down.host1) == []
    assert lock_is_free(stood_down.share / ".xcatha/lease")


def test_start_of_a_guarded_unit_leaves_the_node_a_clean_standby(stood_down):
    assert "standby" in stood_down.host1.fail("python", "xcatha.py", "--status", code=3).stdout
    Pair(stood_down, "postgresql").activate(stood_down.host1)
    assert stood_down.client.holder(VIP) == "host1"
