"""Addresses: what is the node's own, what the VIP's network is."""

import concurrent.futures
import time

import pytest

import xcatha

HERE = [
    ("lo", "127.0.0.1", "255.0.0.0"),
    ("eth0", "192.168.1.4", "255.255.255.0"),
    ("eth0", "10.5.106.4", "255.0.0.0"),
    ("eth0:0", "10.5.106.50", "255.0.0.0"),
    ("eth1", "10.9.9.9", "255.0.0.0"),
]


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(xcatha, "addresses", lambda: HERE)


def test_vip_is_found_by_its_address_whatever_its_label(here):
    assert xcatha.vip_here("10.5.106.50") == "eth0:0"
    assert xcatha.vip_here("10.5.106.51") == ""


def test_own_addresses_are_those_of_the_device_with_the_vips_subnet_first(here):
    assert xcatha.own_addresses("eth0:0", "10.5.106.50") == ["10.5.106.4", "192.168.1.4"]


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
def test_network_of_the_vip_follows_from_its_netmask(opts, netmask, broadcast, prefix):
    opts.netmask = netmask
    assert xcatha.broadcast_and_prefix(opts) == (broadcast, prefix)


@pytest.mark.parametrize("nic, device", [("eth0", "eth0"), ("bond0.5:ha", "bond0.5")])
def test_device_of_an_alias(nic, device):
    assert xcatha.device_of(nic) == device


@pytest.fixture
def probes(monkeypatch):
    """The probes that were made anew; nobody answers them."""
    made = []
    monkeypatch.setattr(xcatha, "check_vip_is_free", lambda _: made.append(1) or "free now")
    return made


def answer(age, error=None):
    """A probe that began so many seconds ago, and the error it ended with."""
    early = concurrent.futures.Future()
    early.set_result((time.monotonic() - age, error))
    return early


def test_good_and_fresh_answer_of_an_early_probe_counts(opts, probes):
    assert xcatha.confirm_vip_is_free(opts, answer(age=1)) == "used by nobody else"
    assert probes == []


def test_bad_answer_is_asked_for_again(opts, probes):
    early = answer(age=1, error=xcatha.HAError("the VIP is used by another machine"))
    assert xcatha.confirm_vip_is_free(opts, early) == "free now"
    assert probes == [1]


def test_old_answer_is_asked_for_again(opts, probes):
    assert xcatha.confirm_vip_is_free(opts, answer(xcatha.EARLY_PROBE + 1)) == "free now"
    assert probes == [1]


def test_without_an_early_probe_it_is_made_now(opts, probes):
    assert xcatha.confirm_vip_is_free(opts) == "free now"
    assert probes == [1]
