"""DNS, DHCP and console server are configured side by side, where that is safe."""

import itertools
import json

import pytest

from tests.bench import timeline
from tests.fakes.lines import ACTIVATE

TABLES = "/HA/var/lib/pgsql/data/tables.json"
MAKERS = ("makedns", "makedhcp -n", "makegocons", "makeconservercf")
ROUNDING = 0.05
SLOW = '#!/bin/sh\nsleep 1\nexec /root/real/{0} "$@"\n'
UNIT = """\
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


def slow_down(node):
    """Each of the makers takes a second more, so that the log shows which were at work together."""
    for name in ("makedns", "makedhcp", "makegocons", "makeconservercf"):
        node.succeed("install", "-D", "-m", "755", "/dev/stdin", f"/opt/xcat/bin/{name}.slow",
                     input=SLOW.format(name))
        node.succeed("sh", "-c", f"mkdir -p /root/real && cd /opt/xcat/bin && mv {name} /root/real/"
                     f" && mv {name}.slow {name}")


def change_tables(node, **rows):
    """Add rows to xCAT's tables on the share."""
    tables = json.loads(node.succeed("cat", TABLES))
    tables.update(rows)
    node.succeed("tee", TABLES, input=json.dumps(tables))


def makers(node):
    """{maker: when it was at work} in the activation of the node."""
    node.succeed("rm", "-f", "/var/log/xcatha.log")
    node.xcatha(*ACTIVATE, env={"TZ": "UTC"})
    log = node.path("/var/log/xcatha.log").read_text()
    return {name: span for span in timeline.commands(log) for name in MAKERS
            if span["what"].startswith(name)}


def together(one, other):
    """True if both were at work at a time; the log's times are rounded."""
    return min(one["ended"], other["ended"]) - max(one["began"], other["began"]) > ROUNDING


@pytest.fixture
def slow(members):
    """A standby whose makers are slow, with a console to configure and a key of OMAPI."""
    node = members[0]
    slow_down(node)
    change_tables(node, nodehm={"cn1": {"cons": "ipmi"}}, passwd={"omapi": {"username": "xcat"}})
    return node


def test_dns_dhcp_and_goconserver_are_configured_together(slow):
    slow.succeed("tee", "/usr/lib/systemd/system/goconserver.service", input=UNIT)
    found = makers(slow)
    assert set(found) == {"makedns", "makedhcp -n", "makegocons"}
    assert all(together(one, other) for one, other in itertools.combinations(found.values(), 2))


def test_conserver_waits_for_the_dns_that_it_asks(slow):
    found = makers(slow)
    assert set(found) == {"makedns", "makedhcp -n", "makeconservercf"}
    assert together(found["makedns"], found["makedhcp -n"])
    assert not together(found["makeconservercf"], found["makedns"])


def test_nothing_is_done_together_while_there_is_no_key_of_omapi(slow):
    change_tables(slow, passwd={})
    found = makers(slow)
    assert set(found) == {"makedns", "makedhcp -n", "makeconservercf"}
    pairs = itertools.combinations(found.values(), 2)
    assert not any(together(one, other) for one, other in pairs)


def test_failure_of_one_is_told_with_its_name_and_leaves_the_others_alone(slow):
    slow.plan("FAIL_ON", "makedhcp -n")
    done = slow.xcatha(*ACTIVATE, code=4)
    assert "ERROR: makedhcp -n failed\n  evidence: exit 1, fake: planned fault\n" in done.stderr
    assert "Active, but not done or not up: DHCP." in done.stderr
    assert "running: named" in done.stdout
