"""A pair with several VIPs on several networks: they come, are kept and go together."""

import argparse
import json

import pytest

import xcatha
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.test_dryrun import both
from tests.fakes.test_json import view
from tests.lab.image import wait_for

VIPS = ["10.5.106.50", "192.168.7.50", "172.16.0.50"]
# The last one lies in another network than its NIC's own address.
FURTHER = ("-v 192.168.7.50 -i eth1:0 -n hamn-bmc -v 172.16.0.50 -i eth1:1 -m 255.255.0.0").split()


def plug_second_nic(node):
    """A second NIC on the same switch, with an address of its own."""
    node.switch.ip("link", "add", node.name + "-2", "type", "veth", "peer", "name", "eth1",
                   "address", "52:54:00:00:01:0" + node.name[-1], "netns", str(node.pid))
    node.switch.ip("link", "set", node.name + "-2", "master", "br0", "up")
    node.succeed("ip", "link", "set", "eth1", "up")
    node.succeed("ip", "address", "add", f"192.168.7.{node.name[-1]}/24", "dev", "eth1")


def here(node):
    """The VIPs that a node holds, with prefix and label, in the order of the pair."""
    shown = json.loads(node.succeed("ip", "-json", "-4", "address", "show"))
    found = {entry["local"]: f"{entry['local']}/{entry['prefixlen']} {entry['label']}"
             for nic in shown for entry in nic["addr_info"]}
    return [found[vip] for vip in VIPS if vip in found]


def heartbeats(node):
    """How many the active node has sent to the share."""
    return json.loads(node.succeed("cat", "/HA/.xcatha/lease"))["counter"]


ALL = ["10.5.106.50/8 eth0:0", "192.168.7.50/24 eth1:0", "172.16.0.50/16 eth1:1"]


@pytest.fixture
def networks(pair):
    """Two members of a pair with three VIPs."""
    for node in pair:
        plug_second_nic(node)
        node.xcatha(*SETUP, *FURTHER)
    return pair


@pytest.fixture
def plugged(members):
    """Two members of a pair with one VIP, host1 active; each has got a second NIC."""
    members[0].xcatha(*ACTIVATE)
    for node in members:
        plug_second_nic(node)
    return members


def test_all_vips_follow_the_active_node(networks):
    host1, host2 = networks
    assert here(host1) == here(host2) == []
    host1.xcatha(*ACTIVATE)
    assert here(host1) == ALL
    assert "192.168.7.50 hamn-bmc" in host1.succeed("cat", "/etc/hosts")
    host1.xcatha(*DEACTIVATE)
    host2.xcatha("-a", "--yes")
    assert (here(host1), here(host2)) == ([], ALL)


def test_dry_runs_announce_all_of_them(networks):
    host1, _ = networks
    said = both(host1, *ACTIVATE)
    assert "would run: ip address add 172.16.0.50/16" in said
    assert "would run: ip address del 192.168.7.50/24 dev eth1" in both(host1, *DEACTIVATE)


def test_second_activate_changes_nothing(networks):
    host1, _ = networks
    host1.xcatha(*ACTIVATE)
    assert "host1 is the active node already." in host1.xcatha(*ACTIVATE, *FURTHER).stdout


def test_status_shows_each_and_a_missing_one_is_a_problem_that_activate_fixes(networks):
    host1, _ = networks
    host1.xcatha(*ACTIVATE)
    assert view(host1)["further_vips"] == {"192.168.7.50": "eth1:0", "172.16.0.50": "eth1:1"}
    assert "172.16.0.50 on eth1:1" in host1.xcatha("--status").stdout
    host1.path("/run/xcatha/kept").unlink()  # so that the holder does not set it again
    host1.succeed("ip", "address", "del", "172.16.0.50/16", "dev", "eth1")
    assert "PROBLEM: the VIP 172.16.0.50 is not here" in host1.xcatha("--status", code=1).stdout
    host1.xcatha(*ACTIVATE)
    assert here(host1) == ALL


def test_one_that_was_taken_away_is_set_again(networks):
    host1, _ = networks
    host1.shorten(LEASE_TIME=9)
    host1.xcatha(*ACTIVATE)
    host1.succeed("ip", "address", "del", "192.168.7.50/24", "dev", "eth1")
    wait_for(lambda: here(host1) == ALL, 20, "the VIP that was taken away")


def test_all_go_with_a_lost_lease(networks):
    host1, _ = networks
    host1.xcatha(*ACTIVATE)
    host1.succeed("systemctl", "stop", "xcatha-lease")
    assert here(host1) == []


def test_failed_activate_takes_all_of_them_away_again(networks):
    host1, _ = networks
    host1.plan("FAIL_ON", "systemctl start xcatd.service")
    host1.xcatha(*ACTIVATE, code=1)
    assert here(host1) == []


def test_one_that_another_machine_uses_is_refused(networks):
    host1, host2 = networks
    host2.succeed("ip", "address", "add", "192.168.7.50/24", "dev", "eth1")
    said = host1.xcatha(*ACTIVATE, code=3).stderr
    assert "the VIP 192.168.7.50 is used by another machine" in said
    assert here(host1) == []


def test_one_that_is_added_and_refused_is_not_expected_by_the_lease_or_the_monitor(plugged):
    host1, host2 = plugged
    host2.succeed("ip", "address", "add", "192.168.7.50/24", "dev", "eth1")
    unit = host1.succeed("cat", "/run/systemd/system/xcatha-lease.service")
    host1.xcatha(*ACTIVATE, *FURTHER, code=3)
    assert host1.succeed("cat", "/run/systemd/system/xcatha-lease.service") == unit
    assert host1.xcatha("--status").stdout.endswith("host1: active\n")


@pytest.mark.parametrize("line", [
    ACTIVATE, ["-a", "--yes"], [*ACTIVATE, *FURTHER]], ids=["named", "guided", "all named"])
def test_further_network_that_is_down_does_not_keep_the_pair_from_failing_over(networks, line):
    _, host2 = networks
    host2.succeed("ip", "link", "set", "eth1", "down")
    done = host2.xcatha(*line)
    assert "WARNING: 192.168.7.50 is not probed for: eth1 is down" in done.stderr
    assert here(host2) == ALL
    host2.succeed("ip", "link", "set", "eth1", "up")
    assert host2.xcatha("--status").stdout.endswith("host2: active\n")


def test_vip_of_a_network_that_comes_back_is_asked_for_before_it_is_used(networks):
    host1, host2 = networks
    host2.shorten(LEASE_TIME=9)
    host2.succeed("ip", "link", "set", "eth1", "down")
    host2.xcatha(*ACTIVATE)
    began = heartbeats(host2)
    wait_for(lambda: heartbeats(host2) > began + 2, 20, "heartbeats")
    host1.succeed("ip", "address", "add", "192.168.7.50/24", "dev", "eth1")
    host2.succeed("ip", "link", "set", "eth1", "up")
    wait_for(lambda: here(host2) == [ALL[0], ALL[2]], 20, "the VIP that another machine has")
    host1.succeed("ip", "address", "del", "192.168.7.50/24", "dev", "eth1")
    wait_for(lambda: here(host2) == ALL, 20, "the VIP that is free again")


def test_other_further_vips_than_the_pairs_are_refused(networks):
    host1, _ = networks
    said = host1.xcatha(*ACTIVATE, "-v", "192.168.7.60", "-i", "eth1:0", code=3).stderr
    assert "the further VIPs differ from the pair's" in said
    assert "recorded: -v 192.168.7.50 -m 255.255.255.0 -n hamn-bmc, -v 172.16.0.50 -m" in said


def test_pair_that_has_further_vips_gets_another_one(networks):
    host1, _ = networks
    host1.xcatha(*ACTIVATE)
    added = "-v 172.16.0.60 -i eth1:3 -m 255.255.0.0".split()
    host1.xcatha(*ACTIVATE, *FURTHER, *added)
    assert here(host1) == ALL
    assert "inet 172.16.0.60/16" in host1.succeed("ip", "-4", "address", "show", "dev", "eth1")


def test_other_netmask_of_a_further_vip_is_refused_on_the_active_node(networks):
    host1, _ = networks
    host1.xcatha(*ACTIVATE)
    other = [*FURTHER[:4], "-m", "255.255.0.0", *FURTHER[4:]]
    said = host1.xcatha(*ACTIVATE, *other, code=3).stderr
    assert "the further VIPs differ from the pair's" in said
    assert here(host1) == ALL


def test_standby_that_knows_no_nic_for_a_further_vip_says_so_beforehand(plugged):
    host1, host2 = plugged
    host1.xcatha(*ACTIVATE, *FURTHER)
    said = host2.xcatha("--status", code=1).stdout
    assert "PROBLEM: no NIC is known here for the further VIP 172.16.0.50" in said
    assert "192.168.7.50" not in "".join(line for line in said.splitlines() if "PROBLEM" in line)
    host2.xcatha(*SETUP, *FURTHER)
    assert host2.xcatha("--status", code=3).stdout.endswith("host2: standby\n")


def test_wider_network_is_no_reason_to_take_its_nic(monkeypatch):
    monkeypatch.setattr(xcatha, "addresses", lambda: [
        ("eth0", "10.5.106.5", "255.0.0.0"), ("eth1", "10.200.0.5", "255.255.0.0")])
    vip = {"vip": "10.200.0.50", "netmask": "255.255.0.0"}
    assert xcatha.nic_of_further(vip, {}) == "eth1"
    assert xcatha.nic_of_further(dict(vip, netmask="255.255.255.0"), {}) == ""
    assert xcatha.nic_of_further(vip, {"nics": {"10.200.0.50": "ens9:0"}}) == "ens9:0"


def test_nic_that_is_not_recorded_of_a_node_is_asked_for(networks):
    _, host2 = networks
    host2.succeed("ip", "link", "set", "eth1", "down")
    host2.succeed("ip", "link", "set", "eth1", "name", "eth7")
    said = host2.xcatha(*ACTIVATE, code=3).stderr
    assert "the NIC of the further VIP 192.168.7.50 is not known" in said
    host2.succeed("ip", "link", "set", "eth7", "up")
    given = [word.replace("eth1", "eth7") for word in FURTHER]
    host2.xcatha(*ACTIVATE, *given)
    assert [place.split()[1] for place in here(host2)] == ["eth0:0", "eth7:0", "eth7:1"]


def test_deactivate_takes_no_address_away_that_is_not_the_pairs(networks):
    host1, _ = networks
    host1.xcatha(*ACTIVATE)
    host1.xcatha("-d", "-v", "10.5.106.50", "-v", "192.168.7.1")
    assert here(host1) == [] and "192.168.7.1" in host1.addresses()


def test_network_is_added_to_a_pair_that_exists(plugged):
    host1, host2 = plugged
    host1.xcatha(*ACTIVATE, *FURTHER)
    assert here(host1) == ALL
    host2.xcatha(*SETUP, *FURTHER)
    host1.xcatha(*DEACTIVATE)
    host2.xcatha(*ACTIVATE)
    assert (here(host1), here(host2)) == ([], ALL)


def test_a_single_vip_is_recorded_as_before(members):
    record = json.loads(members[0].path("/HA/.xcatha/cluster.json").read_text())
    node = json.loads(members[0].path("/HA/.xcatha/nodes/host1.json").read_text())
    assert "others" not in record and "nics" not in node


def test_resource_agent_takes_lists(monkeypatch):
    monkeypatch.setenv("OCF_RESKEY_path", "/HA")
    monkeypatch.setenv("OCF_RESKEY_vip", "10.5.106.50 192.168.7.50")
    monkeypatch.setenv("OCF_RESKEY_nic", "eth0:0 eth1:0")
    monkeypatch.setattr(xcatha, "is_member", lambda: False)
    seen = []
    monkeypatch.setattr(xcatha, "active_parts", lambda opts: seen.append(opts) or ([], []))
    assert xcatha.run_agent("monitor") == xcatha.OCF_NOT_RUNNING
    assert (seen[0].vip, seen[0].nic) == ("10.5.106.50", "eth0:0")
    assert seen[0].others == [argparse.Namespace(
        vip="192.168.7.50", nic="eth1:0", netmask=None, host_name=None)]
