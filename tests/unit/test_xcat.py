"""What xCAT's commands and the package manager say, as far as it may be believed."""

import argparse

import pytest

import xcatha

NOISE = "Error loading module /opt/xcat/lib/perl/xCAT_plugin/zvm.pm  ...skipping\n"
NETWORKS = '#netname,net,comments\n"ten","10.0.0.0",\n"eleven","11.0.0.0","two\nlines"\n'


@pytest.fixture
def says(monkeypatch):
    """Lets a test say what every command answers: exit status, stdout, stderr."""

    def answer(*outcome):
        calls = []

        def run(argv, limit, env=None, **streams):
            calls.append((argv, env))
            return outcome

        monkeypatch.setattr(xcatha, "run", run)
        return calls

    return answer


@pytest.mark.parametrize("before", ["", NOISE, NOISE + NOISE])
def test_table_begins_at_its_header(says, before):
    says(0, before + NETWORKS, "")
    assert [row["netname"] for row in xcatha.table("networks")] == ["ten", "eleven"]
    assert xcatha.table("networks")[1]["comments"] == "two\nlines"


def test_rows_that_xcat_is_told_to_disregard_are_none(says):
    says(0, '#key,value,comments,disable\n"a","1",,"1"\n"b","2",,\n"c","3",,"no"\n"d","4",,"YES"\n',
         "")
    assert [row["key"] for row in xcatha.table("site")] == ["b", "c"]


@pytest.mark.parametrize(
    "site, changed",
    [
        ({"nameservers": "10.5.106.4"}, {"nameservers": "10.5.106.50"}),
        ({"nameservers": "10.0.0.53"}, {"nameservers": "10.5.106.50,10.0.0.53"}),
        ({"nameservers": "<xcatmaster>"}, {}),
        ({"nameservers": "10.0.0.53", "externaldns": "1"}, {}),
    ],
)
def test_name_servers_of_the_site_are_changed_only_where_the_nodes_serve_dns(
        monkeypatch, site, changed):
    monkeypatch.setattr(xcatha, "table", lambda name: [])
    monkeypatch.setattr(xcatha, "places_of_nodes", lambda opts, site: {"10.5.106.4": "host1"})
    opts = argparse.Namespace(vip="10.5.106.50", nic="eth0:0")
    wrong = xcatha.wrong_masters(opts, dict(site, master="10.5.106.50"))
    assert {name: value for kind, _, name, value in wrong if kind == "site"} == changed


def test_table_of_a_failed_command_is_none(says):
    says(1, NETWORKS, "Error: Permission denied for request")
    with pytest.raises(xcatha.HAError) as error:
        xcatha.table("networks")
    assert "Permission denied" in error.value.evidence


def test_site_attributes_are_the_rows_that_have_a_value(says):
    says(0, NOISE + '#key,value,comments,disable\n"domain","cluster.test",,\n"master",,,\n', "")
    assert xcatha.site_attributes() == {"domain": "cluster.test"}


def test_xcat_is_never_asked_past_its_daemon(says, monkeypatch):
    monkeypatch.setenv("XCATBYPASS", "1")
    calls = says(0, NETWORKS, "")
    xcatha.table("networks")
    assert calls == [(["tabdump", "networks"], None)]
    assert "XCATBYPASS" not in xcatha.command_environment({})


@pytest.mark.parametrize("debian, tool", [(True, "dpkg-query"), (False, "rpm")])
@pytest.mark.parametrize(
    "outcome, version",
    [
        ((0, "2.19.0-snap202606221200", ""), "2.19"),
        ((1, "package xCAT-server is not installed\n", ""), ""),
        ((1, "", "connection to 10.5.106.50 failed"), ""),
        ((124, "10.5", "no end within 30 s"), ""),
    ],
)
def test_version_is_what_the_package_manager_knows(
    says, monkeypatch, debian, tool, outcome, version
):
    monkeypatch.setattr(xcatha, "xcat_installed", lambda: True)
    monkeypatch.setattr(xcatha, "is_debian", lambda: debian)
    calls = says(*outcome)
    assert xcatha.xcat_version() == version
    assert [argv[0] for argv, _ in calls] == [tool]


LSXCATD = "Version 2.19.0\ndbengine=%s\ndbhost=%s\n"


@pytest.mark.parametrize(
    "lsxcatd, site, what, hint",
    [
        (("SQLite", ""), {}, "xCAT does not use postgresql at the VIP", "cfgloc"),
        (("Pg", "10.5.106.4"), {}, "xCAT does not use postgresql at the VIP", "cfgloc"),
        (("Pg", "10.5.106.50"), {}, "xCAT's tables are empty", "restore a dump"),
        (("Pg", "10.5.106.50"), {"master": "10.5.106.50"}, "", ""),
        (("Pg", "10.5.106.50;port=5433"), {"master": "10.5.106.50"}, "", ""),
    ],
)
def test_database_is_verified_by_what_xcat_says(monkeypatch, opts, lsxcatd, site, what, hint):
    monkeypatch.setattr(xcatha, "xcat", lambda _: LSXCATD % lsxcatd)
    monkeypatch.setattr(xcatha, "site_attributes", lambda: site)
    if not what:
        assert xcatha.verify_xcat(opts) == "lsxcatd shows Pg at 10.5.106.50"
        return
    with pytest.raises(xcatha.HAError) as error:
        xcatha.verify_xcat(opts)
    assert error.value.what == what and hint in error.value.hint


@pytest.mark.parametrize("row", [{"netname": ""}, {"net": ""}, {"mask": ""}])
def test_network_that_chdef_would_refuse_is_left_as_it_is(monkeypatch, opts, row):
    site = {"master": opts.vip, "nameservers": opts.vip}
    monkeypatch.setattr(xcatha, "places_of_nodes", lambda opts, site: {"10.5.106.4": "host1"})
    whole = {"netname": "ten", "net": "10.0.0.0", "mask": "255.0.0.0", "mgtifname": "eth0",
             "tftpserver": ""}
    for one, wrong in ((whole, 1), (dict(whole, **row), 0)):
        text = "#%s\n%s\n" % (",".join(one), ",".join('"%s"' % value for value in one.values()))
        monkeypatch.setattr(xcatha, "xcat", lambda argv, text=text: text)
        assert len(xcatha.wrong_masters(opts, site)) == wrong


@pytest.mark.parametrize(
    "audit, configured", [("", []), ("half configured", ["--configure", "-a"])])
def test_what_a_killed_installer_has_only_unpacked_is_configured(monkeypatch, audit, configured):
    did = []
    for name, value in (("is_debian", True), ("xcat_installed", True), ("xcat_version", "2.17")):
        monkeypatch.setattr(xcatha, name, lambda value=value: value)
    monkeypatch.setattr(xcatha, "write_file", lambda *file: None)
    monkeypatch.setattr(xcatha, "output_of", lambda argv: audit)
    monkeypatch.setattr(xcatha, "do", lambda argv, *more, **kinds: did.extend(argv[1:]))
    assert xcatha.install_xcat(argparse.Namespace()) == "already installed (2.17)"
    assert did == configured


def test_a_thousand_rows_that_need_the_same_change_are_one_problem(monkeypatch):
    """Its fix is one line to paste; nodes and groups of nodes have a line each."""
    nodes = ["cn%d" % number for number in range(1000)]
    tables = {
        "site": [{"key": "master", "value": "10.5.106.50"},
                 {"key": "nameservers", "value": "10.5.106.50"},
                 {"key": "forwarders", "value": "10.5.106.4"}],
        "noderes": [{"node": name, "tftpserver": "10.5.106.4"} for name in nodes + ["compute"]],
        "nodelist": [{"node": name, "groups": "all,compute"} for name in nodes],
    }
    asked = []
    monkeypatch.setattr(xcatha, "table", lambda name: asked.append(name) or tables.get(name, []))
    for name, value in (("optional_down", []), ("read_cfgloc", ""), ("boot_file_problems", []),
                        ("vip_here", "eth0"), ("line_to_paste", "-a"),
                        ("places_of_nodes", {"10.5.106.4": "host1"})):
        monkeypatch.setattr(xcatha, name, lambda *_, value=value: value)
    view = {"record": {"vip": "10.5.106.50", "netmask": "255.0.0.0", "host_name": "hamn"},
            "share": {"path": "/HA"},
            "services": {"xcatd.service": {"kind": "xcatd", "running": True}}}
    forwarders, rows, group = xcatha.xcat_problems(view)
    assert forwarders == ("forwarders of clustersite is 10.5.106.4, not the VIP",
                          "chdef -t site -o clustersite forwarders=")
    assert rows[0] == "tftpserver of cn0, cn1, cn2 and 997 more is 10.5.106.4, not the VIP"
    assert rows[1] == "chdef -t node -o %s tftpserver=10.5.106.50" % ",".join(nodes)
    assert group == ("tftpserver of compute is 10.5.106.4, not the VIP",
                     "chdef -t group -o compute tftpserver=10.5.106.50")
    assert len(asked) == len(set(asked)) + 1  # wrong_masters reads the networks, too


def test_dhcp_server_that_only_xcatd_has_started_is_stopped_where_the_site_has_another(monkeypatch):
    """On Ubuntu xcatd starts it, whatever the site table says."""
    stopped = []
    for name, value in (("skip_reason", "site.externaldhcpservers is set"), ("is_member", True),
                        ("running_units", ["isc-dhcp-server.service"])):
        monkeypatch.setattr(xcatha, name, lambda *_, value=value: value)
    monkeypatch.setattr(xcatha, "stop_services", stopped.append)
    for fresh in (False, True):
        outcome = xcatha.start_dns_or_dhcp("DHCP", {}, fresh, False, None)
        assert outcome == "skipped: site.externaldhcpservers is set"
    assert stopped == ["DHCP"]


@pytest.mark.parametrize("attribute, after", [
    ("dhcpinterfaces", " && makedhcp -n && makedhcp -a"), ("dnsinterfaces", " && makedns -n")])
def test_servers_do_not_listen_on_an_alias(monkeypatch, attribute, after):
    values = {"master": "10.5.106.50", "nameservers": "10.5.106.50", attribute: "eth0:0,eth1"}
    site = [{"key": key, "value": value} for key, value in values.items()]
    monkeypatch.setattr(xcatha, "table", lambda name: site if name == "site" else [])
    for name, value in (("optional_down", []), ("read_cfgloc", ""), ("boot_file_problems", []),
                        ("vip_here", "eth0"), ("line_to_paste", "-a"), ("places_of_nodes", {})):
        monkeypatch.setattr(xcatha, name, lambda *_, value=value: value)
    monkeypatch.setattr(xcatha, "with_vip", lambda *_: "")
    view = {"record": {"vip": "10.5.106.50", "netmask": "255.0.0.0", "host_name": "hamn"},
            "share": {"path": "/HA"}, "services": {
                kind: {"kind": kind, "running": True} for kind in ("xcatd", "DHCP")}}
    [(what, fix)] = xcatha.xcat_problems(view)
    assert what == attribute + " of clustersite is eth0:0,eth1, an alias, where no server listens"
    assert fix == "chdef -t site -o clustersite %s=eth0,eth1%s" % (attribute, after)


@pytest.mark.parametrize("maker, env", [("DHCP", {"XCATBYPASS": "1"}), ("DNS", None)])
def test_service_node_that_is_down_does_not_keep_dhcp_from_being_made(monkeypatch, maker, env):
    made = []
    for name, value in (("skip_reason", ""), ("running_units", ["a.service"]), ("table", []),
                        ("servers_of", {"a.service": {}})):
        monkeypatch.setattr(xcatha, name, lambda *_, value=value: value)
    monkeypatch.setattr(xcatha, "run_maker", lambda argv, env=None: made.append((argv, env)))
    xcatha.start_dns_or_dhcp(maker, {}, True, False, None)
    assert made[0] == ([xcatha.MAKERS[maker], "-n"], env)
    assert made[1:] == ([(["makedhcp", "-a", "-l"], None)] if maker == "DHCP" else [])
