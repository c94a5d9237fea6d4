"""Sites that are not like the lab: no ip(8), a share without ACLs, an address that has changed."""

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.test_commands import changes_of
from tests.fakes.test_refusals import IP, changed
from tests.lab.image import wait_for

STANDBY = 3
VIP, OTHER_VIP = "10.5.106.50", "10.5.106.60"
FILE_WITH_ATTRIBUTES = """
mkdir /install
echo content >/install/file
setfacl -m u:nobody:r /install/file
setfattr -n user.origin -v here /install/file
"""


def test_without_ip_the_vip_comes_and_goes_by_ifconfig(members):
    host1, _ = members
    host1.succeed("rm", "/usr/bin/ip", "/usr/sbin/ip")
    host1.xcatha(*ACTIVATE)
    assert "inet 10.5.106.50  netmask 255.0.0.0" in host1.succeed("ifconfig", "eth0:0")
    host1.xcatha(*DEACTIVATE)
    assert host1.addresses() == ["127.0.0.1", "10.5.106.4"]


def test_share_without_acls_and_attributes_gets_the_contents(node):
    node.succeed("sh", "-c", FILE_WITH_ATTRIBUTES)
    node.succeed("bindfs", "--xattr-none", "/HA", "/HA")
    said = node.xcatha(*SETUP).stderr
    assert "cannot store 2 ACLs or extended attributes of /install" in said
    assert node.succeed("cat", "/HA/install/file") == "content\n"


def test_pair_moves_to_another_vip(members):
    host1, _ = members
    host1.succeed("mv", "/HA/.xcatha/cluster.json", "/HA/.xcatha/cluster.json.old")
    for host in members:
        host.xcatha(*changed(SETUP, "-v", OTHER_VIP))
    host1.xcatha(*changed(ACTIVATE, "-v", OTHER_VIP))
    assert OTHER_VIP in host1.addresses() and VIP not in host1.addresses()
    assert f"host={OTHER_VIP}|" in host1.succeed("cat", "/etc/xcat/cfgloc")
    status = host1.xcatha("--status").stdout
    assert "host1: active" in status and "PROBLEM" not in status


# ---- /install is no business of the pair's ----


@pytest.fixture
def excluded(pair):
    """Two nodes that were told to leave /install out, at setup and never again."""
    for node in pair:
        node.xcatha(*SETUP, "--exclude", "/install")
    return pair


def test_second_activate_changes_nothing_where_install_is_left_out(excluded):
    excluded[0].xcatha(*ACTIVATE)
    assert changes_of(excluded[0], *ACTIVATE) == []


def test_install_is_left_out_by_every_failover(excluded):
    host1, host2 = excluded
    for node in (host1, host2, host1):
        node.xcatha(*ACTIVATE)
        assert losses.links(node) == ["etc/xcat", "root/.xcat", "tftpboot", "var/lib/pgsql"]
        assert "PROBLEM" not in node.xcatha("--status").stdout
        node.xcatha(*DEACTIVATE)
        assert losses.is_standby(node)


def test_link_of_the_administrators_own_that_ends_like_the_pairs_is_left_alone(node):
    node.succeed("sh", "-c", "mkdir -p /srv/install && ln -s /srv/install /install")
    node.xcatha(*SETUP, "--exclude", "/install")
    assert "PROBLEM" not in node.xcatha("--status", code=STANDBY).stdout
    node.xcatha(*ACTIVATE)
    assert "PROBLEM" not in node.xcatha("--status").stdout
    node.xcatha(*DEACTIVATE)
    assert node.succeed("readlink", "/install").strip() == "/srv/install"
    assert "PROBLEM" not in node.xcatha("--status", code=STANDBY).stdout


def test_deactivate_of_a_node_that_was_never_set_up_leaves_its_own_link_alone(node):
    node.succeed("sh", "-c", "mkdir -p /srv/install && ln -s /srv/install /install")
    node.xcatha(*DEACTIVATE)
    assert node.succeed("readlink", "/install").strip() == "/srv/install"


# A client of a server on port 2049, connected from the VIP; what its connection ends with.
NFS_FROM_THE_VIP = """
import socket, sys
server = socket.create_server(("10.5.106.4", 2049))
client = socket.create_connection(("10.5.106.4", 2049), source_address=("10.5.106.50", 0))
accepted, _ = server.accept()
print("connected", file=open("/run/client", "w"))
try:
    client.recv(1)
except OSError as error:
    print(error, file=open("/run/client", "w"))
"""


def test_nfs_that_came_from_the_vip_is_told_that_it_is_gone(members):
    """It would wait for minutes, and the lease would be lost meanwhile."""
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("sysctl", "-q", "-w", "net.ipv4.conf.eth0.promote_secondaries=1")
    for change in ("del", "add"):  # the VIP is the first address of its subnet then
        host1.succeed(IP, "address", change, "10.5.106.4/8", "dev", "eth0")
    host1.succeed("tee", "/root/client.py", input=NFS_FROM_THE_VIP)
    host1.succeed("sh", "-c", "setsid python3 /root/client.py >/dev/null 2>&1 &")
    told = host1.path("/run/client")
    wait_for(lambda: told.exists() and told.read_text() == "connected\n", 10, "the connection")
    host1.xcatha(*DEACTIVATE)
    wait_for(lambda: "abort" in told.read_text(), 5, "the end of the connection")


# ---- What xCAT's own commands do beside ---------------------------------------------------------


def test_hosts_file_without_the_vip_is_told_and_completed_from_the_share(members):
    """`makehosts -n` keeps only localhost and the nodes."""
    host1, _ = members
    host1.succeed("sh", "-c", "printf '10.9.0.1 nfsstore\\n10.9.0.6 cn1\\n' >>/etc/hosts")
    host1.xcatha(*ACTIVATE)
    host1.write("/etc/hosts", "127.0.0.1 localhost\n10.9.0.7 cn1\n")  # renumbered
    saved = host1.path("/HA/.xcatha/hosts")
    wait_for(lambda: "10.9.0.7 cn1" in saved.read_text(), 60, "the holder to save it")
    said = host1.xcatha("--status", code=1).stdout
    assert "PROBLEM: /etc/hosts lacks the VIP" in said
    host1.xcatha(*ACTIVATE)
    hosts = host1.path("/etc/hosts").read_text()
    assert "10.9.0.1 nfsstore" in hosts and "10.5.106.50 hamn" in hosts
    assert "\n10.9.0.7 cn1\n" in hosts and "\n10.9.0.6 cn1" not in hosts
    assert host1.xcatha("--status").stdout.endswith("host1: active\n")


def test_console_server_that_starts_at_boot_does_not_start_without_the_lease(members):
    """Each makegocons enables its server."""
    for unit in ("conserver", "xcatd", "dhcpd"):
        drop_in = members[0].path(f"/etc/systemd/system/{unit}.service.d/xcatha.conf")
        assert "BindsTo=xcatha-lease.service" in drop_in.read_text()


def test_tftp_server_that_outlives_xcatd_does_not_keep_the_share_busy(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("sh", "-c", "cp /bin/sleep /root/in.tftpd; "
                  "for place in /tftpboot/ /srv; do (cd -P $place && "
                  "setsid /root/in.tftpd 600 >/dev/null 2>&1 &) done")
    host1.xcatha(*DEACTIVATE)
    left = host1.succeed("pgrep", "in.tftpd").split()
    assert [host1.succeed("readlink", f"/proc/{pid}/cwd") for pid in left] == ["/srv\n"]
    host1.succeed("pkill", "in.tftpd")


def test_deactivate_believes_the_record_before_the_lease(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.write("/run/xcatha.vips", "10.6.0.50\n10.5.106.50\n")  # as setup leaves it, killed
    assert "-v 10.5.106.50\n" in host1.xcatha("-d", "--yes").stdout
