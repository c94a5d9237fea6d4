"""The switch of xCAT's database on nodes for which xCAT's own tools are not made.

They exit 0 where a table is lost, log in as root where PostgreSQL does not let them, take one
address for another and want xcatd to run. Each time the node ends as a clean standby, or as found.
"""
import pytest

from tests.lab import judge
from tests.lab.lab import Lab
from tests.lab.pair import SETUP, VIP, Pair, xcat
from tests.lab.starts import install_xcat

ACCESS = "/HA/var/lib/pgsql/data/pg_hba.conf"
LONG = "k" * 129


@pytest.fixture
def lab():
    with Lab() as fresh:
        yield fresh


def words_of_access(host):
    return [line.split() for line in host.succeed("cat", ACCESS).splitlines()]


def test_cluster_that_was_made_earlier_lets_only_its_own_user_log_in_as_before(lab):
    one = lab.host1
    one.succeed("su", "-", "postgres", "-c", "initdb -A peer -D /var/lib/pgsql/data")
    one.succeed("systemctl", "start", "postgresql")
    Pair(lab, "postgresql").setup(one)
    assert [words for words in words_of_access(one) if words[:1] == ["local"]][0] == [
        "local", "all", "all", "peer"]


def test_node_whose_address_begins_as_the_vip_does_is_admitted(lab):
    """xCAT's tool takes 10.5.106.5 for there once 10.5.106.50 is."""
    two = lab.host2
    assert VIP.startswith(two.address)
    Pair(lab, "postgresql").setup(two)
    admitted = {words[3] for words in words_of_access(two) if words[:1] == ["host"]}
    assert {f"{VIP}/32", f"{two.address}/32"} <= admitted


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_table_with_a_row_that_the_new_database_refuses_is_not_lost(lab, engine):
    one, line = lab.host1, SETUP.format(path="/HA", engine=engine).split()
    install_xcat(one)
    for key in (LONG, "system"):
        xcat(one, "chtab", f"key={key}", "passwd.username=root")
    said = one.fail(*line, code=1).stderr
    assert "the switch has lost rows of passwd" in said and "/root/xcat-dbback" in said
    assert "This node is as it was found" in said
    assert "system" in xcat(one, "tabdump", "passwd")
    xcat(one, "chtab", "-d", f"key={LONG}", "passwd")
    one.succeed(*line)
    assert judge.links_into_share(one) == []


def test_node_whose_xcatd_is_down_is_switched_to_mariadb(lab):
    one = lab.host1
    install_xcat(one)
    one.succeed("systemctl", "stop", "xcatd")
    Pair(lab, "mysql").setup(one)
