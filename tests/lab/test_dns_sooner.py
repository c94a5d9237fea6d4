"""DNS and DHCP do not wait for xcatd, with commands that take as long as the real ones.

The times are those of xCAT 2.19 on a loaded machine, with the daemon and past it.
"""
import json
import lzma
import pathlib

import pytest

from tests.bench import timeline
from tests.lab.lab import PRODUCT, Lab
from tests.lab.pair import DOMAIN, VIP, Pair, cluster_lab, xcat

TIMES = {"xcatd": [4.4], "makedns -n": [4.4, 5.8], "makedhcp -n": [3.8, 5.4],
         "makedhcp -a": [1.7, 4.5], "makedhcp -a -l": [1.7, 4.5]}
# What each of them cannot do without, one after the other, from the database on.
CHAINS = {"xcatd": 4.4, "named": 5.8, "isc-dhcp-server": 5.4 + 1.7}
MORE = 1.5
# The script as it was when all of them waited for xcatd.
OLD = pathlib.Path(__file__).parents[1] / "data/xcatha-of-format-1.py.xz"


@pytest.fixture(scope="module")
def pair():
    """A pair that has served DNS and DHCP; host1 is active."""
    with cluster_lab() as lab:
        pair = Pair(lab, "postgresql")
        pair.activate(lab.host1)
        for host in lab.hosts:
            host.succeed("tee", "/opt/xcat/times.json", input=json.dumps(TIMES))
        yield pair


def up_after_the_database(host):
    """{unit: the seconds from the start of the database to that of the unit}, by systemd."""
    out = host.succeed("systemctl", "show", "--property=Id,ActiveEnterTimestampMonotonic",
                       "postgresql.service", *(f"{unit}.service" for unit in CHAINS))
    blocks = [dict(line.split("=") for line in block.splitlines()) for block in out.split("\n\n")]
    moments = {block["Id"].removesuffix(".service"): int(block["ActiveEnterTimestampMonotonic"])
               for block in blocks}
    began = moments.pop("postgresql")
    return {unit: (moment - began) / 1e6 for unit, moment in moments.items()}


def test_makers_begin_before_xcatd_is_up(pair):
    host1, host2 = pair.lab.hosts
    pair.deactivate(host1)
    pair.activate(host2)
    runs = {run["what"]: run for run in timeline.commands(
        host2.succeed("cat", "/var/log/xcatha.log"))}
    up = runs["systemctl start xcatd.service"]["ended"]
    assert [maker for maker in ("makedns -n", "makedhcp -n") if runs[maker]["began"] > up] == []
    pair.deactivate(host2)
    pair.activate(host1)


@pytest.mark.long
def test_dns_dhcp_and_xcatd_are_each_away_for_their_own_chain(pair, record_property):
    pair.deactivate(pair.lab.host1)
    said = pair.activate(pair.lab.host2)
    took = up_after_the_database(pair.lab.host2)
    record_property("told", ", ".join(f"{unit} {took[unit]:.1f} s" for unit in CHAINS))
    assert {unit: f"{seconds:.1f} s" for unit, seconds in took.items()
            if seconds > CHAINS[unit] + MORE} == {}, said


@pytest.mark.long
def test_names_are_those_of_the_tables_as_they_are_by_now(pair):
    """The makers that began beside xcatd's start are not believed where what they read is old."""
    host = pair.lab.host2
    xcat(host, "chdef", "-t", "site", f"domain=new.{DOMAIN}")
    pair.deactivate(host)
    pair.activate(pair.lab.host1)
    assert pair.lab.client.dig(f"hamn.new.{DOMAIN}", VIP) == [VIP]


@pytest.mark.long
def test_dns_that_is_elsewhere_by_now_does_not_run_here(pair):
    host = pair.lab.host1
    xcat(host, "chdef", "-t", "site", "externaldns=1")
    pair.deactivate(host)
    said = pair.activate(pair.lab.host2)
    assert "skipped: site.externaldns is set" in said
    assert pair.lab.host2.run("systemctl", "is-active", "named").stdout == "inactive\n"


@pytest.mark.long
def test_how_much_sooner(record_property):
    """A planned failover by the older script and one by this, on the same hosts."""
    with Lab() as lab:
        pair, (host1, host2) = Pair(lab, "postgresql"), lab.hosts
        for host in lab.hosts:
            host.succeed("tee", "/root/xcatha.py", input=lzma.decompress(
                OLD.read_bytes()).decode())
            pair.setup(host)
        pair.activate(host1)
        xcat(host1, "chdef", "-t", "site", f"domain={DOMAIN}")
        for host in lab.hosts:
            host.succeed("tee", "/opt/xcat/times.json", input=json.dumps(TIMES))
        before = failover(pair, host1, host2)
        for host in lab.hosts:
            host.succeed("tee", "/root/xcatha.py", input=PRODUCT.read_text())
        failover(pair, host2, host1)  # which records what is served
        after = failover(pair, host1, host2)
    record_property("told", "after the database, before and now: " + ", ".join(
        f"{unit} {before[unit]:.1f} s, {after[unit]:.1f} s" for unit in CHAINS))
    assert after["named"] < 0.8 * before["named"]
    assert after["isc-dhcp-server"] < 0.9 * before["isc-dhcp-server"]


def failover(pair, old, new):
    """Have the other host take over; {unit: the seconds after the database until it was up}."""
    pair.deactivate(old)
    pair.activate(new)
    return up_after_the_database(new)
