"""What the stand-in's mysqlsetup claims of the real one, on a host without the VIP."""
import pytest

from tests.lab.lab import frozen
from tests.lab.test_standin import Node, install_both

pytestmark = pytest.mark.long  # lab/test_observed holds the stand-in to what real xCAT did

PASSWORDS = {"XCATMYSQLADMIN_PW": "secret1", "XCATMYSQLROOT_PW": "secret2"}
ON_MYSQL = """\
cfgloc=mysql:dbname=xcatdb;host=10.5.106.4|xcatadmin
dbengine=mysql
dbname=xcatdb
dbhost=10.5.106.4
dbadmin=xcatadmin
"""


@pytest.fixture(scope="module")
def switched():
    """(host1 with its tables moved to MariaDB, what mysqlsetup printed)."""
    with frozen("standin", install_both) as lab:
        node = Node(lab.host1)
        node.start("mariadb")
        node.succeed("sh", "-c", "printf '10.5.106.5\\n10.5.106.77' >/root/hosts")
        yield node, node.run("mysqlsetup", "-i", "-V", "-f", "/root/hosts", env=PASSWORDS)


@pytest.fixture(scope="module")
def node(switched):
    return switched[0]


@pytest.fixture(scope="module")
def result(switched):
    return switched[1]


def hosts_of_xcatadmin(node):
    """From where MariaDB admits xCAT's user."""
    rows = node.succeed("mysql", "-N", "-e", "SELECT host FROM mysql.user WHERE "
                        "user = 'xcatadmin'", env={"MYSQL_PWD": "secret2"})
    return sorted(rows.split())


def test_the_tables_move_to_mariadb(node):
    assert node.succeed("lsxcatd", "-d") == ON_MYSQL
    assert '"1.2","host1",,,,,,"trusted",,' in node.succeed("tabdump", "policy")


def test_a_running_server_is_announced_not_to_be_initialised(result):
    assert "Database initialization will not take place" in result.stdout


def test_success_is_announced(result):
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        0, "xCAT is running on the MySQL database.")


def test_server_is_enabled_at_boot(node):
    assert node.state("mariadb", "UnitFileState") == "enabled"


def test_cfgloc_names_the_master_and_is_for_root_alone(node):
    for path in ("/etc/xcat/cfgloc", "/etc/xcat/cfgloc.mysql"):
        assert node.stat("%a", path) == "600"
        assert node.read(path) == "mysql:dbname=xcatdb;host=10.5.106.4|xcatadmin|secret1\n"


def test_last_line_of_the_host_file_loses_a_character_without_a_newline(node):
    assert hosts_of_xcatadmin(node) == ["10.5.106.4", "10.5.106.5", "10.5.106.7", "localhost"]


def test_server_is_bound_to_no_address(node):
    assert "\n#bind-address" in node.read("/etc/mysql/mariadb.conf.d/50-server.cnf")


def test_passwords_are_left_in_the_clients_history(node):
    assert "secret2" in node.read("/root/.mysql_history")


def test_a_second_mysqlsetup_changes_nothing(node):
    again = node.run("mysqlsetup", "-i", "-V", env=PASSWORDS)
    assert (again.returncode, again.stdout) == (
        0, "The /etc/xcat/cfgloc file is already configured for MySQL xCAT. "
           " No xCAT setup is required.\n")


def test_grants_can_be_added_later(node):
    node.succeed("sh", "-c", "echo 10.5.106.78 >/root/hosts")
    node.succeed("mysqlsetup", "-u", "-f", "/root/hosts", env=PASSWORDS)
    assert "10.5.106.78" in hosts_of_xcatadmin(node)


def test_wrong_root_password_is_refused(node):
    wrong = {**PASSWORDS, "XCATMYSQLROOT_PW": "wrong"}
    failed = node.fail("mysqlsetup", "-u", "-f", "/root/hosts", env=wrong, code=1)
    assert "Wrong MySQL root password." in failed.stderr


@pytest.mark.parametrize("options", [["-u"], ["-i", "-u", "-f", "/root/hosts"], []])
def test_options_that_do_not_go_together_are_refused(node, options):
    node.fail("mysqlsetup", *options, env=PASSWORDS, code=1)


def test_password_of_other_characters_is_refused(node):
    hostile = {**PASSWORDS, "XCATMYSQLROOT_PW": "a;b"}
    failed = node.fail("mysqlsetup", "-u", "-f", "/root/hosts", env=hostile, code=1)
    assert "is not alpha-numeric." in failed.stderr
