"""A pair whose data moves to MariaDB: set up with passwords from the environment, failed over."""
import pytest

from tests.lab import judge
from tests.lab.lab import frozen
from tests.lab.pair import SETUP, VIP, xcat
from tests.lab.starts import PASSWORDS, STAGES, Journey, database_directories, pair_on_mariadb

NEWER_CLIENT = "#!/bin/sh\necho 'mysql  Ver 15.1 Distrib 11.8.2-MariaDB, for Linux (x86_64)'\n"


@pytest.fixture(scope="module")
def journey():
    """The pair, to be activated without a password in the environment."""
    with frozen("mariadb", pair_on_mariadb) as lab:
        yield Journey(lab, ["mariadb", "mysql"])


@pytest.fixture(scope="module", params=STAGES)
def after(request, journey):
    """The pair at a stage of its journey."""
    journey.go_to(request.param)
    return journey


def test_xcat_uses_mariadb_at_the_vip(after):
    shown = xcat(after.active, "lsxcatd", "-d").splitlines()
    assert {"dbengine=mysql", f"dbhost={VIP}"} <= set(shown)


def test_server_works_in_the_share(after):
    assert database_directories(after.active) == {"/HA/var/lib/mysql"}


def test_definitions_of_the_other_host_are_there(after):
    assert after.defined_before() <= after.defined()
    assert len(after.defined()) == after.done


def test_exactly_one_host_holds_the_vip(after):
    assert judge.holders(after.lab) == [after.active.name]


def test_server_does_not_start_at_boot(after):
    assert judge.unit(after.active, "mariadb") == ("active", "disabled")


def test_xcats_user_is_admitted_from_both_nodes(after):
    found = after.active.succeed("mysql", "-N", "-e", "SELECT host FROM mysql.user WHERE "
                                 "user = 'xcatadmin'", env={"MYSQL_PWD": "R00tSecret"}).split()
    assert {"10.5.106.4", "10.5.106.5", VIP} <= set(found)


@pytest.mark.parametrize("after", ["planned failover"], indirect=True, scope="module")
def test_server_is_down_and_disabled_on_the_standby(after):
    assert judge.unit(after.standby, "mariadb") == ("inactive", "disabled")
    assert database_directories(after.standby) == set()


@pytest.mark.parametrize("secret", PASSWORDS.values())
def test_password_is_in_no_argument_log_or_output(journey, secret):
    for host in journey.lab.hosts:
        places = [place for place in ("var/log", "root", "tmp", "run/xcatha", "var/lib/xcatha")
                  if (host.root / place).exists()]
        found = [path for place in places for path in (host.root / place).rglob("*")
                 if path.is_file() and secret.encode() in path.read_bytes()]
        assert found == []
    assert "mysqlsetup" in (journey.lab.host1.root / "root/setup.trace").read_text()


def test_newer_server_on_the_other_host_is_refused(journey):
    journey.go_to(STAGES[-1])
    two = journey.lab.host2
    two.boot()
    two.succeed("install", "-m", "755", "/dev/stdin", "/usr/local/bin/mysql", input=NEWER_CLIENT)
    result = two.fail(*SETUP.format(path="/HA", engine="mysql").split(), code=3)
    assert "11.8 here, 10.11 there" in result.stderr
    assert result.stderr.endswith("Nothing was changed.\n")
