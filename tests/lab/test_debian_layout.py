"""Debian's own layout of PostgreSQL: what xCAT's switch cannot do there, and what works."""
import pytest

from tests.lab import judge
from tests.lab.lab import Lab, frozen
from tests.lab.pair import SETUP, VIP, xcat
from tests.lab.starts import (
    STAGES,
    Journey,
    database_directories,
    install_xcat,
    pair_on_debian,
)

LINE = SETUP.format(path="/HA", engine="postgresql").split()
DATABASE = ("/etc/postgresql", "/var/lib/postgresql")
UNITS = ("postgresql", "postgresql@15-main")
POSTGRESQL_PACKAGES = ("postgresql-15", "postgresql-common", "postgresql-client-common")


# ---- Where pgsqlsetup fails ----

@pytest.fixture(scope="module")
def existing():
    """A node of Debian's layout that serves with its data in SQLite."""
    with Lab(flavour="debian") as lab:
        install_xcat(lab.host1)
        yield lab


def test_switch_by_pgsqlsetup_is_refused_with_the_alternatives(existing):
    told = existing.host1.fail(*LINE, code=3).stderr
    assert "pgsqlsetup cannot work on this distribution" in told
    assert "a Pg: line in /etc/xcat/cfgloc" in told and "-t mysql or -t sqlite" in told
    assert told.endswith("Nothing was changed.\n")


def test_refusal_comes_before_anything_stops(existing):
    before = judge.picture(existing.host1)
    existing.host1.fail(*LINE, code=3)
    assert judge.differences(before, judge.picture(existing.host1)) == {}
    assert judge.unit(existing.host1, "xcatd") == ("active", "enabled")


def test_switch_is_refused_where_postgresql_is_not_installed_yet(existing):
    existing.host2.succeed("apt-get", "-y", "purge", *POSTGRESQL_PACKAGES)
    told = existing.host2.fail(*LINE, code=3).stderr
    assert "pgsqlsetup cannot work on this distribution" in told
    existing.host2.fail("test", "-e", "/opt/xcat")


# ---- An existing Pg: cfgloc ----

@pytest.fixture(scope="module")
def journey():
    with frozen("debian", pair_on_debian, flavour="debian") as lab:
        yield Journey(lab, ["postgresql"])


@pytest.fixture(scope="module", params=STAGES)
def after(request, journey):
    """The pair at a stage of its journey."""
    journey.go_to(request.param)
    return journey


def test_xcat_uses_postgresql_at_the_vip(after):
    shown = xcat(after.active, "lsxcatd", "-d").splitlines()
    assert {"dbengine=Pg", f"dbhost={VIP}"} <= set(shown)


def test_server_works_in_the_share(after):
    assert database_directories(after.active) == {"/HA/var/lib/postgresql/15/main"}


def test_data_and_configuration_are_links_into_the_share(after):
    assert [after.active.succeed("readlink", path).strip() for path in DATABASE] == [
        f"/HA{path}" for path in DATABASE]


def test_definitions_of_the_other_host_are_there(after):
    assert after.defined_before() <= after.defined()
    assert len(after.defined()) == after.done


def test_exactly_one_host_holds_the_vip(after):
    assert judge.holders(after.lab) == [after.active.name]


def test_wrapper_does_not_start_at_boot(after):
    assert judge.unit(after.active, "postgresql") == ("active", "disabled")


@pytest.mark.parametrize("after", ["planned failover"], indirect=True, scope="module")
def test_wrapper_and_instance_are_down_on_the_standby(after):
    assert [judge.unit(after.standby, unit)[0] for unit in UNITS] == ["inactive", "inactive"]
    assert database_directories(after.standby) == set()


@pytest.mark.parametrize("after", ["planned failover"], indirect=True, scope="module")
def test_standbys_own_configuration_is_back(after):
    for path in DATABASE:
        after.standby.succeed("test", "-d", path)
        after.standby.fail("test", "-L", path)


@pytest.mark.parametrize("unit", UNITS)
def test_server_cannot_be_started_on_a_host_that_lost_power(journey, unit):
    journey.go_to("power loss")
    two = journey.lab.host2
    if not two.pid:
        two.boot()
    two.fail("systemctl", "start", unit)
    assert database_directories(two) == set()
