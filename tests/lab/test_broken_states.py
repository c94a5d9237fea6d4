"""Broken states as they happen: --status alone names what fixes them, and that does.

In each of them the advice is taken from what --status printed. A command is run in a login shell
as it stands there; where only a human can help, the test does what the sentence says.
"""
import re
import signal
import time

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.network import mac
from tests.lab.pair import VIP, Pair, cluster_lab, define_node, xcat
from tests.lab.test_surroundings import hanging_for

STATUS = "python xcatha.py --status".split()
ACTIVE, INCONSISTENT, STANDBY, CANNOT_TELL = 0, 1, 3, 4
DHCPD = "subnet 10.0.0.0 netmask 255.0.0.0 { }\n"
PERSISTENT_VIP = f"auto eth0:0\niface eth0:0 inet static\n    address {VIP}/8\n"
UPGRADE = "sed -i s/VERSION_ID=.*/VERSION_ID=13/ /etc/os-release"


@pytest.fixture(scope="module")
def lab():
    """host1 is active; no key of root's is known to the pair yet."""
    with cluster_lab() as booted:
        Pair(booted, "postgresql").activate(booted.host1)
        yield booted


@pytest.fixture(scope="module")
def active(lab):
    return lab.host1


@pytest.fixture(scope="module")
def standby(lab):
    return lab.host2


# ---- Advice ----------------------------------------------------------------------------------

def advice(host, sign, *codes):
    """What --status says to do about the line with this sign; it must exit with one of these."""
    done = host.run(*STATUS)
    lines = done.stdout.splitlines()
    found = [number for number, line in enumerate(lines) if sign in line]
    assert done.returncode in codes and found, host.report(done)
    return next(line[len("  fix: "):] for line in lines[found[0]:] if line.startswith("  fix: "))


def is_fixed(host, sign):
    """True if the node is plainly active or standby and does not show the sign."""
    done = host.run(*STATUS)
    return (done.returncode in (ACTIVE, STANDBY) and "PROBLEM" not in done.stdout
            and sign not in done.stdout)


def follow_problem(host, sign):
    """The advice on this problem is a command, and it fixes the node."""
    host.succeed("bash", "-lc", advice(host, sign, INCONSISTENT))
    assert is_fixed(host, sign), host.report(host.run(*STATUS))


def follow_note(host, sign):
    """The advice on this note, with which the node still works, is a command that removes it."""
    host.succeed("bash", "-lc", advice(host, sign, ACTIVE, STANDBY))
    assert is_fixed(host, sign), host.report(host.run(*STATUS))


# ---- A standby -------------------------------------------------------------------------------

def test_package_upgrade_enabled_units(standby):
    standby.succeed("systemctl", "enable", "xcatd")
    follow_problem(standby, "xcatd starts at boot")


def test_dhcp_server_runs_on_a_standby(standby):
    standby.succeed("tee", "/root/dhcpd.conf", input=DHCPD)
    standby.succeed("tee", "/root/dhcpd.leases", input="")
    standby.succeed("dhcpd", "-cf", "/root/dhcpd.conf", "-lf", "/root/dhcpd.leases", "eth0")
    follow_problem(standby, "dhcpd (pid")


def test_drop_in_of_a_reinstalled_package_is_gone(standby):
    standby.succeed("rm", "/etc/systemd/system/isc-dhcp-server.service.d/xcatha.conf")
    standby.succeed("systemctl", "daemon-reload")
    follow_problem(standby, "isc-dhcp-server is not bound to the lease")


def test_vip_comes_up_at_boot(standby):
    standby.succeed("tee", "/etc/network/interfaces.d/vip", input=PERSISTENT_VIP)
    assert "delete that line or address" in advice(standby, "comes up at boot", INCONSISTENT)
    place = re.search(r"at boot: (\S+):(\d+) has", standby.run(*STATUS).stdout)
    standby.succeed("sed", "-i", f"{place[2]}d", place[1])
    assert is_fixed(standby, "comes up at boot")


def test_older_backup_is_left(standby):
    standby.succeed("cp", "-a", "/tftpboot", "/tftpboot.xcatbak")
    follow_note(standby, "/tftpboot.xcatbak is left")


def test_hosts_files_differ(active, standby):
    define_node(active, 7)
    saved = active.share / ".xcatha/hosts"
    wait_for(lambda: "cn7" in saved.read_text(), 30, "cn7 on the share")
    follow_note(standby, "/etc/hosts lacks changes")
    assert "cn7" in standby.succeed("cat", "/etc/hosts")


def test_root_has_different_ssh_keys(lab, active, standby):
    for host in lab.hosts:
        key = host.succeed("cat", "/root/.ssh/id_rsa.pub")
        active.succeed("tee", "-a", "/root/.ssh/authorized_keys", input=key)
    active.succeed("systemctl", "start", "ssh")
    standby.succeed("sh", "-c", "ssh-keyscan host1 >>/root/.ssh/known_hosts")
    follow_note(standby, "root's ssh key differs")
    assert key != standby.succeed("cat", "/root/.ssh/id_rsa.pub")
    assert key == standby.succeed("cat", "/root/.ssh/id_rsa.pub.xcatbak")


def test_share_is_not_mounted(standby):
    standby.succeed("mkdir", "-p", "/storage")
    standby.succeed("mount", "--bind", "/HA", "/storage")
    standby.succeed("tee", "-a", "/etc/fstab", input="/storage /HA none bind 0 0\n")
    standby.succeed("umount", "/HA")
    standby.succeed("bash", "-lc", advice(standby, "the share /HA is missing", CANNOT_TELL))
    assert is_fixed(standby, "missing")


def test_share_is_nearly_full(standby):
    standby.succeed("mkdir", "-p", "/small")
    standby.succeed("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", "/small")
    standby.succeed("cp", "-a", "/HA/.", "/small")
    standby.succeed("mount", "--bind", "/small", "/HA")
    standby.succeed("mkdir", "/HA/install/forgotten")
    free = int(standby.succeed("stat", "-f", "-c", "%a", "/HA")) * 4096
    standby.succeed("fallocate", "-l", str(free - (10 << 20)), "/HA/install/forgotten/image")
    fix = advice(standby, "nearly full", INCONSISTENT)
    assert fix.startswith("make room there")
    shown = standby.succeed("bash", "-lc", fix.partition("what is big: ")[2])
    assert "/HA/install/forgotten" in shown
    standby.succeed("rm", "-r", "/HA/install/forgotten")
    assert is_fixed(standby, "nearly full")
    standby.succeed("umount", "/HA")


# ---- The active node -------------------------------------------------------------------------

def test_lease_is_lost(active):
    active.succeed("systemctl", "kill", "--signal=SIGKILL", "xcatha-lease")
    wait_for(lambda: judge.unit(active, "postgresql")[0] in ("inactive", "failed"), 60,
             "end of the database")
    follow_problem(active, "the lease is not held")


def test_unit_crashed(active):
    active.succeed("systemctl", "stop", "named")
    follow_problem(active, "DNS is down")


def test_daemon_of_an_init_script_died(active):
    """Its unit stays "active (exited)", and a start of that does nothing."""
    active.succeed("pkill", "-KILL", "-x", "dhcpd")
    shown = "systemctl show --value --property=SubState isc-dhcp-server".split()
    wait_for(lambda: active.succeed(*shown) == "exited\n", 10, "the unit without its daemon")
    follow_problem(active, "DHCP is down")
    assert "dhcpd" in judge.programs(active)


def test_half_copy_is_left_on_the_share(active):
    active.succeed("mkdir", "-p", "/HA/var/lib/mysql.xcatha-partial/mysql")
    follow_problem(active, "a half copy is left")


def test_master_is_not_the_vip(active):
    xcat(active, "chdef", "-t", "site", f"master={active.address}")
    follow_problem(active, "master of clustersite is not the VIP")
    assert f"master={VIP}" in xcat(active, "lsdef", "-t", "site", "-i", "master")


def test_cfgloc_is_not_the_vip(active):
    active.succeed("sed", "-i", f"s/host={VIP}/host={active.address}/", "/etc/xcat/cfgloc")
    active.succeed("systemctl", "restart", "xcatd")
    follow_problem(active, f"cfgloc names {active.address}")
    assert f"dbhost={VIP}" in xcat(active, "lsxcatd", "-a")


def test_noderes_names_a_physical_address(active):
    xcat(active, "chdef", "-t", "node", "-o", "cn1", f"xcatmaster={active.address}")
    follow_problem(active, f"xcatmaster of cn1 is {active.address}")
    assert f"xcatmaster={VIP}" in xcat(active, "lsdef", "-t", "node", "-o", "cn1")


def test_interface_of_a_network_is_an_alias(active):
    network = xcat(active, "lsdef", "-t", "network").split()[0]
    xcat(active, "chdef", "-t", "network", "-o", network, "mgtifname=eth0:0")
    follow_problem(active, f"mgtifname of {network} is eth0:0, an alias, where no server listens")


# ---- Both nodes ------------------------------------------------------------------------------

def test_versions_differ(active, standby):
    standby.succeed(*UPGRADE.split())
    differs = "os differs: debian 13 here, debian 12 on host1"
    assert "upgrade the older node" in advice(standby, differs, INCONSISTENT)
    active.succeed(*UPGRADE.split())
    recorded = "os is debian 13 here, recorded as debian 12"
    active.succeed("bash", "-lc", advice(active, recorded, INCONSISTENT))
    follow_problem(standby, recorded)
    assert is_fixed(active, "os differs")


def test_links_are_left_over_after_a_power_loss(lab, active, standby):
    active.power_off()
    Pair(lab, "postgresql").activate(standby)
    active.boot()
    follow_problem(active, "links into the share on a standby")
    Pair(lab, "postgresql").deactivate(standby)


def test_vip_answers_at_an_unknown_mac(lab, standby):
    lab.client.succeed("ip", "address", "add", f"{VIP}/8", "dev", "eth0")
    lab.client.succeed("arping", "-U", "-c", "1", "-I", "eth0", VIP)
    sign = f"the VIP answers at {mac(lab.client.address)}"
    assert "take the address off it" in advice(standby, sign, INCONSISTENT)
    lab.client.succeed("ip", "address", "del", f"{VIP}/8", "dev", "eth0")
    wait_for(lambda: is_fixed(standby, "answers at"), 90, "the standby's view of the VIP")


# ---- A share that hangs ----------------------------------------------------------------------

@pytest.fixture
def hung():
    """host1 is active, and every call to the share blocks."""
    with hanging_for("host1") as lab:
        yield lab


def test_share_hangs(hung):
    began = time.monotonic()
    fix = advice(hung.host1, "the share /HA is silent", CANNOT_TELL)
    assert time.monotonic() - began < 30
    assert "bring its server or network back" in fix
    hung.signal("host1", signal.SIGCONT)
    wait_for(lambda: is_fixed(hung.host1, "silent"), 60, "the share")
