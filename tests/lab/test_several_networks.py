"""Three VIPs on two NICs follow the active node; one lies in another network than its NIC's own."""
import json

import pytest

from tests.lab.image import wait_for
from tests.lab.lab import Lab
from tests.lab.network import mac
from tests.lab.pair import ACTIVATE, SETUP, Pair

FURTHER = "-v 192.168.7.50 -i eth1:0 -n hamn-bmc -v 172.16.0.50 -i eth1:1 -m 255.255.0.0".split()
VIPS = ["10.5.106.50", "192.168.7.50", "172.16.0.50"]


class Networks:
    """A pair with a second network, set up with three VIPs, host1 active."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab, "postgresql")
        for host in [*lab.hosts, lab.client]:
            self.plug(host)
        for host in lab.hosts:
            host.succeed(*self.pair.line(SETUP, host), *FURTHER)
        self.pair.activate(lab.host1)

    def plug(self, host):
        """A second cable, and an address of its own on it."""
        network, number = self.lab.network, host.address.rpartition(".")[2]
        network.cable(f"{host.name}-2", host.name, "eth1", mac(f"192.168.7.{number}"))
        host.succeed("ip", "link", "set", "eth1", "up")
        host.succeed("ip", "address", "add", f"192.168.7.{number}/24", "dev", "eth1")
        if host is self.lab.client:
            host.succeed("ip", "address", "add", "172.16.0.9/16", "dev", "eth1")

    def holders(self):
        """{VIP: the hosts that have it}."""
        found = {vip: [] for vip in VIPS}
        for host in self.lab.hosts:
            shown = json.loads(host.succeed("ip", "-json", "-4", "address", "show"))
            for vip in {entry["local"] for nic in shown for entry in nic["addr_info"]} & set(VIPS):
                found[vip].append(host.name)
        return found

    def serves(self, host):
        """All VIPs are on this host alone and answer the client."""
        assert self.holders() == {vip: [host.name] for vip in VIPS}
        assert [vip for vip in VIPS if not self.lab.client.pings(vip)] == []
        assert host.succeed("python", "xcatha.py", "--status").endswith(f"{host.name}: active\n")


@pytest.fixture(scope="module")
def networks():
    with Lab() as lab:
        yield Networks(lab)


def test_all_answer_after_activate(networks):
    networks.serves(networks.lab.host1)


def test_one_that_was_taken_off_the_second_nic_is_set_again(networks):
    host = networks.lab.host1
    host.succeed("ip", "address", "flush", "dev", "eth1", "label", "eth1:1")
    wait_for(lambda: networks.holders()["172.16.0.50"] == ["host1"], 30, "the VIP is back")
    networks.serves(host)


def test_all_move_in_a_planned_failover(networks):
    networks.pair.deactivate(networks.lab.host1)
    assert networks.holders() == {vip: [] for vip in VIPS}
    networks.pair.activate(networks.lab.host2)
    networks.serves(networks.lab.host2)


def test_networks_of_xcat_ask_the_vip_of_their_own(networks):
    host = networks.lab.host2
    for name, net, mask in (("bmc", "192.168.7.0", "255.255.255.0"),
                            ("provisioning", "172.16.0.0", "255.255.0.0")):
        host.xcat("chdef", "-t", "network", "-o", name, f"net={net}", f"mask={mask}",
                  "mgtifname=eth1")
    host.fail("python", "xcatha.py", "--status", code=1)
    host.succeed(*networks.pair.line(ACTIVATE, host))
    shown = host.xcat("lsdef", "-t", "network", "-o", "bmc,provisioning", "-i", "tftpserver", "-c")
    assert "bmc: tftpserver=192.168.7.50" in shown
    assert "provisioning: tftpserver=172.16.0.50" in shown
    networks.serves(host)


def test_all_move_when_the_active_node_loses_power(networks):
    old, new = networks.lab.host2, networks.lab.host1
    old.power_off()
    networks.pair.activate(new)
    old.boot()
    networks.serves(new)
