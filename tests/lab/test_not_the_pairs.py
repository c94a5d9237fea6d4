"""What is not the pair's is left alone: another engine's server, another cluster of PostgreSQL.

Each stage of a pair's life is judged from outside: the other server is the same process as before,
still starts at boot, and no output names it.
"""
import pytest

from tests.lab import judge
from tests.lab.lab import Lab
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, Pair, xcat
from tests.lab.starts import database_directories, install_xcat, move_to_postgresql_by_hand

STATUS = "python xcatha.py --status"
STAGES = {"setup": ("host1", SETUP, 0), "setup of the second": ("host2", SETUP, 0),
          "activate": ("host1", ACTIVATE, 0), "status of the active": ("host1", STATUS, 0),
          "activate again": ("host1", ACTIVATE, 0), "status of the standby": ("host2", STATUS, 3),
          "deactivate": ("host1", DEACTIVATE, 0), "takeover": ("host2", ACTIVATE, 0),
          "deactivate again": ("host1", DEACTIVATE, 0)}


class Beside:
    """A pair and, on each host, a server that is not the pair's: what became of it, by stage."""

    def __init__(self, lab, pid_of, unit):
        self.lab, self.pid_of, self.unit = lab, pid_of, unit
        self.before = {host.name: self.look(host) for host in lab.hosts}
        self.said, self.after = {}, {}
        pair = Pair(lab, "postgresql")
        for stage, (name, command, code) in STAGES.items():
            host = getattr(lab, name)
            done = host.run(*pair.line(command, host))
            assert done.returncode == code, host.report(done)
            self.said[stage] = done.stdout + done.stderr
            self.after[stage] = self.look(host)

    def look(self, host):
        """(the server's process, how its unit starts at boot, the drop-ins of its unit)."""
        show = host.succeed("systemctl", "show", "-P", "DropInPaths", self.unit)
        return self.pid_of(host), judge.unit(host, self.unit), show


# ---- An accounting database in MariaDB beside xCAT's PostgreSQL ---------------------------------

def pid_of_mariadb(host):
    return host.succeed("pgrep", "-x", "mariadbd").split()


@pytest.fixture(scope="module")
def accounting():
    with Lab() as lab:
        for host in lab.hosts:
            host.succeed("systemctl", "enable", "--now", "mariadb")
            host.succeed("mysql", "-e", "CREATE DATABASE slurm_acct_db")
        yield Beside(lab, pid_of_mariadb, "mariadb")


@pytest.mark.parametrize("stage", STAGES)
def test_other_engines_server_is_the_same_process_and_starts_at_boot(accounting, stage):
    before = accounting.before[STAGES[stage][0]]
    assert accounting.after[stage] == before
    assert before[1] == ("active", "enabled") and len(before[0]) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_other_engines_server_is_not_mentioned(accounting, stage):
    said = accounting.said[stage].lower()
    assert "maria" not in said and "mysql" not in said


def test_pairs_own_server_is_moved_beside_it(accounting):
    assert judge.database_directories(accounting.lab.host2) == {"/HA/var/lib/pgsql/data"}
    assert judge.database_directories(accounting.lab.host1) == set()


# ---- A second cluster of PostgreSQL, Debian's layout --------------------------------------------

def pid_of_other_cluster(host):
    return host.succeed("head", "-n", "1", "/var/lib/postgresql/15/other/postmaster.pid")


@pytest.fixture(scope="module")
def clusters():
    with Lab(flavour="debian") as lab:
        install_xcat(lab.host1)
        move_to_postgresql_by_hand(lab.host1)
        for host in lab.hosts:
            host.succeed("pg_createcluster", "15", "other", "--port", "5433")
            host.succeed("systemctl", "enable", "postgresql")
            host.succeed("systemctl", "daemon-reload")
            host.succeed("systemctl", "start", "postgresql@15-other")
        yield Beside(lab, pid_of_other_cluster, "postgresql")


@pytest.mark.parametrize("stage", STAGES)
def test_other_cluster_is_the_same_process_and_starts_at_boot(clusters, stage):
    before = clusters.before[STAGES[stage][0]]
    assert clusters.after[stage][0] == before[0] and before[0].strip().isdigit()
    assert clusters.after[stage][1][1] == "enabled"


@pytest.mark.parametrize("stage", STAGES)
def test_other_cluster_is_not_mentioned(clusters, stage):
    assert "other" not in clusters.said[stage].replace("other node", "")


def test_data_of_the_pairs_cluster_alone_are_linked(clusters):
    two = clusters.lab.host2
    assert two.succeed("readlink", "/var/lib/postgresql/15/main").strip() == (
        "/HA/var/lib/postgresql/15/main")
    for path in ("/var/lib/postgresql", "/var/lib/postgresql/15/other", "/etc/postgresql"):
        two.fail("test", "-L", path)
    two.fail("test", "-e", "/HA/var/lib/postgresql/15/other")
    assert database_directories(two) == {"/HA/var/lib/postgresql/15/main",
                                         "/var/lib/postgresql/15/other"}


def test_settings_of_the_other_cluster_stay(clusters):
    for host in clusters.lab.hosts:
        for name in ("pg_hba.conf", "postgresql.conf"):
            settings = host.succeed("cat", f"/etc/postgresql/15/other/{name}")
            assert "10.5.106" not in settings


def test_definitions_are_those_of_the_pair(clusters):
    assert "host=10.5.106.50" in xcat(clusters.lab.host2, "lsxcatd", "-d")


def test_after_a_boot_the_other_cluster_runs_and_the_pairs_does_not(clusters):
    one = clusters.lab.host1
    one.reboot()
    one.wait_until("systemctl", "is-active", "--quiet", "postgresql@15-other")
    assert judge.unit(one, "postgresql@15-main")[0] != "active"
    assert database_directories(one) == {"/var/lib/postgresql/15/other"}
