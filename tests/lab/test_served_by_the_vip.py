"""What compute nodes and people are told to ask is the VIP, and servers that are up deliver."""
import re

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.pair import ACTIVATE, DEACTIVATE, VIP, cluster_lab, mac_of, xcat
from tests.lab.test_broken_states import ACTIVE, STATUS, follow_note, follow_problem, is_fixed

ACTIVATE_LINE = ACTIVATE.format(path="/HA", engine="postgresql").split()
NETWORK = "10_0_0_0-255_0_0_0"
NAMED, DHCPD, CONSERVER = "/etc/bind/named.conf", "/etc/dhcp/dhcpd.conf", "/etc/conserver.cf"
MADE_BY_HAND = {NAMED: "// by hand\r\n", DHCPD: "# by hand\n",
                CONSERVER: "console mine {\n  type exec;\n  exec cat;\n}\n"}


@pytest.fixture(scope="module")
def lab():
    """host1 is active; both hosts had files of their own for DNS, DHCP and consoles before."""
    with cluster_lab() as booted:
        for host in booted.hosts:
            for path, text in MADE_BY_HAND.items():
                host.succeed("rm", "-f", path, f"{path}.xcatbak")
                host.succeed("tee", path, f"{path}.mine", input=text)
        booted.host1.succeed(*ACTIVATE_LINE)
        yield booted


@pytest.fixture
def active(lab):
    return lab.host1


def setting(host, path, name):
    """The values of a setting in a configuration file of C's kind."""
    return re.findall(rf"(?m)^ *(?:option )?{name} (.*);", host.succeed("cat", path))


# ---- The first activation ----

def test_what_was_made_by_hand_is_kept_when_xcat_first_writes_a_file(active):
    for path in MADE_BY_HAND:
        active.fail("cmp", path, f"{path}.mine")
        assert f"{path}.mine" in kept(active, path)


def kept(host, path):
    """The backups of a file, and the original where one of them is the same to the byte."""
    names = host.succeed("sh", "-c", f"ls {path}.xcatbak*").split()
    return names + [f"{path}.mine" for name in names
                    if host.run("cmp", name, f"{path}.mine").returncode == 0]


def test_it_is_still_kept_when_xcat_has_written_the_file_twice_more(active):
    for _ in range(2):
        active.succeed(*DEACTIVATE.split())
        active.succeed(*ACTIVATE_LINE)
    assert [len(kept(active, path)) for path in MADE_BY_HAND] == [2, 3, 2]


def test_tftp_server_of_the_network_is_the_vip(active):
    assert f"tftpserver={VIP}" in xcat(active, "lsdef", "-t", "network", "-o", NETWORK)
    assert setting(active, DHCPD, "next-server") == [VIP]


def test_node_that_asks_by_dhcp_is_told_to_boot_from_the_vip(lab, active):
    assert lab.client.dhcp(mac_of(1))["siaddr"] == VIP


def test_console_answers_on_both_nodes(lab, active):
    for host in lab.hosts:
        host.console("cn1", VIP, "hello", "cn1: hello")


# ---- What --status shows ----

def test_active_node_names_nothing_but_the_servers_that_are_not_set(active):
    done = active.run(*STATUS)
    assert done.returncode == ACTIVE and "PROBLEM" not in done.stdout, active.report(done)
    follow_note(active, f"logservers and ntpservers of {NETWORK}")
    assert setting(active, DHCPD, "log-servers") == setting(active, DHCPD, "ntp-servers") == [VIP]


@pytest.mark.parametrize("kind, name, attribute, value, right", [
    ("site", "clustersite", "extntpservers", "10.5.106.4,ntp.test", f"{VIP},ntp.test"),
    ("site", "clustersite", "forwarders", "10.5.106.5,10.1.1.1", "10.1.1.1"),
    ("site", "clustersite", "logservers", "host2.cluster.test", VIP),
    ("site", "clustersite", "dhcpinterfaces", "host1|eth0", "hamn|eth0"),
    ("network", NETWORK, "dhcpserver", "host1", VIP),
    ("network", NETWORK, "nameservers", "10.5.106.4", VIP),
    ("network", NETWORK, "gateway", "10.5.106.5", VIP),
    ("network", NETWORK, "tftpserver", "<xcatmaster>", VIP),
    ("node", "cn1", "monserver", "host1,10.5.106.4", VIP),
    ("node", "cn1", "nfsserver", "host1.cluster.test", VIP),
    ("node", "cn1", "conserver", "10.5.106.4", VIP),
])
def test_attribute_that_names_one_node_is_shown_with_the_line_that_changes_it(
        active, kind, name, attribute, value, right):
    xcat(active, "chdef", "-t", kind, "-o", name, f"{attribute}={value}")
    follow_problem(active, f"{attribute} of {name} is ")
    assert f"{attribute}={right}" in xcat(active, "lsdef", "-t", kind, "-o", name).split()


@pytest.mark.parametrize("kind, name, setting", [
    ("site", "clustersite", "dhcpinterfaces=host1|eth0;host2|eth0"),
    ("site", "clustersite", "ntpservers=10.5.106.4,10.5.106.5"),
    ("node", "cn1", "nfsserver=10.5.106.44"),
    ("node", "cn1", "nfsserver=host11"),
    ("network", NETWORK, "gateway=<xcatmaster>"),
])
def test_attribute_that_names_no_single_node_of_the_pair_is_not_mentioned(
        active, kind, name, setting):
    active.succeed("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")  # DHCP names no gateway then
    xcat(active, "chdef", "-t", kind, "-o", name, setting)
    assert is_fixed(active, setting.split("=")[0])
    xcat(active, "chdef", "-t", kind, "-o", name, f"{setting.split('=')[0]}=")


def test_gateway_of_a_node_that_forwards_is_the_vip(active):
    active.succeed("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    xcat(active, "chdef", "-t", "network", "-o", NETWORK, "gateway=<xcatmaster>")
    follow_note(active, f"gateway of {NETWORK}")
    assert f"gateway={VIP}" in xcat(active, "lsdef", "-t", "network", "-o", NETWORK).split()


def test_tftp_server_is_fixed_by_activate_as_well(active):
    xcat(active, "chdef", "-t", "network", "-o", NETWORK, "tftpserver=host2")
    active.succeed(*ACTIVATE_LINE)
    assert setting(active, DHCPD, "next-server") == [VIP]
    assert is_fixed(active, "tftpserver")


@pytest.mark.parametrize("make", ["nodeset cn1 osimage", "nodeset cn1 shell"])
def test_boot_files_that_name_one_node_are_shown_with_the_line_that_makes_them_anew(active, make):
    xcat(active, "chdef", "-t", "node", "-o", "cn1", "xcatmaster=")
    xcat(active, *make.split())
    assert active.address in active.succeed("cat", "/tftpboot/boot/grub2/cn1")
    follow_problem(active, "boot files name one node of the pair")
    assert VIP in active.succeed("cat", "/tftpboot/boot/grub2/cn1")


def test_discovery_files_that_name_one_node_are_shown_with_the_line_that_makes_them_anew(active):
    xcat(active, "mknb", "x86_64")
    active.succeed("sh", "-c", f"sed -i s/{VIP}/{active.address}/g /tftpboot/xcat/xnba/nets/*")
    follow_problem(active, "boot files name one node of the pair")


# ---- Servers that are up but refuse ----

@pytest.fixture
def no_options(active):
    """The web server's own section for / as SLES has it."""
    own = "/etc/apache2/apache2.conf"
    active.succeed("sed", "-i", "0,/Options FollowSymLinks/s//Options None/", own)
    active.succeed("systemctl", "reload", "apache2")
    yield
    active.succeed("sed", "-i", "0,/Options None/s//Options FollowSymLinks/", own)
    active.succeed("rm", "-f", "/etc/apache2/conf-enabled/xcatha.conf")
    active.succeed("systemctl", "reload", "apache2")


def http(lab, path):
    """The status with which the client gets a file from the VIP."""
    return lab.client.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                          f"http://{VIP}{path}").stdout


def test_web_server_that_follows_no_links_is_shown_with_the_lines_that_fix_it(
        lab, active, no_options):
    assert http(lab, "/install/tree/first/sparse") == "403"
    follow_note(active, "the web server does not deliver /install/")
    assert http(lab, "/install/tree/first/sparse") == "200"


def test_activate_says_so_as_well_and_succeeds(active, no_options):
    active.succeed("systemctl", "stop", "named")
    assert "note: the web server does not deliver /install/" in active.succeed(*ACTIVATE_LINE)


def test_web_server_without_xcats_configuration_is_shown_with_the_lines_that_fix_it(
        lab, active, no_options):
    active.succeed("mv", "/etc/apache2/conf-enabled/xcat.conf", "/root")
    active.succeed("systemctl", "reload", "apache2")
    sign = "the web server does not deliver /install/"
    # A look is short, and a busy machine's server may be slower than that.
    wait_for(lambda: sign in active.run(*STATUS).stdout, 30, sign)
    follow_note(active, sign)
    active.succeed("mv", "/root/xcat.conf", "/etc/apache2/conf-enabled/xcat.conf")


def test_web_server_that_is_down_is_shown_with_the_line_that_starts_it(active):
    active.succeed("systemctl", "stop", "apache2")
    follow_note(active, "the web server is down")


def test_tftp_server_of_another_directory_is_shown_with_the_line_that_fixes_it(active):
    active.succeed("pkill", "-x", "in.tftpd")
    active.succeed("systemctl", "start", "tftpd-hpa")
    follow_note(active, "the TFTP server does not deliver /tftpboot/")
    assert judge.unit(active, "tftpd-hpa")[0] == "inactive"


# ---- What happened ----

def history(lab):
    return (lab.share / ".xcatha/history").read_text().splitlines()[-1]


def test_repair_of_the_active_node_is_no_activation(lab, active):
    active.succeed("systemctl", "stop", "named", "isc-dhcp-server")
    active.succeed(*ACTIVATE_LINE)
    assert re.search(r" host1 completed: DHCP, DNS \(\d+ s\)$", history(lab))


def test_failover_is_an_activation(lab):
    lab.host1.succeed(*DEACTIVATE.split())
    lab.host2.succeed(*ACTIVATE_LINE)
    assert re.search(r" host2 active \(planned, \d+ s\)$", history(lab))


def test_after_the_failover_all_is_as_before(lab):
    assert setting(lab.host2, DHCPD, "next-server") == [VIP]
    assert lab.client.dhcp(mac_of(1))["siaddr"] == VIP
    for host in lab.hosts:
        host.console("cn1", VIP, "hello", "cn1: hello")
    done = lab.host2.run(*STATUS)
    assert done.returncode == ACTIVE and "PROBLEM" not in done.stdout, lab.host2.report(done)
