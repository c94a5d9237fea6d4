"""A management node that serves already: its address becomes the VIP, its data moves to the share.

host1 has 10.5.106.50 as its first address, and other addresses and routes that must stay.
"""
import datetime
import json
import re
import time

import pytest

from tests.lab import judge
from tests.lab.lab import frozen
from tests.lab.network import mac
from tests.lab.pair import (
    ACTIVATE,
    SETUP,
    TREES,
    VIP,
    XCAT,
    pair_lab,
    xcat,
)
from tests.lab.starts import EXISTING, INTERFACES, OLD

SETUP_LINE = SETUP.format(path="/HA", engine="postgresql").split()
ACTIVATE_LINE = ACTIVATE.format(path="/HA", engine="postgresql").split()
WITHOUT_VIP = INTERFACES.replace(f"address {VIP}", f"address {OLD}").replace(f" src {VIP}", "")
# Where the VIP can be defined for the next boot, and how each of them says so.
PERSISTENT = {
    "/etc/sysconfig/network-scripts/ifcfg-eth0:0": f"DEVICE=eth0:0\nIPADDR={VIP}\n",
    "/etc/sysconfig/network/ifcfg-eth0": f"STARTMODE=auto\nIPADDR_1={VIP}/8\n",
    "/etc/NetworkManager/system-connections/eth0.nmconnection":
        f"[ipv4]\nmethod=manual\naddress1={VIP}/8,10.0.0.1\n",
    "/etc/netplan/01-site.yaml": f"network:\n  ethernets:\n    eth0:\n      addresses: [{VIP}/8]\n",
    "/etc/network/interfaces.d/eth0": f"iface eth0 inet static\n    address {VIP}/8\n",
    "/etc/systemd/network/eth0.network": f"[Match]\nName=eth0\n[Network]\nAddress={VIP}/8\n",
}


# Says when xCAT answered with something from its tables, until it is ended.
ASK_XCAT = "while :; do lsdef -t site -o clustersite -i master >/dev/null && date +%s.%N; done"


class Existing:
    """An existing node that is set up: how it was before, meanwhile and right after."""

    def __init__(self, lab):
        self.lab, self.one, self.two = lab, lab.host1, lab.host2
        self.definitions = judge.definitions(self.one)
        self.files = judge.files(self.one, *TREES)
        asking = self.one.popen("sh", "-c", ASK_XCAT, env=XCAT)
        self.setup = self.one.run(*SETUP_LINE)
        self.ended = time.time()
        asking.terminate()
        self.answers = [float(line) for line in asking.communicate()[0].split()]
        self.addresses, self.routes = judge.addresses(self.one), judge.routes(self.one)
        self.status = self.ask_status()

    def ask_status(self):
        """(exit code, what is wrong) by host1's status."""
        shown = self.one.run("python", "xcatha.py", "--status", "--json")
        problems = json.loads(shown.stdout)["problems"]
        return shown.returncode, [found["problem"] for found in problems]


@pytest.fixture(scope="module", params=EXISTING)
def existing(request):
    """host1 just after its setup."""
    with frozen(f"existing-{request.param}", EXISTING[request.param]) as lab:
        yield Existing(lab)


def test_setup_succeeds(existing):
    assert existing.setup.returncode == 0, existing.one.report(existing.setup)


def test_node_serves_while_install_is_copied(existing):
    began, ended = first_copy(existing.one)
    meanwhile = [answer for answer in existing.answers if began < answer < ended]
    assert len(meanwhile) > 1  # asked one after the other: the second was not asked for before
    assert max(meanwhile) < first_stop(existing.one)


def test_downtime_is_that_of_the_steps_after_the_first_copy(existing, tell):
    steps = {title: float(seconds) for title, seconds in re.findall(
        r"^(\S.*?)  .* ([\d.]+) s$", existing.setup.stdout, re.M)}
    after = list(steps)[list(steps).index("Services"):]
    downtime = existing.ended - first_stop(existing.one)
    tell(f"downtime of an existing node: {downtime:.1f} s, and "
         f"{steps['Database switch']:.1f} s while its database was switched")
    assert downtime < sum(steps[title] for title in after) + 2


def test_vip_is_gone_and_the_other_addresses_stay(existing):
    assert {(address, prefix) for _, address, prefix, _ in existing.addresses} == {
        (OLD, 8), ("10.5.107.1", 8)}


def test_promotion_of_secondary_addresses_stays_off(existing):
    assert existing.one.succeed("sysctl", "-n", "net.ipv4.conf.eth0.promote_secondaries",
                                "net.ipv4.conf.all.promote_secondaries").split() == ["0", "0"]


def test_default_route_stays_with_the_physical_address_as_source(existing):
    default = [route for route in existing.routes if route["dst"] == "default"]
    assert [(route["gateway"], route["prefsrc"]) for route in default] == [("10.5.106.9", OLD)]


def test_other_routes_stay(existing):
    assert ("172.16.0.0/12", "10.5.106.9") in [
        (route["dst"], route.get("gateway")) for route in existing.routes]


def test_last_lines_tell_the_change_of_the_persistent_definition(existing):
    lines = existing.setup.stderr.splitlines()[-2:]
    assert f"/etc/network/interfaces:6 has `address {VIP}/8`; change it: delete that" in lines[0]
    assert "/etc/network/interfaces:9 has `up ip route add default" in lines[1]


def test_status_is_1_and_names_the_persistent_definition(existing):
    code, problems = existing.status
    assert code == 1
    assert any("/etc/network/interfaces:6" in problem for problem in problems)


def logged(host, what):
    """When the first log line of this kind was written, and how many seconds it had taken."""
    log = host.succeed("cat", "/var/log/xcatha.log")
    stamp, seconds = re.search(rf"^(.*) - INFO - {what} .*\(([\d.]+) s\)", log, re.M).groups()
    moment = datetime.datetime.fromisoformat(stamp.replace(",", ".") + "+00:00")
    return moment.timestamp(), float(seconds)


def first_stop(host):
    """When the script began to stop a service for the first time, by its log."""
    ended, seconds = logged(host, "systemctl stop")
    return ended - seconds


def first_copy(host):
    """When the copy while the node was running began and ended, by the script's log."""
    ended, seconds = logged(host, "Copy while running")
    return ended - seconds, ended


# ---- The pair ----

@pytest.fixture(scope="module")
def booted(existing):
    """host2 is set up too; then host1 boots and has the VIP again."""
    existing.two.succeed(*SETUP_LINE)
    existing.one.reboot()
    return existing


def test_activate_elsewhere_refuses_the_vip_of_a_booted_node_and_names_its_mac(booted):
    refused = booted.two.fail(*ACTIVATE_LINE, code=3)
    assert f"{mac(OLD)} answers" in refused.stderr
    assert judge.holders(booted.lab) == ["host1"]


@pytest.fixture(scope="module")
def taken_over(booted):
    """The administrator has made the change that setup asked for; host2 takes over."""
    booted.one.succeed("tee", "/etc/network/interfaces", input=WITHOUT_VIP)
    booted.one.reboot()
    booted.status = booted.ask_status()
    booted.two.succeed(*ACTIVATE_LINE)
    return booted


def test_status_is_that_of_a_standby_once_the_definition_is_gone(taken_over):
    assert taken_over.status == (3, [])


def test_master_and_nameservers_are_the_vip(taken_over):
    site = xcat(taken_over.two, "lsdef", "-t", "site", "-i", "master,nameservers", "-c")
    assert {f"clustersite: master={VIP}", f"clustersite: nameservers={VIP}"} == set(
        site.splitlines())


def test_tftpserver_of_the_network_is_the_vip(taken_over):
    rows = "".join(xcat(taken_over.two, "tabdump", "networks"))
    assert f'"{VIP}"' in rows and f'"{OLD}"' not in rows


def test_database_is_at_the_vip(taken_over):
    shown = xcat(taken_over.two, "lsxcatd", "-d").splitlines()
    assert {"dbengine=Pg", f"dbhost={VIP}"} <= set(shown)


def test_the_nodes_definitions_are_there(taken_over):
    rows = sorted(xcat(taken_over.two, "tabdump", "nodelist").splitlines())
    assert rows == taken_over.definitions["nodelist"]
    assert any("cn1" in row for row in rows)


def test_files_are_there_to_the_last_attribute(taken_over):
    assert judge.differences(taken_over.files, judge.files(taken_over.two, *TREES)) == {}


# ---- Persistent definitions ----

@pytest.fixture(scope="module")
def standby():
    """A host that is set up."""
    with pair_lab() as lab:
        yield lab.host1


@pytest.fixture(params=PERSISTENT, ids=lambda path: path.removeprefix("/etc/"))
def persistent(request, standby):
    """A host whose settings bring the VIP up at boot: (host, path of the settings)."""
    path = request.param
    standby.succeed("install", "-D", "-m", "600", "/dev/stdin", path, input=PERSISTENT[path])
    yield standby, path
    standby.succeed("rm", path)


def line_of(path):
    """Where the settings name the VIP: FILE:LINE."""
    lines = PERSISTENT[path].splitlines()
    return f"{path}:{next(n for n, line in enumerate(lines, 1) if VIP in line)}"


def test_setup_tells_the_change_of_a_persistent_definition(persistent):
    host, path = persistent
    told = host.run(*SETUP_LINE).stderr.splitlines()[-1]
    assert f"{line_of(path)} has" in told and "delete" in told


def test_status_is_1_while_the_vip_is_defined_persistently(persistent):
    host, path = persistent
    shown = host.fail("python", "xcatha.py", "--status", code=1)
    assert f"PROBLEM: the VIP comes up at boot: {line_of(path)}" in shown.stdout


def test_status_is_3_without_a_persistent_definition(standby):
    standby.fail("python", "xcatha.py", "--status", code=3)
