"""Hosts files of any content: what must hold for every merge, tried on many of them."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

import xcatha

OWN = ["10.5.106.5", "127.0.0.1", "2001:db8::5"]
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.5.106.50", "2001:db8::1"])
ANY_ADDRESS = st.one_of(ADDRESSES, st.sampled_from([*OWN, "127.0.1.1", "::1", "nonsense"]))
NAMES = st.sampled_from(["cn1", "cn2", "cn3", "cn1.cluster.test", "hamn", "host2", "printer"])
ENDS = st.sampled_from(["\n", "\r\n", " # a remark\n", "\t\n"])


def lines(addresses):
    entry = st.builds(
        lambda address, names, end: address + "\t" + " ".join(names) + end,
        addresses, st.lists(NAMES, max_size=3, unique=True), ENDS)
    noise = st.text(string.printable + "\xe9\u2028\udcff", max_size=9).map(
        lambda text: "#" + text.replace("\n", "") + "\n")
    return st.lists(st.one_of(entry, noise), max_size=6).map("".join)


ANY = lines(ANY_ADDRESS)


def family(address):
    """Whether a name's address competes with those of IPv6; ::1 answers for 127.0.0.1, too."""
    return ":" in address and address != "::1"


def pairs(text):
    """Every (address, name) of a hosts file."""
    return {(address, name) for address, names in xcatha.parse_hosts(text) for name in names}


def foreign(text, here):
    """Those of the pairs that are not this node's own business, by its own hosts file."""
    own_names = {(name, ":" in address) for address, name in pairs(here)
                 if address in OWN or address.startswith("127.")}
    return {(address, name) for address, name in pairs(text)
            if address not in OWN and not xcatha.is_loopback(address)
            and (name, ":" in address) not in own_names}


@settings(max_examples=1000, deadline=None)
@given(taken=ANY, saved=ANY, here=ANY)
def test_merge_takes_what_changed_and_keeps_what_is_the_nodes_own(taken, saved, here):
    merged = xcatha.merge_saved_hosts(taken, saved, here, OWN)
    wanted, before, after = foreign(saved, here), pairs(here), pairs(merged)
    if not wanted:
        assert merged == here
        return
    assert wanted <= after
    assert not (foreign(taken, here) - wanted) & after  # renamed, renumbered, deleted
    assert after <= before | wanted
    saved_names = {(name, ":" in address) for address, name in wanted}
    kept = before - foreign(taken, here)
    assert {(address, name) for address, name in kept
            if (name, family(address)) not in saved_names} <= after
    assert {pair for pair in before if pair[0] in OWN} <= after  # own addresses keep their names
    # A second merge finds nothing to do, and so does the other node.
    assert xcatha.merge_saved_hosts(saved, saved, merged, OWN) == merged


@settings(max_examples=500, deadline=None)
@given(text=ANY)
def test_merge_of_what_is_the_same_everywhere_changes_no_byte(text):
    entries = xcatha.parse_hosts(text)
    homes = {}
    for address, names in entries:
        for name in names:
            homes.setdefault((name, family(address)), set()).add(address)
    if all(len(places) == 1 for places in homes.values()):
        assert xcatha.merge_saved_hosts(text, text, text, OWN) == text


@settings(max_examples=500, deadline=None)
@given(text=ANY, domain=st.sampled_from(["", "cluster.test"]))
def test_names_of_the_pair_have_one_address_each(text, domain):
    hosts = [("10.5.106.50", "hamn"), ("10.5.106.5", "host2")]
    wanted = xcatha.entries_of_pair(text, hosts, domain)
    merged = xcatha.merge_hosts(text, wanted)
    for address, names in wanted:
        for name in names:
            assert {at for at, found in pairs(merged) if found == name and ":" not in at} == {
                address}
        first = [names for at, names in xcatha.parse_hosts(merged) if at == address][0]
        assert first[0] == names[0]
    assert xcatha.merge_hosts(merged, xcatha.entries_of_pair(merged, hosts, domain)) == merged
