"""What the pair served before begins beside xcatd's start, and again where it read what is old."""

import pytest

from tests.bench import timeline
from tests.bench.side_by_side import change_tables, slow_down
from tests.fakes.lines import ACTIVATE, DEACTIVATE

DNS, DHCP, XCATD = "makedns -n", "makedhcp -n", "systemctl start xcatd.service"


@pytest.fixture
def served(members):
    """A standby that has served DNS and DHCP, and on which each of their makers takes a second."""
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    slow_down(host1, {"makedns": 1, "makedhcp": 1})
    return host1


def activate(node, code=0):
    """The runs of the makers and of xcatd's start in an activation: {command: [when at work]}."""
    node.succeed("rm", "-f", "/var/log/xcatha.log")
    done = node.xcatha(*ACTIVATE, code=code, env={"TZ": "UTC"})
    runs = {command: [] for command in (DNS, DHCP, XCATD)}
    for span in timeline.commands(node.path("/var/log/xcatha.log").read_text()):
        runs.setdefault(span["what"], []).append(span)
    return done, runs


def test_both_makers_begin_before_xcatd_is_up_and_run_once(served):
    _, runs = activate(served)
    for maker in (DNS, DHCP):
        assert len(runs[maker]) == 1
        assert runs[maker][0]["began"] < runs[XCATD][0]["ended"]


def test_they_wait_for_xcatd_where_the_pair_has_not_served_them(members):
    host1, _ = members
    slow_down(host1, {"makedns": 1, "makedhcp": 1})
    _, runs = activate(host1)
    for maker in (DNS, DHCP):
        assert [run["began"] > runs[XCATD][0]["ended"] for run in runs[maker]] == [True]


def test_maker_that_failed_runs_again_and_is_told_of_if_it_fails_again(served):
    served.plan("FAIL_ON", DNS)
    done, runs = activate(served, code=4)
    assert [len(runs[maker]) for maker in (DNS, DHCP)] == [2, 1]
    assert f"ERROR: {DNS} failed\n  evidence: exit 1, fake: planned fault\n" in done.stderr


def test_makers_run_again_where_the_domain_has_changed(served):
    change_tables(served, site={"master": "10.5.106.50", "nameservers": "10.5.106.50",
                                "domain": "new.test"})
    _, runs = activate(served)
    assert [len(runs[maker]) for maker in (DNS, DHCP)] == [2, 2]
    assert "hamn.new.test" in served.path("/etc/hosts").read_text()


def test_dns_that_is_elsewhere_by_now_does_not_run_here(served):
    change_tables(served, site={"master": "10.5.106.50", "nameservers": "10.5.106.50",
                                "domain": "cluster.test", "externaldns": "1"})
    done, _ = activate(served)
    assert "skipped: site.externaldns is set" in done.stdout
    assert served.run("systemctl", "is-active", "named").stdout == "inactive\n"


def test_dry_run_announces_each_maker_once(served):
    said = served.xcatha(*ACTIVATE, "--dryrun").stdout
    assert [said.count(f": {maker}\n") for maker in (DNS, DHCP)] == [1, 1]


def test_maker_that_a_killed_run_left_behind_is_ended_by_deactivate(served):
    served.succeed("install", "-m", "755", "/dev/stdin", "/root/makedns",
                   input="#!/bin/sh\nwhile sleep 1; do :; done\n")
    served.succeed("sh", "-c", "setsid /root/makedns >/dev/null 2>&1 &")
    assert "makedns (pid" in served.xcatha("--status", code=1).stdout
    served.xcatha(*DEACTIVATE)
    assert served.xcatha("--status", code=3).stdout.endswith("host1: standby\n")


def test_makers_of_a_killed_run_run_again_though_their_servers_run(served):
    served.plan("SIGKILL_ON", "makedhcp -a")
    served.run(*served.script(*ACTIVATE))
    served.heal()
    before = len(served.calls())
    served.xcatha(*ACTIVATE)
    again = [" ".join(call) for call in served.calls()[before:]]
    assert {"makedns -n", "makedhcp -n", "makedhcp -a -l"} <= set(again)


def test_run_that_was_undone_has_let_go_of_the_lease(members, served):
    _, host2 = members
    host2.plan("FAIL_ON", XCATD)
    host2.xcatha(*ACTIVATE, code=1)
    done = served.xcatha(*ACTIVATE)
    assert "did not stand by" not in done.stderr and "watching" not in done.stdout


def test_xcatd_that_does_not_start_undoes_what_the_makers_have_started(served):
    before = served.picture()
    served.plan("FAIL_ON", XCATD)
    done, runs = activate(served, code=1)
    assert [len(runs[maker]) for maker in (DNS, DHCP)] == [1, 1]
    assert "This node is as it was found." in done.stderr
    assert served.run("systemctl", "is-active", "named", "dhcpd").stdout == "inactive\n" * 2
    assert [change for change in served.changes_since(before) if "/etc/hosts" in change] == []


def test_failover_goes_on_where_the_tables_cannot_be_changed(served):
    change_tables(served, site={"master": "10.5.106.4", "nameservers": "10.5.106.50",
                                "domain": "cluster.test"})
    served.plan("FAIL_ON", "chdef -t site -o clustersite master=10.5.106.50")
    done, runs = activate(served, code=4)
    assert "not done or not up: Master and networks." in done.stderr
    assert [len(runs[maker]) for maker in (DNS, DHCP)] == [2, 2]
    assert served.run("systemctl", "is-active", "named", "xcatd").stdout == "active\n" * 2


def test_failover_goes_on_where_xcat_does_not_tell_its_site_table(served):
    served.plan("FAIL_ON", "tabdump site")
    done, runs = activate(served, code=4)
    assert "evidence: exit 1, fake: planned fault" in done.stderr
    assert "not done or not up: DNS, DHCP and console server (xCAT did not answer)." in (
        done.stderr)
    assert served.run("systemctl", "is-active", "named", "xcatd").stdout == "active\n" * 2
    served.heal()
    served.xcatha(*ACTIVATE)
    assert served.xcatha("--status").stdout.endswith("host1: active\n")
