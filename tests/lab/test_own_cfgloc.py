"""A standby's own cfgloc never leads to the pair's database: what XCATBYPASS changes stays here."""
import pytest

from tests.lab.lab import Lab, frozen
from tests.lab.pair import VIP, XCAT, Pair, pair_lab, xcat
from tests.lab.starts import EXISTING

CFGLOC = "/etc/xcat/cfgloc"
OLDER = f"Pg:dbname=xcatdb;host={VIP}|xcatadm|cluster\n"
BYPASS = {**XCAT, "XCATBYPASS": "1"}
STATUS = "python xcatha.py --status"
OTHER_ENGINE = """
set -e
systemctl start mariadb
XCATMYSQLADMIN_PW=Adm1n XCATMYSQLROOT_PW=R00t mysqlsetup -i -V
"""


def domain(host):
    return xcat(host, "lsdef", "-t", "site", "-i", "domain", "-c")


def write_older(host):
    """What setup of an older version of the script has left on this node."""
    host.succeed("install", "-m", "600", "/dev/stdin", CFGLOC, input=OLDER)


@pytest.fixture(scope="module")
def pair():
    with pair_lab() as lab:
        yield Pair(lab, "postgresql")


@pytest.fixture
def active(pair):
    """host1 is the active one, host2 stands by."""
    pair.activate(pair.lab.host1)
    yield pair
    pair.deactivate(pair.lab.host1)


def test_fresh_nodes_have_no_cfgloc_after_setup(pair):
    for host in pair.lab.hosts:
        host.fail("test", "-e", CFGLOC)


def test_change_past_the_daemon_on_the_standby_leaves_the_active_nodes_tables_alone(active):
    one, two = active.lab.hosts
    before = domain(one)
    two.succeed("chdef", "-t", "site", "domain=of-the-standby.test", env=BYPASS, timeout=20)
    assert domain(one) == before and "of-the-standby" not in before
    assert "of-the-standby" in two.succeed("lsdef", "-t", "site", "-i", "domain", env=BYPASS)


def test_status_names_a_cfgloc_of_an_older_setup_and_its_remedy_fixes_it(active):
    one, two = active.lab.hosts
    write_older(two)
    shown = two.fail(*STATUS.split(), code=1).stdout.splitlines()
    line = shown.index(f"PROBLEM: {CFGLOC} of this node's own leads to the pair's database")
    two.succeed("sh", "-c", shown[line + 1].replace("  fix: ", ""))
    two.fail(*STATUS.split(), code=3)
    two.fail("test", "-e", CFGLOC)
    assert two.succeed("cat", f"{CFGLOC}.xcatbak") == OLDER


def test_activate_puts_an_older_nodes_own_cfgloc_right_while_it_is_a_link(pair):
    one = pair.lab.host1
    write_older(one)
    pair.activate(one)
    assert one.succeed("cat", CFGLOC).startswith(OLDER.rpartition("|")[0])
    pair.deactivate(one)
    one.fail("test", "-e", CFGLOC)


def test_active_node_of_an_older_setup_is_fixed_by_its_remedy(active):
    one = active.lab.host1
    one.succeed("install", "-m", "600", "/dev/stdin", "/etc/xcat.xcatbak/cfgloc", input=OLDER)
    shown = one.fail(*STATUS.split(), code=1).stdout.splitlines()
    line = next(number for number, text in enumerate(shown) if "of this node's own leads" in text)
    one.succeed("sh", "-c", shown[line + 1].replace("  fix: ", ""))
    one.succeed(*STATUS.split())
    one.succeed("test", "-e", CFGLOC)  # the pair's, by the link


def test_existing_nodes_cfgloc_is_kept_aside():
    with frozen("existing-postgresql", EXISTING["postgresql"]) as lab:
        one, before = lab.host1, lab.host1.succeed("cat", CFGLOC)
        Pair(lab, "postgresql").setup(one)
        one.fail("test", "-e", CFGLOC)
        assert one.succeed("cat", f"{CFGLOC}.xcatbak") == before


def test_cfgloc_of_another_engine_is_back_after_the_switch():
    with Lab() as lab:
        one = lab.host1
        one.succeed("/opt/xcat-repo/go-xcat", "--yes", "install")
        one.xcat("sh", "-c", OTHER_ENGINE)
        before = one.succeed("cat", CFGLOC)
        Pair(lab, "postgresql").setup(one)
        assert before.startswith("mysql:") and one.succeed("cat", CFGLOC) == before
        assert one.succeed("stat", "-c", "%a", CFGLOC).strip() == "600"
