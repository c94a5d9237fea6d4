"""Names: /etc/hosts and resolv.conf are edited, never rewritten."""

import pytest

import xcatha

VIP_LINE = ("10.5.106.50", ["hamn"])
PHYSICAL_LINE = ("10.5.106.4", ["host1"])


@pytest.mark.parametrize(
    "before, wanted, after",
    [
        ("", [VIP_LINE], "10.5.106.50 hamn\n"),
        ("127.0.0.1 localhost\n", [VIP_LINE], "127.0.0.1 localhost\n10.5.106.50 hamn\n"),
        ("127.0.0.1 localhost", [VIP_LINE], "127.0.0.1 localhost\n10.5.106.50 hamn\n"),
        ("10.5.106.50\thamn  # ours\n", [VIP_LINE], "10.5.106.50\thamn  # ours\n"),
        ("10.5.106.50 old # ours\n", [VIP_LINE], "10.5.106.50 old hamn # ours\n"),
        ("# 10.5.106.9 hamn\n", [VIP_LINE], "# 10.5.106.9 hamn\n10.5.106.50 hamn\n"),
        ("10.5.106.9 hamn db\n", [VIP_LINE], "10.5.106.9 db\n10.5.106.50 hamn\n"),
        ("::1 hamn\n", [VIP_LINE], "::1 hamn\n10.5.106.50 hamn\n"),
    ],
    ids="empty append no-newline present more-names comment moved other-family".split(),
)
def test_hosts_line_is_merged(before, wanted, after):
    assert xcatha.merge_hosts(before, wanted) == after


def test_hosts_line_that_loses_all_its_names_becomes_a_comment():
    merged = xcatha.merge_hosts("127.0.1.1 host1\n", [PHYSICAL_LINE])
    assert merged.startswith("# 127.0.1.1 host1") and merged.endswith("10.5.106.4 host1\n")


@pytest.mark.parametrize(
    "text", ["", "127.0.1.1 host1 hamn\n", "# comment\n\n10.5.106.50 a b # c\n", "::1 hamn host1\n"]
)
def test_hosts_that_were_merged_are_left_alone(text):
    once = xcatha.merge_hosts(text, [VIP_LINE, PHYSICAL_LINE])
    assert xcatha.merge_hosts(once, [VIP_LINE, PHYSICAL_LINE]) == once


def test_hosts_keep_order_comments_and_empty_lines():
    text = "# first\n10.0.0.2 b\n\n10.0.0.1 a\n# last\n"
    assert xcatha.merge_hosts(text, [VIP_LINE]) == text + "10.5.106.50 hamn\n"


def test_one_name_may_have_two_addresses():
    wanted = [("10.0.0.1", ["cn1"]), ("10.0.0.2", ["cn1"])]
    assert xcatha.merge_hosts("", wanted) == "10.0.0.1 cn1\n10.0.0.2 cn1\n"


def test_hosts_are_parsed_without_comments():
    text = "10.0.0.1 a b # c\n#10.0.0.2 d\n10.0.0.3\n"
    assert xcatha.parse_hosts(text) == [("10.0.0.1", ["a", "b"])]


@pytest.mark.parametrize(
    "name, domain, names",
    [
        ("hamn", "", ["hamn"]),
        ("hamn", "cluster.test", ["hamn", "hamn.cluster.test"]),
        ("hamn.cluster.test", "cluster.test", ["hamn.cluster.test", "hamn"]),
        ("hamn.cluster.test", "", ["hamn.cluster.test", "hamn"]),
    ],
)
def test_host_has_a_short_and_a_long_name(name, domain, names):
    assert xcatha.names_of(name, domain) == names


def test_nameserver_comes_first_and_once():
    text = "search a\nnameserver 10.0.0.1\nnameserver 10.5.106.50\n"
    assert xcatha.with_nameserver(text, "10.5.106.50") == (
        "nameserver 10.5.106.50\nsearch a\nnameserver 10.0.0.1\n"
    )


def test_nameserver_is_removed_and_the_others_stay():
    text = "nameserver 10.5.106.50\nnameserver 10.5.106.5\n"
    assert xcatha.without_nameserver(text, "10.5.106.50") == "nameserver 10.5.106.5\n"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1", "ff02::1", "not an address"])
def test_address_that_means_this_host_or_nothing(address):
    assert xcatha.is_loopback(address)


@pytest.mark.parametrize("address", ["10.5.106.4", "2001:db8::4"])
def test_address_that_means_another_host(address):
    assert not xcatha.is_loopback(address)


def test_physical_host_name_is_the_first_line_of_etc_hostname(monkeypatch):
    monkeypatch.setitem(xcatha.RUN.pretended, ("text", "/etc/hostname"), "# c\n\n host1 \n")
    assert xcatha.physical_host_name() == "host1"


def test_host_without_a_name_is_refused(monkeypatch):
    monkeypatch.setitem(xcatha.RUN.pretended, ("text", "/etc/hostname"), "\n")
    with pytest.raises(xcatha.HAError) as refusal:
        xcatha.physical_host_name()
    assert refusal.value.code == xcatha.REFUSED and refusal.value.hint
