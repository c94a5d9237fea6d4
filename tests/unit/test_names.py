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
        ("10.5.106.50 old # ours\n", [VIP_LINE], "10.5.106.50 hamn old # ours\n"),
        ("10.5.106.50 hamn\r\n", [PHYSICAL_LINE], "10.5.106.50 hamn\r\n10.5.106.4 host1\r\n"),
        ("10.5.106.50 a\n10.5.106.50 hamn b\n", [VIP_LINE], "10.5.106.50 hamn a\n10.5.106.50 b\n"),
        ("# 10.5.106.9 hamn\n", [VIP_LINE], "# 10.5.106.9 hamn\n10.5.106.50 hamn\n"),
        ("10.5.106.9 hamn db\n", [VIP_LINE], "10.5.106.9 db\n10.5.106.50 hamn\n"),
        ("fd00::5 hamn\n", [VIP_LINE], "fd00::5 hamn\n10.5.106.50 hamn\n"),
        ("::1 localhost hamn\n", [VIP_LINE], "::1 localhost\n10.5.106.50 hamn\n"),
        ("10.5.106.9 HAmn db\n", [VIP_LINE], "10.5.106.9 db\n10.5.106.50 hamn\n"),
    ],
    ids="empty append no-newline present more-names windows two-lines comment moved "
    "other-family loopback capitals".split(),
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


EXISTING = "127.0.0.1 localhost\n10.5.106.50 host1.cluster.test host1 xcatmn\n"
BOTH = [("10.5.106.50", "hamn"), ("10.5.106.4", "host1")]


def named(text, hosts=BOTH, domain=""):
    """The lines of a hosts file in which these hosts got their names."""
    merged = xcatha.merge_hosts(text, xcatha.entries_of_pair(text, hosts, domain))
    return merged.splitlines()


@pytest.mark.parametrize("domain", ["", "cluster.test"])
def test_long_name_of_an_existing_node_moves_to_its_other_address(domain):
    assert named(EXISTING, domain=domain) == [
        "127.0.0.1 localhost",
        "10.5.106.50 hamn.cluster.test hamn xcatmn",
        "10.5.106.4 host1.cluster.test host1",
    ]


@pytest.mark.parametrize(
    "text, hosts, domain, lines",
    [
        ("", BOTH, "", ["10.5.106.50 hamn", "10.5.106.4 host1"]),
        (
            "10.5.106.50 hamn\n10.5.106.4 host1\n10.5.106.5 host2.cluster.test host2\n",
            BOTH,
            "cluster.test",
            [
                "10.5.106.50 hamn.cluster.test hamn",
                "10.5.106.4 host1.cluster.test host1",
                "10.5.106.5 host2.cluster.test host2",
            ],
        ),
        (
            "127.0.1.1 host1.example.com host1\n",
            BOTH,
            "cluster.test",
            [
                "# 127.0.1.1 host1.example.com host1   (xcatha: these names moved)",
                "10.5.106.50 hamn.cluster.test hamn",
                "10.5.106.4 host1.cluster.test host1 host1.example.com",
            ],
        ),
        (
            "10.5.106.50 hamn hamn.cluster.test\n10.9.0.4 host1.ib.cluster.test host1-ib\n",
            [BOTH[0], ("10.5.106.4", "host1.cluster.test")],
            "",
            [
                "10.5.106.50 hamn.cluster.test hamn",
                "10.9.0.4 host1.ib.cluster.test host1-ib",
                "10.5.106.4 host1.cluster.test host1",
            ],
        ),
        (
            "10.5.106.4 host1 hamn.cluster.test\n",
            [("10.5.106.50", "hamn.cluster.test"), BOTH[1]],
            "",
            ["10.5.106.4 host1.cluster.test host1", "10.5.106.50 hamn.cluster.test hamn"],
        ),
    ],
    ids="none other-node loopback other-nic-and-long-host-name long-vip-name".split(),
)
def test_names_of_the_pair_are_long_ones_first_at_one_address_each(text, hosts, domain, lines):
    assert named(text, hosts, domain) == lines
    assert named("\n".join(lines) + "\n", hosts, domain) == lines


@pytest.mark.parametrize(
    "text",
    ["10.5.106.50 hamn\r\n10.5.106.4 host1\r\n", "10.5.106.50 hamn\n10.5.106.4 host1",
     "# \xfc \u2028 \udcff \x0c 10.9.9.9 x\n10.5.106.50 hamn\n\r\n10.5.106.4\thost1 \n"],
    ids="windows no-newline bytes".split(),
)
def test_hosts_that_are_right_stay_byte_for_byte(text):
    assert xcatha.merge_hosts(text, [VIP_LINE, PHYSICAL_LINE]) == text


# ---- What the share has of the active node's hosts file ----

TAKEN = "10.5.106.50 hamn\n10.5.106.4 host1\n10.0.0.1 cn1\n10.0.0.2 cn2\n10.0.0.3 cn3\n"
HERE = TAKEN + "10.5.106.5 host2.cluster.test host2\n10.7.7.7 printer\n127.0.1.1 host2-lo\n"


def arrived(saved, here=HERE, taken=TAKEN):
    """host2's hosts file after it took over what was saved."""
    return xcatha.merge_saved_hosts(taken, saved, here, ["10.5.106.5", "127.0.0.1"])


@pytest.mark.parametrize(
    "old, new, lines",
    [
        ("", "10.0.0.4 cn4\n", "10.0.0.4 cn4\n"),
        ("10.0.0.2 cn2\n", "10.0.0.2 cn9.cluster.test cn9\n", "10.0.0.2 cn9.cluster.test cn9\n"),
        ("10.0.0.2 cn2\n", "10.0.0.22 cn2\n", "10.0.0.22 cn2\n"),
        ("10.0.0.2 cn2\n", "", ""),
    ],
    ids="added renamed renumbered deleted".split(),
)
def test_change_on_the_active_node_arrives_and_nothing_else_changes(old, new, lines):
    merged = arrived(TAKEN.replace(old, "") + new)
    assert sorted(merged.splitlines()) == sorted((HERE.replace(old, "") + lines).splitlines())


def test_what_was_saved_by_another_address_for_this_node_is_not_taken():
    saved = TAKEN + "10.5.106.5 alias\n10.5.106.77 host2\n127.0.1.1 host1\n10.9.9.9 host2-lo\n"
    assert arrived(saved) == HERE


def test_line_that_was_lost_here_alone_comes_back():
    assert arrived(TAKEN, HERE.replace("10.0.0.2 cn2\n", "")) == HERE.replace(
        "10.0.0.2 cn2\n", "") + "10.0.0.2 cn2\n"


def test_without_what_was_taken_before_nothing_is_deleted():
    assert arrived("10.0.0.4 cn4\n", taken="") == HERE + "10.0.0.4 cn4\n"


@pytest.mark.parametrize("saved", ["", "# nothing\n"])
def test_nothing_is_deleted_because_the_saved_file_is_empty(saved):
    assert arrived(saved) == HERE


# ---- resolv.conf ----


@pytest.fixture
def resolv_conf(monkeypatch):
    """Lets a test say what resolv.conf holds; returns what it holds then."""
    monkeypatch.setattr(xcatha, "addresses", lambda: [("eth0", "10.5.106.4", "255.0.0.0")])

    def give(text):
        written = {"/etc/resolv.conf": text}
        monkeypatch.setattr(xcatha, "read_text", lambda path: written[path])
        monkeypatch.setattr(xcatha, "change_file", written.__setitem__)
        monkeypatch.setattr(xcatha.os.path, "islink", lambda path: False)
        return written

    return give


@pytest.mark.parametrize(
    "text, wanted, after",
    [
        ("search a\nnameserver 10.0.0.1\n", True,
         "nameserver 10.5.106.50\nsearch a\nnameserver 10.0.0.1\n"),
        ("nameserver 10.0.0.1\nnameserver 10.5.106.50\n", True,
         "nameserver 10.0.0.1\nnameserver 10.5.106.50\n"),
        ("nameserver 10.5.106.50\r\nnameserver 10.5.106.5\r\n", False,
         "nameserver 10.5.106.5\r\n"),
        ("# managed by hand\r\n", True, "nameserver 10.5.106.50\r\n# managed by hand\r\n"),
        ("nameserver 10.5.106.5\n", False, "nameserver 10.5.106.5\n"),
    ],
    ids="first once removed windows absent".split(),
)
def test_nameserver_is_added_once_or_removed_and_the_rest_stays(resolv_conf, text, wanted, after):
    written = resolv_conf(text)
    xcatha.set_nameserver("10.5.106.50", wanted)
    assert written == {"/etc/resolv.conf": after}


BOTH_SERVERS = "10.5.106.50 10.0.0.1"


@pytest.mark.parametrize(
    "sign, add",
    [
        ("# Generated by NetworkManager", 'device show eth0)" ipv4.dns "%s" &&'),
        ("# This file is managed by man:systemd-resolved(8).", "resolvectl dns eth0 %s"),
        (
            "# Dynamic resolv.conf(5) file for glibc resolver(3) generated by resolvconf(8)",
            r"printf 'nameserver %%s\n' %s | resolvconf -a eth0.xcatha",
        ),
        ("# Generated by dhcpcd from eth0.dhcp", '`static domain_name_servers="%s"` in'),
        ("; generated by /usr/sbin/dhclient-script", "`supersede domain-name-servers %s;` in"),
        ("### autogenerated by netconfig!", 'NETCONFIG_DNS_STATIC_SERVERS="%s" in'),
        ("# Generated by Docker Engine.", "kept by Generated by Docker Engine. and was left"),
    ],
)
def test_resolv_conf_that_a_program_makes_is_left_alone(resolv_conf, sign, add, capsys):
    text = sign + "\nnameserver 10.0.0.1\n"
    written = resolv_conf(text)
    assert "left alone" in xcatha.set_nameserver("10.5.106.50", True)
    add = add % BOTH_SERVERS if "%s" in add else add
    assert add in capsys.readouterr().err and written == {"/etc/resolv.conf": text}


@pytest.mark.parametrize("sign", ["", "# Generated by NetworkManager\n"])
def test_resolv_conf_that_is_immutable_is_left_alone(resolv_conf, monkeypatch, capsys, sign):
    text = sign + "nameserver 10.0.0.1\n"
    written = resolv_conf(text)
    monkeypatch.setattr(xcatha, "output_of", lambda argv: "----i---------e------- %s\n" % argv[1])
    assert xcatha.set_nameserver("10.5.106.50", True) == "kept by chattr, left alone"
    assert written == {"/etc/resolv.conf": text}
    assert "chattr -i /etc/resolv.conf, then name 10.5.106.50 10.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1", "ff02::1", "not an address"])
def test_address_that_means_this_host_or_nothing(address):
    assert xcatha.is_loopback(address)


@pytest.mark.parametrize("address", ["10.5.106.4", "2001:db8::4"])
def test_address_that_means_another_host(address):
    assert not xcatha.is_loopback(address)


def test_physical_host_name_is_the_first_line_of_etc_hostname(monkeypatch):
    monkeypatch.setitem(xcatha.RUN.pretended, ("text", "/etc/hostname"), "# c\n\n host1 \n")
    assert xcatha.physical_host_name() == "host1"


@pytest.mark.parametrize("text", ["\n", "localhost\n", "localhost.localdomain\n"])
def test_host_without_a_name_is_refused(monkeypatch, text):
    monkeypatch.setitem(xcatha.RUN.pretended, ("text", "/etc/hostname"), text)
    with pytest.raises(xcatha.HAError) as refusal:
        xcatha.physical_host_name()
    assert refusal.value.what == "/etc/hostname does not name this host"
    assert refusal.value.code == xcatha.REFUSED and refusal.value.hint
