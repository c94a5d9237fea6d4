"""Settings that would bring the VIP up at boot are found; what only mentions it is passed over."""

import pytest

import xcatha

VIP = "10.5.106.50"
NETPLAN = "network:\n  version: 2\n  ethernets:\n    eth0:\n      mtu: 9000\n"
NAMESERVERS = "      nameservers:\n        search: [cluster.test]\n"
FILES = {
    "ifcfg": "DEVICE=eth0:0\nONBOOT=yes\n{}\n",
    "keyfile": "[connection]\nid=eth0\n\n[ipv4]\nmethod=manual\n{}\n",
    "interfaces": "auto eth0\niface eth0 inet static\n    {}\n    mtu 9000\n",
    "networkd": "[Match]\nName=eth0\n\n[Network]\n{}\n",
    "netplan": NETPLAN + "{}\n",
    "netplan list": NETPLAN + "      addresses:\n{}\n",
    "netplan routes": NETPLAN + "      routes:\n{}\n",
    "netplan names": NETPLAN + NAMESERVERS + "{}\n",
    "netplan names list": NETPLAN + NAMESERVERS + "        addresses:\n{}\n",
}


@pytest.fixture
def found_in(tmp_path, monkeypatch):
    """Which lines of a file of settings would bring the VIP up at boot."""
    monkeypatch.setattr(xcatha, "PERSISTENT_PLACES", {str(tmp_path / "*.conf"): "delete it"})

    def look(text):
        (tmp_path / "site.conf").write_text(text)
        return [problem.split("`")[1] for problem, _ in xcatha.persistent_vip(VIP)]

    return look


@pytest.mark.parametrize(
    "file, line",
    [
        ("ifcfg", "IPADDR=10.5.106.50"),
        ("ifcfg", "IPADDR_1='10.5.106.50/8'"),
        ("keyfile", "address1=10.5.106.50/8"),
        ("keyfile", "address2=10.5.106.50/8,10.0.0.1"),
        ("interfaces", "address 10.5.106.50/8"),
        ("interfaces", "up ip address add 10.5.106.50/8 dev eth0"),
        ("interfaces", "up ip route add default via 10.5.106.9 src 10.5.106.50"),
        ("networkd", "Address=10.5.106.50/8"),
        ("netplan", "      addresses: [10.5.106.4/8, 10.5.106.50/8]"),
        ("netplan", "      addresses: [10.5.106.50/8]  # hamn"),
        ("ifcfg", "IPADDR=10.5.106.50  # moved here from ntp1, see routing"),
        ("netplan", "      addresses:  # as dns\n      - 10.5.106.50/8"),
        ("netplan list", "      - 10.5.106.50/8"),
        ("netplan list", "        - 10.5.106.50/8:"),
        ("netplan names", "      addresses: [10.5.106.50/8]"),
        ("netplan", "    vlan-ntp:\n      addresses: [10.5.106.50/8]"),
    ],
)
def test_line_that_defines_the_vip_is_found(found_in, file, line):
    assert found_in(FILES[file].format(line)) == [line.splitlines()[-1].strip()]


@pytest.mark.parametrize(
    "file, line",
    [
        ("ifcfg", "DNS1=10.5.106.50"),
        ("ifcfg", "GATEWAY=10.5.106.50"),
        ("ifcfg", "#IPADDR=10.5.106.50"),
        ("ifcfg", "IPADDR=10.5.106.4  # the VIP is 10.5.106.50"),
        ("ifcfg", "IPADDR=110.5.106.50"),
        ("ifcfg", "IPADDR=10.5.106.5"),
        ("keyfile", "dns=10.5.106.50;10.0.0.2;"),
        ("keyfile", "gateway=10.5.106.50"),
        ("interfaces", "dns-nameservers 10.0.0.2 10.5.106.50"),
        ("interfaces", "gateway 10.5.106.50"),
        ("interfaces", "up ip route add default via 10.5.106.50"),
        ("networkd", "DNS=10.5.106.50"),
        ("networkd", "Gateway=10.5.106.50"),
        ("netplan", "      gateway4: 10.5.106.50"),
        ("netplan routes", "      - {to: default, via: 10.5.106.50}"),
        ("netplan routes", "        via: 10.5.106.50"),
        ("netplan names", "        addresses: [10.0.0.2, 10.5.106.50]"),
        ("netplan", "      nameservers: {addresses: [10.5.106.50]}"),
        ("netplan", "      routing-policy: [{from: 10.5.106.50, table: 5}]"),
        ("netplan", "      routing-policy:\n      - to: 10.5.106.50"),
        ("keyfile", "routing-rule1=priority 5 to 10.5.106.50 table 5"),
        ("networkd", "NTP=10.5.106.50"),
        ("networkd", "[RoutingPolicyRule]\nFrom=10.5.106.50"),
        ("interfaces", "up ip rule add from 10.5.106.50 table 5"),
        ("netplan names list", "        - 10.5.106.50"),
        ("netplan names list", "# a comment in the first column\n        - 10.5.106.50"),
        ("netplan names list", "          - 10.5.106.50"),
    ],
)
def test_line_that_does_not_define_the_vip_is_passed_over(found_in, file, line):
    assert found_in(FILES[file].format(line)) == []


def test_place_and_change_are_told(tmp_path, found_in):
    found_in("[Network]\nAddress=10.5.106.50/8\n")
    place = "%s:2" % (tmp_path / "site.conf")
    assert list(xcatha.persistent_vip(VIP)) == [
        ("the VIP comes up at boot: %s has `Address=10.5.106.50/8`" % place, "delete it")]


def test_settings_are_the_files_of_the_known_places(tmp_path, found_in):
    found_in("")
    (tmp_path / "directory.conf").mkdir()
    (tmp_path / "site.conf.bak").write_text("")
    assert xcatha.network_settings() == [(str(tmp_path / "site.conf"), "delete it")]


def test_file_that_may_not_be_read_is_passed_over(found_in, monkeypatch):
    monkeypatch.setattr(xcatha.os, "access", lambda path, mode: False)
    assert found_in("Address=10.5.106.50/8\n") == []
