"""What configures DNS, DHCP and consoles, made slow on fakes: what is done together?"""
import json

from tests.bench import timeline
from tests.bench.copying import directory
from tests.fakes.lines import ACTIVATE, SETUP
from tests.fakes.node import cluster

TABLES = "/HA/var/lib/pgsql/data/tables.json"
SECONDS = {"makedns": 5, "makedhcp": 7, "makegocons": 3, "makeconservercf": 3}
# makedhcp is run twice, to write its configuration and to add the nodes: the first is the slow one.
SLOW = '#!/bin/sh\n[ "$1" = -a ] || sleep {}\nexec /root/real/{} "$@"\n'
GOCONSERVER = """\
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


def slow_down(node, seconds):
    """Each of the tools takes so many seconds more."""
    node.succeed("mkdir", "/root/real")
    for name, more in seconds.items():
        node.succeed("mv", f"/opt/xcat/bin/{name}", "/root/real")
        node.succeed("install", "-m", "755", "/dev/stdin", f"/opt/xcat/bin/{name}",
                     input=SLOW.format(more, name))


def change_tables(node, **rows):
    """Set whole tables of xCAT's on the share."""
    tables = json.loads(node.succeed("cat", TABLES))
    node.succeed("tee", TABLES, input=json.dumps({**tables, **rows}))


def need_all(node):
    """A console is to be configured, and the key of OMAPI is there."""
    change_tables(node, nodehm={"cn1": {"cons": "ipmi"}}, passwd={"omapi": {"username": "xcat"}})


def install_goconserver(node):
    """The usual console server, in place of conserver."""
    node.succeed("tee", "/usr/lib/systemd/system/goconserver.service", input=GOCONSERVER)


def at_work(node):
    """{command: when it was at work} of the tools, in the activation of the node."""
    node.succeed("rm", "-f", "/var/log/xcatha.log")
    node.xcatha(*ACTIVATE, env={"TZ": "UTC"})
    log = node.path("/var/log/xcatha.log").read_text()
    return {span["what"]: span for span in timeline.commands(log)
            if span["what"].split()[0] in SECONDS}


def phase(prepare):
    """The tools of an activation on a node prepared like this, and how long all of them took."""
    with directory() as home, cluster(home / "nodes") as (node,):
        node.xcatha(*SETUP)
        slow_down(node, SECONDS)
        need_all(node)
        prepare(node)
        tools = at_work(node)
    began = min(span["began"] for span in tools.values())
    return {"tools": tools, "took": max(span["ended"] for span in tools.values()) - began}


def measure():
    """With each console server, and while there is no key of OMAPI."""
    return {"goconserver": phase(install_goconserver), "conserver": phase(lambda node: None),
            "no key of OMAPI": phase(lambda node: change_tables(node, passwd={}))}
