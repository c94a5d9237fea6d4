"""Nodes that the script of 2018 has set up: links, ha_mn with lines run together, no record."""
import json

import pytest

from tests.lab import judge
from tests.lab.lab import frozen
from tests.lab.network import mac
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, xcat
from tests.lab.starts import (
    OLD,
    OLD_SCRIPT_ACTIVE,
    database_directories,
    pair_of_the_old_script,
)

SETUP_LINE = SETUP.format(path="/HA", engine="postgresql").split()
ACTIVATE_LINE = ACTIVATE.format(path="/HA", engine="postgresql").split()
DEACTIVATE_LINE = DEACTIVATE.split()


@pytest.fixture(scope="module")
def adopted():
    """host1 is active by the old script's means; later tests go on from where earlier ones are."""
    with frozen("old-script", pair_of_the_old_script) as lab:
        lab.host1.succeed("sh", "-c", OLD_SCRIPT_ACTIVE)
        yield lab


@pytest.fixture
def old_pair():
    """A pair of the old script of one's own; host1 is active."""
    with frozen("old-script", pair_of_the_old_script) as lab:
        lab.host1.succeed("sh", "-c", OLD_SCRIPT_ACTIVE)
        yield lab


def record(lab):
    """What the share says, None where it says nothing."""
    file = lab.share / ".xcatha/cluster.json"
    return json.loads(file.read_text()) if file.exists() else None


def runs(host):
    """Which run of the database and of xcatd this is."""
    return [host.succeed("systemctl", "show", "-P", "InvocationID", unit)
            for unit in ("postgresql", "xcatd")]


# ---- One after the other, on one pair ----

def test_activate_elsewhere_refuses_while_the_other_address_answers(adopted):
    refused = adopted.host2.fail(*ACTIVATE_LINE, code=3).stderr
    assert f"{OLD}, a node of the 2018 script, may be active" in refused
    assert f"{mac(OLD)} answers" in refused
    assert "run xcatha.py -a on it if it serves, else -d; or power it off" in refused
    assert judge.holders(adopted) == ["host1"] and record(adopted) is None


def test_setup_on_the_standby_is_refused_while_the_other_node_serves(adopted):
    before = [judge.picture(host) for host in adopted.hosts]
    refused = adopted.host2.fail(*SETUP_LINE, code=3).stderr
    assert f"{OLD}, a node of the 2018 script, may be active" in refused
    assert list(map(judge.differences, before, map(judge.picture, adopted.hosts))) == [{}, {}]


def test_deactivate_on_the_standby_removes_the_links_and_writes_no_record(adopted):
    assert judge.links_into_share(adopted.host2) != []
    adopted.host2.succeed(*DEACTIVATE_LINE)
    assert judge.links_into_share(adopted.host2) == []
    assert not (record(adopted) or {}).get("active")


def test_activate_on_the_active_node_adds_lease_and_record_and_restarts_nothing(adopted):
    before = runs(adopted.host1)
    adopted.host1.succeed(*ACTIVATE_LINE)
    assert runs(adopted.host1) == before
    assert judge.unit(adopted.host1, "xcatha-lease")[0] == "active"
    assert record(adopted)["host"] == "host1"
    assert record(adopted)["state"] == "active"


def test_adopted_pair_fails_over_with_its_data(adopted):
    adopted.host1.succeed(*DEACTIVATE_LINE)
    assert judge.links_into_share(adopted.host1) == []
    adopted.host2.succeed(*ACTIVATE_LINE)
    assert judge.holders(adopted) == ["host2"]
    assert database_directories(adopted.host2) == {"/HA/var/lib/pgsql/data"}
    assert "cn1" in xcat(adopted.host2, "lsdef")


def test_setup_completes_an_adopted_standby(adopted):
    adopted.host1.succeed(*SETUP_LINE)
    assert judge.holders(adopted) == ["host2"]
    adopted.host1.fail("python", "xcatha.py", "--status", code=3)


# ---- Each on a pair of its own ----

def test_deactivate_on_the_active_node_writes_a_released_record(old_pair):
    old_pair.host1.succeed(*DEACTIVATE_LINE)
    assert record(old_pair)["state"] == "standby"
    assert judge.links_into_share(old_pair.host1) == [] and judge.holders(old_pair) == []
    old_pair.host2.succeed(*SETUP_LINE)
    assert judge.links_into_share(old_pair.host2) == []
    old_pair.host2.succeed(*ACTIVATE_LINE)
    assert "cn1" in xcat(old_pair.host2, "lsdef")


def test_setup_on_the_active_node_changes_nothing(old_pair):
    before = judge.picture(old_pair.host1)
    old_pair.host1.succeed(*SETUP_LINE)
    assert judge.differences(before, judge.picture(old_pair.host1)) == {}


def test_standby_takes_over_when_the_active_node_has_lost_power(old_pair):
    old_pair.host1.power_off()
    old_pair.host2.succeed(*ACTIVATE_LINE)
    assert judge.holders(old_pair) == ["host2"]
    assert "cn1" in xcat(old_pair.host2, "lsdef")
