"""A pair fails over, and what served before serves again: judged after every transition."""
import contextlib
import json

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.network import mac
from tests.lab.pair import (
    DOMAIN,
    PATH_PER_HOST,
    TREES,
    VIP,
    Pair,
    address_of,
    cluster_lab,
    define_node,
    define_osimage,
    mac_of,
    write_trees,
)

LAYOUTS = {"postgresql": {}, "sqlite": {"share_at": PATH_PER_HOST}}
STEPS = ("planned", "back", "power loss")
# SQLite's way back and its power loss are long runs.
PLANNED, LOST = ([pytest.param((engine, step), marks=[pytest.mark.long] * (
    (engine, step) not in [("sqlite", "planned"), *(("postgresql", each) for each in STEPS)]))
                  for engine in LAYOUTS for step in steps] for steps in (STEPS[:2], STEPS[2:]))
TRANSITIONS = PLANNED + LOST


class Journey:
    """A pair on its way through the transitions, and what was there just before the last one."""

    def __init__(self, lab, engine):
        self.lab, self.engine, self.pair, self.done = lab, engine, Pair(lab, engine), 0
        self.own_routes = {host.name: judge.routes(host) for host in lab.hosts}
        self.active, self.standby = lab.host1, lab.host2
        self.pair.activate(self.active)

    def go_to(self, step):
        """Make the transitions up to this one, the last one of which is judged."""
        while self.done <= STEPS.index(step):
            self.go_on()
        assert STEPS[self.done - 1] == step, "the tests do not run in the order of the journey"

    def go_on(self):
        """One transition, a moment after something new was defined and written."""
        step, old, new = STEPS[self.done], self.active, self.standby
        self.number = self.done + 10
        self.node = define_node(old, self.number)
        if step == "power loss":
            self.wait_for_saved_hosts(old)
        define_osimage(old, step.replace(" ", "-"))
        self.definitions = judge.definitions(old)
        assert self.lab.client.pings(VIP)
        assert self.lab.client.arp_entry(VIP) == mac(old.address)
        write_trees(old, step)
        self.files = judge.files(old, *TREES)
        self.stop(old, step)
        self.pair.activate(new)
        self.arp_entry = self.lab.client.arp_entry(VIP)
        self.active, self.standby, self.done = new, old, self.done + 1

    def wait_for_saved_hosts(self, host):
        """The lease's holder copies the host's /etc/hosts with every heartbeat, each 10 s."""
        saved = self.lab.share / ".xcatha/hosts"
        try:
            wait_for(lambda: self.node in saved.read_text(), 25, "the lease's copy of /etc/hosts")
        except TimeoutError as error:
            seen = [host.run(*line).stdout for line in (
                ["cat", "/etc/hosts"], ["cat", "/proc/locks"], ["cat", "/run/xcatha/kept"],
                ["journalctl", "--no-pager", "-n", "20", "-u", "xcatha-lease"])]
            raise AssertionError("\n".join([str(error), saved.read_text(), *seen])) from error

    def stop(self, host, step):
        """Let the active host go, one way or the other."""
        if step == "power loss":
            host.power_off()
        else:
            self.pair.deactivate(host)


@pytest.fixture(scope="module")
def journeys():
    """The journey of each layout, begun when it is first asked for."""
    with contextlib.ExitStack() as stack:
        yield stack, {}


@pytest.fixture(scope="module", params=TRANSITIONS, ids=", ".join)
def after(request, journeys):
    """A journey just after a transition."""
    (engine, step), (stack, begun) = request.param, journeys
    if engine not in begun:
        lab = stack.enter_context(cluster_lab(engine, **LAYOUTS[engine]))
        begun[engine] = Journey(lab, engine)
    begun[engine].go_to(step)
    return begun[engine]


planned = pytest.mark.parametrize("after", PLANNED, indirect=True, ids=", ".join, scope="module")


# ---- The virtual IP --------------------------------------------------------------------------

def test_exactly_one_host_holds_the_vip(after):
    assert judge.holders(after.lab) == [after.active.name]


def test_vip_is_on_the_nic_with_label_prefix_and_broadcast(after):
    assert ("eth0:0", VIP, 8, "10.255.255.255") in judge.addresses(after.active)


def test_clients_arp_entry_is_that_of_the_active_host_at_once(after):
    assert after.arp_entry == mac(after.active.address)


def test_only_the_active_host_answers_for_the_vip(after):
    assert after.lab.client.macs_answering(VIP) == {mac(after.active.address)}


def test_client_reaches_xcatd_at_the_vip(after):
    assert after.lab.client.connects(VIP, 3001)


# ---- The data --------------------------------------------------------------------------------

def test_definitions_made_just_before_are_there(after):
    found = judge.definitions(after.active)
    assert judge.differences(after.definitions, found) == {}
    assert any(after.node in row for row in found["nodelist"])


def test_files_written_just_before_are_there_to_the_last_attribute(after):
    found = judge.files(after.active, *TREES)
    assert len(found) > 20
    assert judge.differences(after.files, found) == {}


def test_database_server_works_in_the_share(after):
    expected = {"postgresql": {"/HA/var/lib/pgsql/data"}, "sqlite": set()}
    assert judge.database_directories(after.active) == expected[after.engine]


def test_record_names_the_active_host(after):
    record = json.loads((after.lab.share / ".xcatha/cluster.json").read_text())
    assert (record["host"], record["state"]) == (after.active.name, "active")


# ---- The services ----------------------------------------------------------------------------

def test_dns_knows_a_compute_node_that_only_the_other_host_had_in_its_hosts_file(after):
    name = f"{after.node}.{DOMAIN}"
    assert after.lab.client.dig(name, VIP) == [address_of(after.number)]


def test_dns_knows_the_vip(after):
    assert after.lab.client.dig(f"hamn.{DOMAIN}", VIP) == [VIP]


def test_a_compute_node_gets_its_fixed_address_by_dhcp(after):
    lease = after.lab.client.dhcp(mac_of(after.number))
    assert lease.get("ip") == address_of(after.number)


def test_a_compute_node_is_told_by_dhcp_to_boot_from_the_vip(after):
    assert after.lab.client.dhcp(mac_of(after.number)).get("siaddr") == VIP


def test_console_of_a_compute_node_answers(after):
    after.active.console(after.node, VIP, "hello", f"{after.node}: hello")


@planned
def test_console_of_a_compute_node_answers_on_the_standby(after):
    after.standby.console(after.node, VIP, "hello", f"{after.node}: hello")


def test_nothing_starts_at_boot_on_the_active_host(after):
    assert {at_boot for _, at_boot in judge.units(after.active).values()} == {"disabled"}


# ---- The active host's names -----------------------------------------------------------------

def test_active_host_has_the_name_of_the_vip(after):
    assert judge.host_name(after.active) == "hamn"


def test_active_host_boots_with_its_own_name(after):
    assert after.active.succeed("cat", "/etc/hostname") == f"{after.active.name}\n"


def test_active_host_asks_the_vip_for_names_first(after):
    assert judge.name_servers(after.active)[0] == VIP


# ---- The standby -----------------------------------------------------------------------------

@planned
def test_no_link_into_the_share_is_left_on_the_standby(after):
    assert judge.links_into_share(after.active) != []
    assert judge.links_into_share(after.standby) == []


@planned
def test_standbys_own_directories_are_back(after):
    for path in judge.LINKS:
        after.standby.succeed("test", "-d", path)
        after.standby.fail("test", "-e", f"{path}.xcatbak")


@planned
def test_managed_units_are_inactive_and_disabled_on_the_standby(after):
    assert judge.units(after.standby) == dict.fromkeys(judge.MANAGED, ("inactive", "disabled"))


@planned
def test_no_program_of_a_managed_service_runs_on_the_standby(after):
    assert judge.programs(after.standby) == []


@planned
def test_apache_runs_on_the_standby(after):
    assert judge.unit(after.standby, "apache2") == ("active", "enabled")


@planned
def test_standby_has_its_own_host_name(after):
    assert judge.host_name(after.standby) == after.standby.name


@planned
def test_standby_has_its_own_addresses(after):
    own = ("eth0", after.standby.address, 8, "10.255.255.255")
    assert judge.addresses(after.standby) == [own]


@planned
def test_standby_has_its_own_routes(after):
    assert judge.routes(after.standby) == after.own_routes[after.standby.name]


@planned
def test_standby_does_not_ask_the_vip_for_names(after):
    assert VIP not in judge.name_servers(after.standby)
