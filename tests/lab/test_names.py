"""Names as clients and both nodes see them: /etc/hosts, a real BIND, and the way between the nodes.

host1 is an existing node whose own names stood for the address that is the VIP now.
"""
import ipaddress
import json

import pytest

from tests.lab.image import wait_for
from tests.lab.lab import Lab
from tests.lab.pair import (
    ACTIVATE,
    DEACTIVATE,
    DOMAIN,
    SETUP,
    VIP,
    address_of,
    define_node,
    xcat,
)
from tests.lab.starts import OLD, make_existing

PAIR = {"hamn": VIP, "host1": OLD, "host2": "10.5.106.5"}
STATUS = "python xcatha.py --status --json".split()


def run(host, command):
    return host.succeed(*command.format(path="/HA", engine="sqlite").split())


class Journey:
    """The pair after its setup; host1 is active."""

    def __init__(self, lab):
        self.lab, self.client = lab, lab.client
        self.active, self.standby = lab.host1, lab.host2

    def fail_over(self):
        run(self.active, DEACTIVATE)
        self.active, self.standby = self.standby, self.active
        run(self.active, ACTIVATE)

    def addresses(self, name):
        """What BIND at the VIP says of a short name in the cluster's domain."""
        return self.client.dig(f"{name}.{DOMAIN}", VIP)

    def name(self, address):
        pointer = ipaddress.ip_address(address).reverse_pointer
        return self.client.dig(pointer, VIP, "PTR")

    def saved(self):
        return (self.lab.share / ".xcatha/hosts").read_text()


def hosts(host):
    """The lines of a host's hosts file, less comments."""
    lines = host.succeed("cat", "/etc/hosts").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def pair():
    with Lab() as lab:
        for host in lab.hosts:
            host.succeed("sed", "-i", f"s/ host2$/ host2.{DOMAIN} host2/", "/etc/hosts")
        make_existing(lab, f"{VIP} host1.{DOMAIN} host1")
        for host in lab.hosts:
            run(host, SETUP)
        run(lab.host1, ACTIVATE)
        yield Journey(lab)


# ---- The pair's own names --------------------------------------------------------------------

def judge_names(pair):
    """Every name of the pair has one address, everywhere, and every address its right name."""
    for name, address in PAIR.items():
        assert pair.addresses(name) == [address]
        assert pair.name(address) == [f"{name}.{DOMAIN}."]
        for host in pair.lab.hosts:
            for asked in (name, f"{name}.{DOMAIN}"):
                found = {line.split()[0] for line in host.succeed(
                    "getent", "ahostsv4", asked).splitlines()}
                assert found == {address}, (host.name, asked)
            assert [address, f"{name}.{DOMAIN}", name] in hosts(host)


def test_names_of_an_existing_node_are_right_once_it_is_active(pair):
    judge_names(pair)


def test_names_are_right_after_a_failover(pair):
    pair.fail_over()
    judge_names(pair)


def test_second_activate_leaves_the_hosts_file_as_it_is(pair):
    before = pair.active.succeed("cat", "/etc/hosts")
    run(pair.active, ACTIVATE)
    assert pair.active.succeed("cat", "/etc/hosts") == before


# ---- Changes on the active node arrive ---------------------------------------------------------

@pytest.fixture(scope="module")
def changed(pair):
    """Both nodes knew cn1 to cn4; then the active one renamed, renumbered, deleted and added."""
    for number in (1, 2, 3, 4):
        define_node(pair.active, number)
    pair.fail_over()
    pair.standby.succeed("sh", "-c", "echo 10.7.7.7 printer >>/etc/hosts")
    xcat(pair.active, "chdef", "-t", "node", "-o", "cn2", f"ip={address_of(22)}")
    xcat(pair.active, "makehosts", "cn2")
    pair.active.succeed("sed", "-i", "-e", "s/ cn1 cn1[.]/ cn21 cn21./", "-e", "/ cn3 /d",
                        "/etc/hosts")
    define_node(pair.active, 5)
    wait_for(lambda: "cn5" in pair.saved(), 60, "the saved hosts file")
    return pair


KNOWN = {"cn1": [], "cn21": [address_of(1)], "cn2": [address_of(22)], "cn3": [],
         "cn4": [address_of(4)], "cn5": [address_of(5)]}


def judge_changes(pair):
    """The active node, its DNS and the saved file know the changed nodes, and none but those."""
    for name, expected in KNOWN.items():
        assert pair.addresses(name) == expected, name
        for lines in (hosts(pair.active), [line.split() for line in pair.saved().splitlines()]):
            assert [line[0] for line in lines if name in line] == expected, name
    assert pair.name(address_of(1)) == [f"cn21.{DOMAIN}."]
    assert pair.name(address_of(2)) == []
    judge_names(pair)


def test_changed_lines_arrive_at_the_node_that_takes_over(changed):
    changed.fail_over()
    judge_changes(changed)
    assert ["10.7.7.7", "printer"] in hosts(changed.active)


def test_changed_lines_do_not_come_back_with_the_first_node(changed):
    changed.fail_over()
    judge_changes(changed)


def test_lines_that_the_standby_takes_by_setup_are_gone_there_too(changed):
    changed.active.succeed("sed", "-i", "/ cn4 /d", "/etc/hosts")
    wait_for(lambda: "cn4" not in changed.saved(), 60, "the saved hosts file")
    run(changed.standby, SETUP)
    assert not any("cn4" in line for line in hosts(changed.standby))
    view = json.loads(changed.standby.run(*STATUS).stdout)
    assert [note for note in view["notes"] if "/etc/hosts" in note["note"]] == []
