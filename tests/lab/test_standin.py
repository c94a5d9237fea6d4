"""What the stand-in for xCAT claims of the real one, each claim against the real one's words.

host1 is installed as it is. host2 is installed with the VIP up and the VIP's host name set, and
back under its own name since; its tables move to PostgreSQL and back as tests need it.
"""
import contextlib
import os
import subprocess
import time

import pytest

from tests.lab import host as machine
from tests.lab.image import wait_for
from tests.lab.lab import frozen

pytestmark = pytest.mark.long  # lab/test_observed holds the stand-in to what real xCAT did

VIP = "10.5.106.50"
XCAT = {"PATH": f"{machine.PATH}:/opt/xcat/bin:/opt/xcat/sbin"}
GO_XCAT = "/opt/xcat-repo/go-xcat"
NO_DAEMON = """\
Unable to open socket connection to xcatd daemon on localhost:3001.
Verify that the xcatd daemon is running and that your SSL setup is correct.
"""
DEFINED = "1 object definitions have been created or modified.\n"
ON_POSTGRESQL = """\
cfgloc=Pg:dbname=xcatdb;host=10.5.106.50|xcatadm
dbengine=Pg
dbname=xcatdb
dbhost=10.5.106.50
dbadmin=xcatadm
"""
PG_HBA = "/var/lib/pgsql/data/pg_hba.conf"
DENIED = "Error: Permission denied for request\n"


# ---- The two hosts ----

class Node:
    """A host as its administrator's login shell sees it: with xCAT's commands in PATH."""

    def __init__(self, host):
        self.host = host

    def run(self, *argv, env=None, **options):
        return self.host.run(*argv, env={**XCAT, **(env or {})}, **options)

    def succeed(self, *argv, env=None, **options):
        return self.host.succeed(*argv, env={**XCAT, **(env or {})}, **options)

    def fail(self, *argv, env=None, **options):
        return self.host.fail(*argv, env={**XCAT, **(env or {})}, **options)

    def popen(self, *argv, env=None, **options):
        return self.host.popen(*argv, env={**XCAT, **(env or {})}, **options)

    def bypass(self, *argv, env=None):
        """What a command past the daemon prints, without the noise of plugins that do not load."""
        out = self.succeed(*argv, env={"XCATBYPASS": "1", **(env or {})})
        return "".join(line for line in out.splitlines(True) if "...skipping" not in line)

    def start(self, unit):
        """Start a unit, however often it was started in the last seconds."""
        self.run("systemctl", "reset-failed", unit)
        self.succeed("systemctl", "start", unit)

    def state(self, unit, value="ActiveState"):
        """A property of a unit."""
        return self.succeed("systemctl", "show", "-P", value, unit).strip()

    def runs(self, program):
        """True if a process of this name is there."""
        return self.run("pgrep", "-x", program).returncode == 0

    def read(self, path):
        return self.succeed("cat", path)

    def stat(self, what, path):
        return self.succeed("stat", "-c", what, path).strip()


def install_both(lab):
    """host1 as it is; host2 under the VIP's name."""
    lab.host1.succeed(GO_XCAT, "--yes", "install")
    add_vip(lab.host2)
    lab.host2.succeed("sh", "-c", f"echo {VIP} hamn >>/etc/hosts; hostname hamn")
    lab.host2.succeed(GO_XCAT, "--yes", "install")
    lab.host2.succeed("hostname", "host2")


def add_vip(host):
    host.succeed("ip", "address", "add", f"{VIP}/8", "dev", "eth0", "label", "eth0:0")


@pytest.fixture(scope="module")
def lab():
    """Both hosts installed and booted again since."""
    with frozen("standin", install_both) as booted:
        yield booted


@pytest.fixture(scope="module")
def node(lab):
    """The host that stays on SQLite."""
    return Node(lab.host1)


@pytest.fixture(scope="module")
def hamn(lab):
    """The host that was installed under the VIP's name, with the VIP up."""
    add_vip(lab.host2)
    return Node(lab.host2)


@pytest.fixture
def domain(node):
    with domain_on(node):
        yield


@contextlib.contextmanager
def domain_on(node):
    """The site has a domain."""
    node.succeed("chdef", "-t", "site", "domain=cluster.test")
    yield
    node.succeed("chtab", "-d", "key=domain", "site")


@pytest.fixture
def cn1(node):
    with cn1_on(node):
        yield


@contextlib.contextmanager
def cn1_on(node):
    """A compute node is defined."""
    node.succeed("chdef", "-t", "node", "-o", "cn1", "groups=all", "ip=10.5.106.101",
                 "mac=52:54:00:00:00:01")
    yield
    node.succeed("rmdef", "-t", "node", "-o", "cn1")


@pytest.fixture
def no_daemon(node):
    node.succeed("systemctl", "stop", "xcatd")
    yield
    node.start("xcatd")


@contextlib.contextmanager
def masked(node, unit):
    """A unit that cannot start."""
    node.succeed("systemctl", "mask", "--runtime", "--now", unit)
    yield
    node.succeed("systemctl", "unmask", "--runtime", unit)


# ---- Installation ----

def test_the_server_certificate_carries_the_host_name(node):
    subject = node.succeed("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253",
                           "-in", "/etc/xcat/cert/server-cert.pem")
    assert subject == "subject=CN=host1\n"


@pytest.mark.parametrize("path", ["/root/.xcat/client-cert.pem", "/root/.ssh/id_rsa", "/install",
                                  "/tftpboot", "/etc/xCATMN"])
def test_the_installer_makes(node, path):
    node.succeed("test", "-e", path)


def test_host_keys_belong_to_a_group_of_their_own(node):
    key = "/etc/xcat/hostkeys/ssh_host_rsa_key"
    assert node.stat("%U %G %a", key) == "root ssh_keys 640"


def test_reading_a_table_leaves_its_file_untouched(node):
    before = node.stat("%Y %Z", "/etc/xcat/site.sqlite")
    node.succeed("tabdump", "site")
    assert node.stat("%Y %Z", "/etc/xcat/site.sqlite") == before


def test_every_table_is_a_sqlite_file_for_root_alone(node):
    modes = node.succeed("sh", "-c", "stat -c %a /etc/xcat/*.sqlite").split()
    assert modes
    assert set(modes) == {"600"}


def test_install_and_tftpboot_are_exported(node):
    options = "*(rw,no_root_squash,sync,no_subtree_check,insecure)"
    assert node.read("/etc/exports") == f"/tftpboot {options}\n/install {options}\n"


@pytest.mark.parametrize("unit", ["xcatd", "named", "apache2", "isc-dhcp-server"])
def test_the_installer_enables(node, unit):
    assert node.run("systemctl", "is-enabled", unit).stdout == "enabled\n"


@pytest.mark.parametrize("unit", ["xcatd", "apache2"])
def test_after_a_reboot_comes_up_by_itself(node, unit):
    node.host.reboot()
    assert node.state(unit) == "active"


def test_the_web_server_serves_install_through_a_link(node):
    node.succeed("sh", "-c", "mkdir -p /srv/os && echo image >/srv/os/kernel"
                             " && chmod -R a+rX /srv/os && ln -sfn /srv/os /install/os")
    assert node.succeed("python3", "-c", "import urllib.request as u;"
                        "print(u.urlopen('http://localhost/install/os/kernel').read())"
                        ) == "b'image\\n'\n"


@pytest.mark.parametrize(("option", "value"), [
    ("Type", "forking"), ("PIDFile", "/run/xcatd.pid"), ("TimeoutStartUSec", "10min"),
    ("TimeoutStopUSec", "30s"), ("Restart", "on-failure"), ("RestartUSec", "5s")])
def test_the_unit_says(node, option, value):
    assert node.state("xcatd", option) == value


def test_the_unit_does_not_wait_for_a_database(node):
    assert "postgresql" not in node.state("xcatd", "After")


def test_only_login_shells_find_the_commands(node):
    node.host.fail("sh", "-c", "command -v lsdef")
    assert node.host.succeed("bash", "-lc", "command -v lsdef") == "/opt/xcat/bin/lsdef\n"


def test_go_xcat_needs_root(node):
    result = node.fail("setpriv", "--reuid=nobody", GO_XCAT, "--yes", "install", code=1)
    assert "root" in result.stderr


def test_go_xcat_asks_unless_told_yes(node):
    assert "Continue?" in node.fail(GO_XCAT, "install", input="n\n", code=1).stdout


def test_go_xcat_takes_an_answer_a_version_and_y(node):
    node.succeed(GO_XCAT, "install", input="y\n")
    node.succeed(GO_XCAT, "-y", "-x", "2.19", "install")


def test_go_xcat_takes_the_places_of_its_packages(node):
    node.succeed(GO_XCAT, "--yes", "--xcat-core=/media/core", "--xcat-dep=/media/dep", "install")


def test_go_xcat_registers_a_package(node):
    assert node.succeed("dpkg-query", "-W", "-f", "${Version}", "xcat-server").startswith("2.19.0")


def test_go_xcat_names_its_reason_on_stdout_and_warns_on_stderr(node):
    node.succeed("mv", "/etc/lsb-release", "/etc/lsb-release.away")
    done = node.fail(GO_XCAT, "--yes", "install", code=1)
    node.succeed("mv", "/etc/lsb-release.away", "/etc/lsb-release")
    assert done.stdout == "unknown debian/ubuntu codename\n" and "Warning" in done.stderr


def test_go_xcat_has_no_r(node):
    node.fail(GO_XCAT, "--yes", "-r", "x", "install", code=1)


def test_go_xcat_logs(node):
    assert "xCAT has been installed!" in node.read("/tmp/go-xcat.log")


def test_a_reinstallation_keeps_links_and_disabled_units(node):
    node.succeed("sh", "-c", "mv /tftpboot /srv && ln -s /srv/tftpboot /tftpboot")
    node.succeed("systemctl", "disable", "--now", "xcatd")
    node.succeed(GO_XCAT, "--yes", "install")
    kept = node.succeed("readlink", "/tftpboot"), node.state("xcatd", "UnitFileState")
    assert (*kept, node.state("xcatd")) == ("/srv/tftpboot\n", "disabled", "inactive")
    node.succeed("sh", "-c", "rm /tftpboot && mv /srv/tftpboot /")
    node.succeed("systemctl", "enable", "--now", "xcatd")


def test_installed_under_the_vips_name_everything_names_the_vip(sqlite):
    assert "CN = hamn" in sqlite.succeed("openssl", "x509", "-noout", "-subject", "-in",
                                         "/etc/xcat/cert/server-cert.pem")
    assert sqlite.succeed("lsdef", "-t", "site", "-c", "-i", "master,nameservers") == (
        f"clustersite: master={VIP}\nclustersite: nameservers={VIP}\n")
    assert '"1.2","hamn",,,,,,"trusted",,' in sqlite.succeed("tabdump", "policy")


def test_another_host_name_since_breaks_neither_lsdef_nor_makedns(sqlite):
    sqlite.succeed("lsdef", "-t", "site")
    with domain_on(sqlite):
        sqlite.succeed("makedns", "-n")


# ---- The daemon ----

def test_xcatd_serves_tftp_and_starts_nothing_else(node):
    services = ["named", "isc-dhcp-server", "apache2", "conserver-server"]
    node.succeed("systemctl", "stop", "xcatd", *services)
    node.start("xcatd")
    assert "-s /tftpboot" in node.succeed("pgrep", "-a", "-x", "in.tftpd")
    assert not [unit for unit in services if node.state(unit) == "active"]
    node.succeed("systemctl", "start", "apache2")


def test_in_tftpd_ends_with_xcatd(node, no_daemon):
    assert not node.runs("in.tftpd")


@pytest.mark.parametrize("command", [["lsdef"], ["chdef", "-t", "site", "domain=x"],
                                     ["makedns", "-n"], ["makehosts"]])
def test_without_xcatd_clients_exit_111(node, no_daemon, command):
    result = node.fail(*command, code=111)
    assert result.stdout == NO_DAEMON
    assert result.stderr.startswith("Connection failure: ")


def test_a_pipe_hides_tabdumps_failure(node, no_daemon):
    assert node.succeed("sh", "-c", "tabdump site | cat") == NO_DAEMON


def test_xcatbypass_works_without_xcatd(node, no_daemon):
    assert node.bypass("lsdef", "-t", "site") == "clustersite  (site)\n"


def test_restartxcatd_puts_a_new_daemon_into_the_unit(node):
    old = node.state("xcatd", "MainPID")
    words = node.succeed("restartxcatd").split()
    assert words == ["Restarting", "xCATd", "[", "OK", "]"]
    wait_for(lambda: node.state("xcatd", "MainPID") not in (old, "0"), 10, "the new main process")
    assert node.state("xcatd") == "active"
    assert node.runs("in.tftpd")
    node.succeed("lsdef", "-t", "site")


def test_restartxcatd_says_failed(node):
    result = node.fail("restartxcatd", env={"XCATCFG": "SQLite:/nowhere"}, code=1)
    assert result.stdout.endswith("[ FAILED  ]\n")


def test_a_daemon_that_restartxcatd_started_stops_with_the_unit(node):
    node.succeed("restartxcatd")
    node.succeed("systemctl", "restart", "xcatd")
    assert len(node.succeed("pgrep", "-f", "/opt/xcat/sbin/xcatd").split()) == 1


# ---- Objects and tables ----

def test_lsdef_shows_an_attribute_below_the_objects_name(node, domain):
    assert node.succeed("lsdef", "-t", "site", "-i", "domain") == (
        "Object name: clustersite\n    domain=cluster.test\n")


def test_lsdef_shows_only_the_name_when_the_attribute_is_not_set(node):
    assert node.succeed("lsdef", "-t", "site", "-i", "domain") == "Object name: clustersite\n"


def test_lsdef_shows_an_attribute_that_is_set_but_empty(node, domain):
    node.succeed("chdef", "-t", "site", "domain=")
    assert node.succeed("lsdef", "-t", "site", "-i", "domain") == (
        "Object name: clustersite\n    domain=\n")


def test_lsdef_has_a_compact_form(node, domain):
    assert node.succeed("lsdef", "-t", "site", "-c", "-i", "domain") == (
        "clustersite: domain=cluster.test\n")


def test_lsdef_of_an_unknown_object_fails(node):
    node.fail("lsdef", "-t", "node", "-o", "nosuch", code=1)


def test_lsdef_of_a_type_without_objects_is_no_failure(node):
    assert node.succeed("lsdef", "-t", "osimage")


def test_chdef_says_how_many_objects_it_defined(node):
    assert node.succeed("chdef", "-t", "site", "timezone=UTC") == DEFINED


def test_chdef_accepts_an_unknown_attribute_of_the_site(node):
    assert node.succeed("chdef", "-t", "site", "anything=goes") == DEFINED
    assert "    anything=goes\n" in node.succeed("lsdef", "-t", "site", "-l")


@pytest.mark.parametrize(("kind", "name", "attribute"), [
    ("node", "cn9", "ip=10.5.106.109"), ("network", "storage", "net=10.9.0.0"),
    ("osimage", "debian12-install", "osvers=debian12"), ("policy", "1.3", "name=host2")])
def test_chdef_defines_a(node, kind, name, attribute):
    assert node.succeed("chdef", "-t", kind, "-o", name, attribute) == DEFINED
    shown = node.succeed("lsdef", "-t", kind, "-o", name)
    node.succeed("rmdef", "-t", kind, "-o", name)
    assert shown == f"Object name: {name}\n    {attribute}\n"


def test_rows_stand_in_the_order_in_which_they_were_made(node):
    node.succeed("chdef", "-t", "policy", "-o", "1.1", "name=host2", "rule=trusted")
    rows = node.succeed("tabdump", "policy").splitlines()
    node.succeed("rmdef", "-t", "policy", "-o", "1.1")
    assert rows[1:3] == ['"1","root",,,,,,"allow",,', '"1.2","host1",,,,,,"trusted",,']
    assert rows[-1] == '"1.1","host2",,,,,,"trusted",,'


def test_chtab_writes_and_deletes_rows(node):
    node.succeed("chtab", "key=lab", "site.value=yes")
    assert '"lab","yes",,' in node.succeed("tabdump", "site")
    node.succeed("chtab", "-d", "key=lab", "site")
    assert "lab" not in node.succeed("tabdump", "site")


def test_lsxcatd_without_an_option_fails(node):
    assert "Usage" in node.fail("lsxcatd", code=1).stdout


def test_lsxcatd_a_shows_version_kind_and_engine(node):
    version, *rest = node.succeed("lsxcatd", "-a").splitlines()
    assert version.startswith("Version 2.19.0 (git commit ")
    assert rest == ["This is a Management Node", "dbengine=SQLite"]


@pytest.mark.parametrize("option", ["-v", "-t", "-d"])
def test_lsxcatd_shows_a_part_of_that(node, option):
    assert node.succeed("lsxcatd", option) in node.succeed("lsxcatd", "-a")


def test_dumpxcatdb_writes_a_file_for_each_table(node):
    node.succeed("rm", "-rf", "/root/dump")
    assert node.succeed("dumpxCATdb", "-p", "/root/dump") == (
        " Creating /root/dump for database dump\nBackup Complete.\n")
    files = node.succeed("ls", "/root/dump").split()
    assert files == [f"{table}.csv" for table in node.succeed("tabdump").split()]


def test_restorexcatdb_brings_back_what_was_dumped(node):
    node.succeed("rm", "-rf", "/root/dump")
    with cn1_on(node):
        node.succeed("dumpxCATdb", "-p", "/root/dump")
        shown = node.succeed("lsdef", "cn1")
    node.succeed("restorexCATdb", "-p", "/root/dump")
    assert node.succeed("lsdef", "cn1") == shown
    node.succeed("rmdef", "cn1")


def test_makehosts_writes_short_and_long_name(node, domain, cn1):
    node.succeed("makehosts")
    assert node.succeed("grep", "cn1", "/etc/hosts") == "10.5.106.101 cn1 cn1.cluster.test \n"


# ---- Where the tables are ----

@pytest.fixture
def other_place(node):
    """A directory with tables in which the site says where it is."""
    node.succeed("mkdir", "-p", "/srv/tables")
    environment = {"XCATBYPASS": "1", "XCATCFG": "SQLite:/srv/tables"}
    node.succeed("chdef", "-t", "site", "where=there", env=environment)
    yield
    node.succeed("rm", "-rf", "/srv/tables")


def where(node, **environment):
    return node.bypass("lsdef", "-t", "site", "-c", "-i", "where", env=environment)


def test_xcatcfg_overrides_cfgloc(node, other_place):
    assert where(node, XCATCFG="SQLite:/srv/tables") == "clustersite: where=there\n"


def test_a_place_without_a_colon_is_a_sqlite_directory(node, other_place):
    assert where(node, XCATCFG="/srv/tables") == "clustersite: where=there\n"


def test_only_the_first_line_of_cfgloc_counts(node, other_place):
    node.succeed("sh", "-c", "printf 'SQLite:/srv/tables\\nSQLite:/\\n' >/etc/xcat/cfgloc")
    found = where(node)
    node.succeed("rm", "/etc/xcat/cfgloc")
    assert found == "clustersite: where=there\n"


def test_an_empty_cfgloc_means_etc_xcat(node):
    node.succeed("touch", "/etc/xcat/cfgloc")
    found = node.bypass("lsdef", "-t", "site", "-c", "-i", "master")
    node.succeed("rm", "/etc/xcat/cfgloc")
    assert found == "clustersite: master=10.5.106.4\n"


def test_opt_xcat_cfg_is_preferred_if_it_exists(node, other_place):
    node.succeed("cp", "-r", "/srv/tables", "/opt/xcat/cfg")
    found = where(node)
    node.succeed("rm", "-r", "/opt/xcat/cfg")
    assert found == "clustersite: where=there\n"


# ---- DNS ----

def test_makedns_tells_what_it_does(node, domain):
    lines = node.succeed("makedns", "-n").splitlines()
    assert "Handling host2 in /etc/hosts." in lines
    assert [line for line in lines if not line.startswith("Handling ")] == [
        "Getting reverse zones, this may take several minutes for a large cluster.",
        "Completed getting reverse zones.", "Updating zones.", "Completed updating zones.",
        "Restarting named", "Restarting named complete",
        "Updating DNS records, this may take several minutes for a large cluster.",
        "Completed updating DNS records.", "DNS setup is completed"]


def test_makedns_replaces_named_conf_and_the_db_files(node, domain):
    node.succeed("touch", "/etc/bind/db.old")
    node.succeed("makedns", "-n")
    assert node.stat("%U %G %a", "/etc/bind/named.conf") == "root bind 660"
    assert node.succeed("sh", "-c", "cd /etc/bind && ls db.*").split() == [
        "db.10", "db.cluster.test"]


def test_makedns_starts_and_enables_named(node, domain):
    node.succeed("systemctl", "disable", "--now", "named")
    node.succeed("makedns", "-n")
    assert (node.state("named"), node.state("named", "UnitFileState")) == ("active", "enabled")


@pytest.mark.parametrize("line", ["10.5.106.77 short", "10.5.106.77 short.cluster.test short"])
def test_makedns_serves_short_and_long_names_of_the_hosts_file(lab, node, domain, line):
    hosts = node.read("/etc/hosts")
    node.succeed("tee", "/etc/hosts", input=f"{hosts}{line}\n")
    node.succeed("makedns", "-n")
    node.succeed("tee", "/etc/hosts", input=hosts)
    assert lab.client.dig("short.cluster.test", node.host.address) == ["10.5.106.77"]
    assert lab.client.dig("77.106.5.10.in-addr.arpa", node.host.address, "PTR") == [
        "short.cluster.test."]


def test_makedns_gives_a_name_on_two_lines_two_addresses(lab, node, domain):
    hosts = node.read("/etc/hosts")
    lines = "10.5.106.77 first twice\n10.5.106.78 second.cluster.test twice\n"
    node.succeed("tee", "/etc/hosts", input=f"{hosts}{lines}")
    node.succeed("makedns", "-n")
    node.succeed("tee", "/etc/hosts", input=hosts)
    address = node.host.address
    assert sorted(lab.client.dig("twice.cluster.test", address)) == ["10.5.106.77", "10.5.106.78"]
    assert [lab.client.dig(f"{octet}.106.5.10.in-addr.arpa", address, "PTR")
            for octet in (77, 78)] == [["first.cluster.test."], ["second.cluster.test."]]


def test_makedns_leaves_out_what_is_in_no_domain_or_network(lab, node, domain):
    hosts = node.read("/etc/hosts")
    node.succeed("tee", "/etc/hosts", input=f"{hosts}10.5.106.77 a.elsewhere.test\n"
                                            "192.0.2.1 far.cluster.test\n")
    node.succeed("makedns", "-n")
    node.succeed("tee", "/etc/hosts", input=hosts)
    names = ["host2.cluster.test", "a.elsewhere.test", "far.cluster.test"]
    assert [lab.client.dig(name, node.host.address) for name in names] == [["10.5.106.5"], [], []]


def test_named_answers_on_an_address_added_before_its_start(lab, sqlite):
    with domain_on(sqlite):
        sqlite.succeed("makedns", "-n")
    assert lab.client.dig("hamn.cluster.test", VIP) == [VIP]


def test_makedns_of_an_unknown_node_fails(node):
    assert node.fail("makedns", "nosuch", code=1).stderr == (
        "Error: Invalid nodes and/or groups in noderange: nosuch\n")


def test_makedns_needs_a_domain(node):
    result = node.fail("makedns", "-n", code=1)
    assert "domain not defined in site table" in result.stderr


def test_makedns_says_when_named_does_not_start(node, domain):
    with masked(node, "named"):
        assert "failed to start named." in node.fail("makedns", "-n", code=1).stderr


def test_with_an_external_dns_there_is_no_local_one(node, domain):
    node.succeed("systemctl", "stop", "named")
    node.succeed("chdef", "-t", "site", "externaldns=1")
    node.succeed("makedns", "-n")
    node.succeed("chtab", "-d", "key=externaldns", "site")
    assert node.state("named") == "inactive"


# ---- DHCP ----

def test_makedhcp_n_renames_the_configuration_and_warns(node, domain):
    result = node.run("makedhcp", "-n")
    assert (result.returncode, result.stdout.strip()) == (
        0, "Renamed existing dhcp configuration file to  /etc/dhcp/dhcpd.conf.xcatbak")
    assert result.stderr.startswith(
        "Warning: [host1]: No dynamic range specified for 10.0.0.0. ")
    assert node.runs("dhcpd")


def test_makedhcp_n_does_not_enable_the_server_at_boot(node, domain):
    node.succeed("systemctl", "disable", "isc-dhcp-server")
    node.succeed("makedhcp", "-n")
    assert node.run("systemctl", "is-enabled", "isc-dhcp-server").stdout == "disabled\n"


def test_next_server_is_the_physical_address_although_the_vip_is_master(sqlite):
    with domain_on(sqlite):
        sqlite.succeed("makedhcp", "-n")
    sqlite.succeed("systemctl", "stop", "isc-dhcp-server")
    assert "next-server 10.5.106.5;" in sqlite.read("/etc/dhcp/dhcpd.conf")


def test_makedhcp_ignores_whether_the_server_starts(node, domain):
    with masked(node, "isc-dhcp-server"):
        node.succeed("makedhcp", "-n")
        assert not node.runs("dhcpd")


def test_makedhcp_a_needs_the_server(node, cn1):
    node.succeed("systemctl", "stop", "isc-dhcp-server")
    assert node.fail("makedhcp", "-a", code=1).stderr == (
        "Error: [host1]: dhcp server is not running.  please start the dhcp server.\n")


def test_makedhcp_a_adds_the_nodes_and_q_shows_them(node, domain, cn1):
    node.succeed("makedhcp", "-n")
    result = node.run("makedhcp", "-a")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert node.succeed("makedhcp", "-q", "cn1") == (
        "cn1: ip-address = 10.5.106.101, hardware-address = 52:54:00:00:00:01\n")


def test_host_entries_live_in_the_leases_file(node, domain, cn1):
    node.succeed("makedhcp", "-n")
    node.succeed("makedhcp", "-a")
    assert "host cn1 {" in node.read("/var/lib/dhcp/dhcpd.leases")
    assert "cn1" not in node.read("/etc/dhcp/dhcpd.conf")


def test_a_node_gets_its_address_and_boot_server(lab, node, domain, cn1):
    node.succeed("makedhcp", "-n")
    node.succeed("makedhcp", "-a")
    lease = lab.client.dhcp("52:54:00:00:00:01")
    assert (lease["ip"], lease["siaddr"]) == ("10.5.106.101", "10.5.106.4")


def test_makedhcp_without_any_domain_restores_the_old_configuration(node):
    node.succeed("sh", "-c", "echo '# mine' >/etc/dhcp/dhcpd.conf")
    node.fail("makedhcp", "-n", code=1)
    assert node.read("/etc/dhcp/dhcpd.conf") == "# mine\n"


def test_makedhcp_takes_the_domain_of_the_network(node):
    network = ["chdef", "-t", "network", "-o", "10_0_0_0-255_0_0_0"]
    node.succeed(*network, "domain=net.test")
    node.succeed("makedhcp", "-n")
    node.succeed(*network, "domain=")
    assert 'domain-name "net.test"' in node.read("/etc/dhcp/dhcpd.conf")


def test_with_external_dhcp_servers_makedhcp_does_nothing(node, domain):
    node.succeed("sh", "-c", "echo '# mine' >/etc/dhcp/dhcpd.conf")
    node.succeed("chdef", "-t", "site", "externaldhcpservers=10.5.106.9")
    node.succeed("makedhcp", "-n")
    node.succeed("chtab", "-d", "key=externaldhcpservers", "site")
    assert node.read("/etc/dhcp/dhcpd.conf") == "# mine\n"


def test_one_makedhcp_waits_for_another(node, cn1):
    with pytest.raises(subprocess.TimeoutExpired):
        node.run("flock", "/tmp/xcat/dhcplock", "makedhcp", "-q", "cn1", timeout=3)


# ---- Consoles ----

@pytest.fixture
def console_of_cn1(node, cn1):
    node.succeed("chdef", "-t", "node", "-o", "cn1", "cons=ipmi")
    yield
    node.succeed("systemctl", "disable", "--now", "conserver-server")


def test_without_consoles_makeconservercf_starts_nothing(node):
    result = node.run("makeconservercf")
    assert (result.returncode, node.state("conserver-server")) == (0, "inactive")


def test_makeconservercf_calls_itself_deprecrated(node):
    assert "deprecrated" in node.run("makeconservercf").stderr


def test_makeconservercf_trusts_the_master_and_local_addresses_alone(node):
    node.succeed("makeconservercf")
    trusted = node.succeed("grep", "trusted", "/etc/conserver.cf").split()
    assert trusted == ["trusted", "127.0.0.1;", "trusted", "10.5.106.4;"]


def test_makeconservercf_keeps_what_is_not_its_own(node, console_of_cn1):
    mine = "console mine {\n  type exec;\n  exec cat;\n}\n"
    node.succeed("tee", "/etc/conserver.cf", input=f"access * {{\n  allowed 10.9.9.9;\n}}\n{mine}")
    for _ in range(2):
        node.succeed("makeconservercf")
    text = node.read("/etc/conserver.cf")
    assert mine in text and "10.9.9.9" not in text and text.count("console cn1 {") == 1
    node.succeed("rm", "/etc/conserver.cf")


def test_with_consoles_conserver_runs_and_is_enabled(node, console_of_cn1):
    node.succeed("makeconservercf")
    units = node.state("conserver-server"), node.state("conserver-server", "UnitFileState")
    assert units == ("active", "enabled")


def test_a_console_answers(node, console_of_cn1):
    node.succeed("makeconservercf")
    assert console_echoes(node, node.host.address)


def test_a_console_answers_on_the_vip(sqlite):
    with cn1_on(sqlite):
        sqlite.succeed("chdef", "-t", "node", "-o", "cn1", "cons=ipmi")
        sqlite.succeed("makeconservercf")
        assert console_echoes(sqlite, VIP)
    sqlite.succeed("systemctl", "stop", "conserver-server")


def console_echoes(node, address):
    """True if cn1's console answers what is typed, over a connection to the address."""
    talk = node.popen("console", "-M", address, "-p", "3109", "cn1", stdin=subprocess.PIPE,
                      stderr=subprocess.STDOUT)
    try:
        read_until(talk, "for help]")
        talk.stdin.write("hello\r")
        talk.stdin.flush()
        return read_until(talk, "cn1: hello")
    finally:
        talk.kill_group()
        talk.communicate()


def read_until(talk, text, timeout=20):
    """True once the text has come in the command's output."""
    os.set_blocking(talk.stdout.fileno(), False)
    seen = []

    def come():
        seen.append(talk.stdout.buffer.read1() or b"")
        return text.encode() in b"".join(seen)
    return wait_for(come, timeout, f"{text!r} in the output")


def test_makeconservercf_refuses_beside_goconserver(node):
    node.succeed("cp", "/bin/sleep", "/tmp/goconserver")
    other = node.popen("/tmp/goconserver", "60")
    node.host.wait_until("pgrep", "-x", "goconserver")
    assert node.fail("makeconservercf", code=1).stderr.startswith("Error: ")
    other.terminate()
    other.communicate()


def test_makegocons_without_consoles_fails(node):
    assert "Could not get any console request entry." in node.fail("makegocons", code=1).stderr


def test_makegocons_refuses_beside_conserver(node, console_of_cn1):
    node.succeed("makeconservercf")
    assert "conserver" in node.fail("makegocons", code=1).stderr


# ---- PostgreSQL ----

def to_sqlite(node):
    """Forget PostgreSQL: as after the installation."""
    node.succeed("systemctl", "stop", "xcatd")
    node.succeed("systemctl", "disable", "--now", "postgresql")
    node.succeed("sh", "-c", "rm -rf /etc/xcat/cfgloc /var/lib/pgsql/data/*")
    node.start("xcatd")


def allow_tables(node):
    """PostgreSQL 15 lets only the owner make tables in a new database, unless told before."""
    if node.run("test", "-e", PG_HBA).returncode:
        node.succeed("su", "-", "postgres", "-c", "initdb -D /var/lib/pgsql/data")
    node.succeed("systemctl", "start", "postgresql")
    node.succeed("su", "-", "postgres", "-c",
                 "psql -d template1 -c 'GRANT ALL ON SCHEMA public TO PUBLIC'")


def pgsqlsetup(node, *options, **more):
    return node.run("pgsqlsetup", *options, env={"XCATPGPW": "secret1"}, **more)


@pytest.fixture
def sqlite(hamn):
    """The VIP's host with its tables in SQLite."""
    if hamn.run("lsxcatd", "-d").stdout != "dbengine=SQLite\n":
        to_sqlite(hamn)
    return hamn


@pytest.fixture
def postgresql(hamn):
    """The VIP's host with its tables in PostgreSQL, well and running."""
    if hamn.run("lsxcatd", "-d").stdout != ON_POSTGRESQL:
        to_sqlite(hamn)
        allow_tables(hamn)
        result = pgsqlsetup(hamn, "-i", "-V", "-a", "10.5.106.5", "-l", "10.5.106.77")
        assert result.returncode == 0, result
    return hamn


def test_the_tables_move_to_postgresql(postgresql):
    assert postgresql.succeed("lsxcatd", "-d") == ON_POSTGRESQL
    assert '"1.2","hamn",,,,,,"trusted",,' in postgresql.succeed("tabdump", "policy")


def test_pgsqlsetup_announces_success(sqlite):
    allow_tables(sqlite)
    result = pgsqlsetup(sqlite, "-i", "-a", "10.5.106.5")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        0, "xCAT is running on the PostgreSQL database.")


def test_cfgloc_names_the_master_and_is_for_root_alone(postgresql):
    assert postgresql.stat("%a", "/etc/xcat/cfgloc") == "600"
    assert postgresql.read("/etc/xcat/cfgloc") == (
        f"Pg:dbname=xcatdb;host={VIP}|xcatadm|secret1\n")


def test_pg_hba_admits_the_master_and_the_a_addresses(postgresql):
    lines = postgresql.read(PG_HBA).splitlines()
    comment = next(n for n, line in enumerate(lines) if "IPv4 local connections:" in line)
    assert sorted(lines[comment + 1:comment + 3]) == [
        f"host    all          all        {address}/32      md5"
        for address in ("10.5.106.5", VIP)]


def test_the_l_option_is_dead(postgresql):
    assert postgresql.read("/var/lib/pgsql/data/postgresql.conf").endswith(
        f"#setup by xCAT\nlisten_addresses = 'localhost,{VIP}'\n")


def test_postgresql_is_enabled_at_boot(postgresql):
    assert postgresql.state("postgresql", "UnitFileState") == "enabled"


def test_a_second_pgsqlsetup_changes_nothing(postgresql):
    result = pgsqlsetup(postgresql, "-i", "-V")
    assert (result.returncode, result.stdout) == (
        0, "The /etc/xcat/cfgloc file is already configured for PostgreSQL. xcat database"
           " initialization will not take place.\n")


def test_pgsqlsetup_empties_the_backup_directory(sqlite):
    sqlite.succeed("sh", "-c", "mkdir -p /root/xcat-dbback && touch /root/xcat-dbback/mine")
    pgsqlsetup(sqlite, "-i", "-a", "10.5.106.5")
    files = sqlite.succeed("ls", "/root/xcat-dbback").split()
    assert "site.csv" in files
    assert "mine" not in files


def test_without_the_grant_the_database_is_empty_and_pgsqlsetup_pleased(sqlite):
    result = pgsqlsetup(sqlite, "-i", "-a", "10.5.106.5")
    assert "permission denied for schema public" in result.stderr
    assert (result.returncode, result.stdout.splitlines()[-1]) == (
        0, "xCAT is running on the PostgreSQL database.")
    assert sqlite.fail("lsdef", "-t", "site", code=1).stderr == DENIED
    to_sqlite(sqlite)


@pytest.mark.timeout(120)
def test_with_the_vip_as_master_the_physical_address_must_be_admitted(sqlite):
    allow_tables(sqlite)
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        pgsqlsetup(sqlite, "-i", timeout=20)
    assert "xCAT is running" not in caught.value.stdout
    to_sqlite(sqlite)


def test_pgsqlsetup_takes_the_password_from_standard_input(sqlite):
    allow_tables(sqlite)
    sqlite.succeed("pgsqlsetup", "-i", "-a", "10.5.106.5", input="typed2\n")
    assert sqlite.read("/etc/xcat/cfgloc").endswith("|xcatadm|typed2\n")
    to_sqlite(sqlite)


def test_pgsqlsetup_wants_letters_and_digits(sqlite):
    sqlite.fail("pgsqlsetup", "-i", env={"XCATPGPW": "no-good"}, code=1)
    assert sqlite.state("xcatd") == "active"


def test_pgsqlsetup_resolves_the_master(sqlite):
    sqlite.succeed("chdef", "-t", "site", "master=nosuch")
    result = pgsqlsetup(sqlite, "-i")
    sqlite.start("xcatd")
    sqlite.succeed("chdef", "-t", "site", f"master={VIP}")
    assert result.returncode == 1
    assert "Hostname resolution for nosuch failed." in result.stderr


def test_on_debian_pgsqlsetup_fails_with_xcatd_stopped(sqlite):
    sqlite.succeed("sh", "-c", "echo 12 >/etc/debian_version")
    result = pgsqlsetup(sqlite, "-i", "-V")
    found = sqlite.run("test", "-e", "/etc/xcat/cfgloc").returncode, sqlite.state("xcatd")
    sqlite.succeed("rm", "/etc/debian_version")
    sqlite.start("xcatd")
    assert (result.returncode, *found) == (1, 1, "inactive")


def test_pgsqlsetup_n_leaves_xcatd_and_its_tables_alone(sqlite):
    sqlite.succeed("systemctl", "stop", "xcatd")
    result = pgsqlsetup(sqlite, "-i", "-N", "-a", "10.5.106.5")
    assert (result.returncode, sqlite.state("xcatd")) == (0, "inactive")
    to_sqlite(sqlite)


def test_a_database_lost_under_xcatd_means_permission_denied(postgresql):
    postgresql.succeed("systemctl", "stop", "postgresql")
    assert postgresql.fail("lsdef", "-t", "site", code=1).stderr == DENIED
    assert postgresql.state("xcatd") == "active"
    postgresql.succeed("systemctl", "start", "postgresql")
    postgresql.succeed("lsdef", "-t", "site")


def test_xcatd_waits_for_its_database_to_start(postgresql):
    postgresql.succeed("systemctl", "stop", "xcatd")
    postgresql.succeed("systemctl", "stop", "postgresql")
    postgresql.succeed("systemctl", "start", "--no-block", "xcatd")
    time.sleep(5)  # nothing is to happen
    assert postgresql.state("xcatd") == "activating"
    postgresql.succeed("systemctl", "start", "postgresql")
    postgresql.host.wait_until("systemctl", "is-active", "xcatd")


def test_xcatd_waits_until_the_database_admits_its_address(postgresql):
    postgresql.succeed("systemctl", "stop", "xcatd")
    postgresql.succeed("sed", "-i.kept", r"/10\.5\.106\.5\/32/d", PG_HBA)
    postgresql.succeed("systemctl", "reload", "postgresql")
    postgresql.succeed("systemctl", "start", "--no-block", "xcatd")
    postgresql.host.wait_until("sh", "-c", "journalctl -u postgresql | grep -F"
                               " 'no pg_hba.conf entry for host \"10.5.106.5\"'")
    assert postgresql.state("xcatd") == "activating"
    postgresql.succeed("mv", f"{PG_HBA}.kept", PG_HBA)
    postgresql.succeed("systemctl", "reload", "postgresql")
    postgresql.host.wait_until("systemctl", "is-active", "xcatd")


def test_xcatd_does_not_stop_at_once_when_its_database_is_gone(postgresql):
    postgresql.succeed("systemctl", "stop", "postgresql")
    postgresql.succeed("systemctl", "stop", "--no-block", "xcatd")
    time.sleep(5)  # nothing is to happen
    assert postgresql.state("xcatd") == "deactivating"
    postgresql.succeed("systemctl", "start", "postgresql")
    postgresql.succeed("systemctl", "stop", "xcatd")
    postgresql.start("xcatd")


def test_everything_works_from_links_to_a_share(postgresql):
    postgresql.succeed("chdef", "-t", "node", "-o", "cn1", "groups=all")
    postgresql.succeed("systemctl", "stop", "xcatd")
    postgresql.succeed("systemctl", "stop", "postgresql")
    for path in ("/etc/xcat", "/install", "/root/.xcat", "/tftpboot", "/var/lib/pgsql"):
        postgresql.succeed("sh", "-c", f"cp -a {path} /HA && mv {path} {path}.kept"
                                       f" && ln -s /HA/$(basename {path}) {path}")
    postgresql.succeed("systemctl", "start", "postgresql")
    postgresql.start("xcatd")
    assert postgresql.succeed("lsdef") == "cn1  (node)\n"
