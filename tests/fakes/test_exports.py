"""NFS exports: what the server knows by the names that links resolve to is withdrawn, and back."""

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE
from tests.fakes.test_dryrun import both

EXPORTS = """\
/install *(rw,no_root_squash,sync,no_subtree_check,insecure) @admins(ro)
/tftpboot *(rw,no_root_squash,sync,no_subtree_check,insecure)
/install/a\\040b 2001:db8::/64(ro)
/home *(ro)
"""
TABLE = "/var/lib/nfs/etab"


@pytest.fixture
def host1(members):
    """A standby whose NFS server exports what xCAT's installer asks for, as it does at boot."""
    host = members[0]
    host.succeed("mkdir", "-p", "/HA/install/a b")
    host.path("/etc/exports").write_text(EXPORTS)
    host.succeed("exportfs", "-r", "-a")
    return host


def exported(host):
    """The paths of the server's table."""
    return sorted({line.split()[0] for line in host.path(TABLE).read_text().splitlines()})


def test_exports_hold_after_activate_and_none_leads_into_the_share_after_deactivate(host1):
    assert "/install" in exported(host1)
    assert "NFS exports" in both(host1, *ACTIVATE)
    assert exported(host1) == ["/HA/install", r"/HA/install/a\040b", "/HA/tftpboot", "/home"]
    both(host1, *DEACTIVATE)
    assert exported(host1) == ["/home"]


def test_export_that_is_older_than_the_link_is_withdrawn(host1):
    host1.xcatha(*ACTIVATE)
    table = host1.path(TABLE)
    table.write_text(table.read_text().replace("/HA/", "/"))
    said = host1.xcatha(*DEACTIVATE).stdout
    assert "withdrawn: /install " in said and exported(host1) == ["/home"]


def test_standby_keeps_the_exports_of_its_own_directories(host1):
    before = host1.path(TABLE).read_text()
    host1.xcatha(*DEACTIVATE)
    assert host1.path(TABLE).read_text() == before


SERVER = """\
[Service]
ExecStart=/usr/local/lib/fakes/xcatd infinity
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize("enabled", [True, False])
def test_nfs_server_that_boot_starts_is_up_again(host1, enabled):
    host1.path("/usr/lib/systemd/system/nfs-server.service").write_text(SERVER)
    if enabled:
        host1.succeed("systemctl", "enable", "nfs-server")
    both(host1, *ACTIVATE)
    assert host1.run("systemctl", "is-active", "nfs-server").returncode == (0 if enabled else 3)


def test_export_that_stays_is_told_and_the_remedy_works(host1):
    host1.xcatha(*ACTIVATE)
    host1.plan("FAIL_ON", "exportfs -u *:/HA/tftpboot")
    said = host1.xcatha(*DEACTIVATE, code=5).stderr
    assert "still exported: *:/HA/tftpboot" in said and "`exportfs -u -a`" in said
    host1.heal()
    host1.succeed("exportfs", "-u", "-a")
    host1.xcatha(*DEACTIVATE)
