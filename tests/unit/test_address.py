"""Addresses: what is the node's own, what the VIP's network is."""

import argparse
import itertools
import re

import pytest

import xcatha

HERE = [
    ("lo", "127.0.0.1", "255.0.0.0"),
    ("eth0", "192.168.1.4", "255.255.255.0"),
    ("eth0", "10.5.106.4", "255.0.0.0"),
    ("eth0:0", "10.5.106.50", "255.0.0.0"),
    ("eth1", "10.9.9.9", "255.0.0.0"),
]


MAAS = "2: eth0    inet 10.5.106.4/8 brd 10.255.255.255 scope global maas\\   valid_lft forever"


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(xcatha, "addresses", lambda: HERE)


def test_vip_is_found_by_its_address_whatever_its_label(here):
    assert xcatha.vip_here("10.5.106.50") == "eth0:0"
    assert xcatha.vip_here("10.5.106.51") == ""


def test_own_addresses_are_those_of_the_device_with_the_vips_subnet_first(here):
    assert xcatha.own_addresses("eth0:0", "10.5.106.50") == ["10.5.106.4", "192.168.1.4"]


def test_address_whose_label_does_not_name_its_nic_is_the_nics_own(here, monkeypatch):
    """netplan's `label: maas`: only ip(8) tells which NIC such an address is on."""
    monkeypatch.setattr(xcatha, "addresses", lambda: [("maas", "10.5.106.4", "255.0.0.0")])
    monkeypatch.setattr(xcatha, "output_of", lambda argv: {"maas": MAAS}.get(argv[-1], ""))
    assert xcatha.own_addresses("eth0:0", "10.5.106.50") == ["10.5.106.4"]
    assert xcatha.own_addresses("eth1", "10.5.106.50") == []


def test_netmask_of_a_first_setup_is_that_of_an_own_address_with_any_label(monkeypatch, opts):
    """With a longer one, the node's own traffic would leave from the VIP."""
    monkeypatch.setattr(xcatha, "addresses", lambda: [("maas", "10.5.106.4", "255.0.0.0")])
    monkeypatch.setattr(xcatha, "output_of", lambda argv: {"maas": MAAS}.get(argv[-1], ""))
    opts.path, opts.netmask = "/nowhere", None
    xcatha.fill_in_from_share(opts)
    assert opts.netmask == "255.0.0.0"


def test_label_that_names_no_nic_is_refused_for_the_vip(monkeypatch, opts):
    """-d takes it away together with the VIP, and nothing could give it back."""
    monkeypatch.setattr(xcatha, "output_of", lambda argv: {"maas": MAAS}.get(argv[-1], ""))
    opts.nic, opts.command, opts.path = "maas", "setup", "/nowhere"
    what = [words[0] for words in itertools.islice(xcatha.check_host(opts), 1)]
    assert what == ["there is no NIC maas"]


def test_line_to_paste_names_the_nic_of_an_address_with_a_label(monkeypatch):
    monkeypatch.setattr(xcatha, "addresses", lambda: [("maas", "10.5.106.4", "255.0.0.0")])
    monkeypatch.setattr(xcatha, "output_of", lambda argv: {"maas": MAAS}.get(argv[-1], ""))
    view = {"record": {"vip": "10.5.106.50"}, "nodes": {}, "share": {"path": "/HA"}, "host": ""}
    assert "-i eth0" in xcatha.line_to_paste(view, "-a")


def test_vip_whose_label_does_not_name_its_nic_leaves_the_other_address(monkeypatch, dry_run):
    place = {"dev": "eth0", "prefixlen": 8, "secondary": True}
    monkeypatch.setattr(xcatha, "vip_here", lambda vip: "eth0vip")
    monkeypatch.setattr(xcatha, "vip_places", lambda vip: [place])
    monkeypatch.setattr(xcatha, "routes_from", lambda vip: [])
    monkeypatch.setattr(xcatha, "addresses", lambda: [
        ("maas", "10.5.106.4", "255.0.0.0"), ("eth0vip", "10.5.106.50", "255.0.0.0")])
    monkeypatch.setattr(xcatha, "output_of", lambda argv: MAAS if argv[-2] == "label" else "")
    assert xcatha.remove_vip("10.5.106.50", True) == "removed from eth0vip"


def test_physical_address_is_the_first_of_its_own(here, opts):
    assert xcatha.physical_address(opts) == "10.5.106.4"


def test_nic_without_an_address_of_its_own_is_refused(here, opts):
    opts.nic = "eth2"
    with pytest.raises(xcatha.HAError) as refusal:
        xcatha.physical_address(opts)
    assert refusal.value.code == xcatha.REFUSED


@pytest.mark.parametrize(
    "netmask, broadcast, prefix",
    [
        ("255.0.0.0", "10.255.255.255", 8),
        ("255.255.255.0", "10.5.106.255", 24),
        ("255.255.255.255", "10.5.106.50", 32),
    ],
)
def test_network_of_the_vip_follows_from_its_netmask(netmask, broadcast, prefix):
    network = xcatha.network_of("10.5.106.50", netmask)
    assert (str(network.broadcast_address), network.prefixlen) == (broadcast, prefix)


@pytest.mark.parametrize(
    "nic, recorded, found, netmask",
    [
        ("eth0:0", None, HERE, "255.0.0.0"),
        ("eth0", "255.255.0.0", HERE, "255.255.0.0"),
        ("eth0", None, HERE[:2], "255.255.255.0"),
        ("eth1", None, HERE[:2] + [("eth1", "10.5.106.9", "255.255.254.0")], "255.255.254.0"),
        ("eth0", None, HERE[:3] + [("eth0", "10.5.106.4", "255.255.0.0")], "255.255.0.0"),
        ("eth0", None, HERE[:3] + [("eth0", "10.5.106.50", "255.255.255.255")], "255.0.0.0"),
    ],
    ids="nic record elsewhere other-nic smallest not-the-vips-own".split(),
)
def test_netmask_that_is_not_given(monkeypatch, opts, nic, recorded, found, netmask):
    record = {"netmask": recorded, "dbtype": "sqlite", "host_name": "hamn", "state": "standby"}
    monkeypatch.setattr(xcatha, "addresses", lambda: found)
    monkeypatch.setattr(xcatha, "read_record", lambda share: record)
    opts.netmask, opts.nic = None, nic
    xcatha.fill_in_from_share(opts)
    assert opts.netmask == netmask


INFINIBAND = "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:11"


@pytest.mark.parametrize("library", [None, xcatha.netifaces], ids="psutil netifaces".split())
def test_hardware_addresses_are_those_of_the_kernel(monkeypatch, library):
    monkeypatch.setattr(xcatha, "netifaces", library)
    found = xcatha.hardware_addresses()
    assert "lo" in found
    for nic, mac in found.items():
        assert xcatha.read_text("/sys/class/net/%s/address" % nic) == mac + "\n"


REPLY = """\
ARPING 10.5.106.50 from 0.0.0.0 eth0
Unicast reply from 10.5.106.50 [{}]  0.683ms
Sent 1 probes (1 broadcast(s))
Received 1 response(s)
"""
SILENCE = """\
ARPING 10.5.106.50 from 0.0.0.0 eth0
Sent 2 probes (2 broadcast(s))
Received 0 response(s)
"""


@pytest.fixture
def arping(monkeypatch):
    """Lets a test say how arping ends."""
    monkeypatch.setattr(xcatha, "hardware_addresses", lambda: {"ib0": INFINIBAND})

    def give(*answer):
        monkeypatch.setattr(xcatha, "ask", lambda argv, *_: answer)
        return xcatha.who_answers("10.5.106.50", "eth0:0", ping=False)

    return give


@pytest.mark.parametrize("status", [0, 1])
def test_silence_is_free_whatever_arping_exits_with(arping, status):
    assert arping(status, SILENCE, "") == ""


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("mac", ["52:54:00:00:00:05", INFINIBAND[:-1] + "2"])
def test_other_hardware_address_of_any_length_is_found(arping, status, mac):
    assert arping(status, REPLY.format(mac.upper()), "") == mac


@pytest.mark.parametrize("status, found", [(0, "52:54:00:00:00:05"), (1, "")])
def test_switch_that_answers_for_a_node_that_is_off_is_told_from_the_node(
        monkeypatch, status, found):
    """ARP suppression: the MAC of the dead node is in the switch's cache; a ping is not."""
    mac = "52:54:00:00:00:05"
    monkeypatch.setattr(xcatha, "hardware_addresses", dict)
    monkeypatch.setattr(xcatha, "ask", lambda argv, *_: (
        (0, REPLY.format(mac), "") if argv[0] == "arping" else (status, "", "")))
    assert xcatha.who_answers("10.5.106.50", "eth0:0", off={mac}) == found
    assert xcatha.who_answers("10.5.106.50", "eth0:0", False, {mac}) == mac
    assert xcatha.who_answers("10.5.106.50", "eth0:0") == mac


def test_macs_of_a_node_that_is_off_are_those_that_it_recorded(monkeypatch, opts, mounts):
    mounts(("/HA", "nfs4", "rw"))
    nodes = {"host2": {"mac": "02::1", "macs": ["02::2"]}, "host3": {"mac": "02::3"}}
    monkeypatch.setattr(xcatha, "read_nodes", lambda share, but: nodes)
    assert xcatha.macs_of_off(opts) == set()
    opts.peer_is_off = True
    assert xcatha.macs_of_off(opts) == {"02::1", "02::2", "02::3"}
    mounts(("/HA", "ext4", "rw"))  # here the other node's counter would not be seen
    assert xcatha.macs_of_off(opts) == set()


def test_nic_that_is_gone_in_between_has_no_hardware_address(monkeypatch):
    """As those of containers, which come and go."""
    def addresses(nic):
        if nic == "veth1":
            raise ValueError("You must specify a valid interface name.")
        return {17: [{"addr": "02:00:00:00:00:0A"}]}

    monkeypatch.setattr(xcatha, "netifaces", argparse.Namespace(
        AF_LINK=17, interfaces=lambda: ["veth1", "eth9"], ifaddresses=addresses))
    found = xcatha.hardware_addresses()
    assert found["eth9"] == "02:00:00:00:00:0a" and "veth1" not in found


@pytest.mark.parametrize("place, vip", [
    ("10.5.106.4", "10.5.106.50"), ("192.168.7.4", "192.168.7.50"), ("host1", ""),
    ("172.16.0.1", ""),
])
def test_nodes_of_a_further_network_are_told_of_its_own_vip(opts, place, vip):
    opts.others = [argparse.Namespace(vip="192.168.7.50", netmask="255.255.255.0")]
    assert xcatha.vip_near(place, opts) == vip


def test_own_hardware_address_is_no_other(arping):
    assert arping(1, REPLY.format(INFINIBAND.upper()), "") == ""


@pytest.mark.parametrize(
    "status, out, error",
    [
        (2, "", "arping: Device eth0 not available.\n"),
        (2, "", 'arping: Interface "eth0" is not ARPable\n'),
        (1, "", "arping: socket: Operation not permitted\n"),
        (1, SILENCE.replace("Sent 2", "Sent 0"), "arping: sendto: Network is down\n"),
        (124, SILENCE, "\nno end within 30 s"),
        (127, "", "arping: No such file or directory"),
    ],
    ids="device loop permission down silent missing".split(),
)
def test_probe_that_could_not_be_made_is_an_error(arping, status, out, error):
    with pytest.raises(xcatha.HAError, match="cannot probe") as failure:
        arping(status, out, error)
    assert failure.value.evidence == error.strip() and "arping -D" in failure.value.hint


def test_nic_of_a_pasted_line_is_this_nodes_own(monkeypatch):
    monkeypatch.setattr(xcatha, "addresses", lambda: [("ens3", "10.5.106.5", "255.0.0.0")])
    monkeypatch.setattr(xcatha, "vips_of_lease", list)
    view = {"host": "host2", "nodes": {"host1": {"nic": "eth0:0"}}, "share": {"path": "/HA"}}
    view["record"] = {"vip": "10.5.106.50", "host_name": "hamn"}
    assert " -i ens3" in xcatha.line_to_paste(view, "-a")
    view["nodes"]["host2"] = {"nic": "ens3:0"}
    assert " -i ens3:0" in xcatha.line_to_paste(view, "-a")


@pytest.mark.parametrize(
    "nics, plain",
    [
        ("eth0", "eth0"),
        ("eth0:noboot,!remote!eth1", "eth0:noboot,!remote!eth1"),
        ("eth0:0", "eth0"),
        ("xcatmn|eth1,eth2:ha;service|bond0.5:1:noboot", "xcatmn|eth1,eth2;service|bond0.5:noboot"),
    ],
)
def test_dhcp_listens_on_devices_not_on_aliases(nics, plain):
    assert re.sub(xcatha.ALIAS, "", nics) == plain


def place(label="eth0:0", dev="eth0", prefixlen=8, secondary=True):
    """ip(8)'s entry of an address."""
    return {"label": label, "dev": dev, "prefixlen": prefixlen, "secondary": secondary}


@pytest.mark.parametrize(
    "places, amiss",
    [
        ([], ""),
        ([place()], ""),
        ([place(label="eth0", secondary=False)], ""),
        ([place(label="eth0")], "10.5.106.50/8 on eth0"),
        ([place(prefixlen=24)], "10.5.106.50/24 on eth0:0"),
        ([place("lo", "lo", 32, False)], "10.5.106.50/32 on lo"),
        ([place(), place("lo", "lo", 32, False)], "10.5.106.50/32 on lo"),
        ([place("eth1:0", "eth1")], "10.5.106.50/8 on eth1:0"),
    ],
    ids="absent right first label prefix lo twice nic".split(),
)
def test_vip_that_is_not_where_it_should_be_is_told(monkeypatch, places, amiss):
    monkeypatch.setattr(xcatha, "vip_places", lambda vip: places)
    assert xcatha.vip_amiss("10.5.106.50", "eth0:0", "255.0.0.0") == amiss


@pytest.mark.parametrize("nic, device", [("eth0", "eth0"), ("bond0.5:ha", "bond0.5")])
def test_device_of_an_alias(nic, device):
    assert xcatha.device_of(nic) == device


@pytest.mark.parametrize("pings, shown, mac", [
    (True, "10.5.106.50 dev eth0 lladdr 52:54:00:00:00:02 STALE \n", "52:54:00:00:00:02"),
    (False, "10.5.106.50 dev eth0 lladdr 52:54:00:00:00:02 REACHABLE\n", "52:54:00:00:00:02"),
    (False, "10.5.106.50 dev eth0 lladdr 52:54:00:00:00:02 STALE\n", ""),
    (False, "10.5.106.50 dev eth0  FAILED\n", ""),
    (False, "", ""),
])
def test_neighbour_is_who_answers_now(monkeypatch, pings, shown, mac):
    """In the text form, which iproute2 4.15 prints even where JSON is asked for."""
    monkeypatch.setattr(xcatha, "run", lambda *_: (0 if pings else 1, "", ""))
    monkeypatch.setattr(xcatha, "output_of", lambda line: shown)
    assert xcatha.neighbour("10.5.106.50") == mac


@pytest.mark.parametrize("carrier, up", [("1\n", True), ("0\n", False), (None, True)])
def test_nic_without_a_link_is_down_whatever_an_old_psutil_says(monkeypatch, carrier, up):
    monkeypatch.setattr(xcatha.psutil, "net_if_stats",
                        lambda: {"eth0": argparse.Namespace(isup=True)})
    monkeypatch.setattr(xcatha, "read_text", lambda path, default: carrier or default)
    assert xcatha.is_up("eth0:0") == up
