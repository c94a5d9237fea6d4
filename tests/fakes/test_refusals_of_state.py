"""Exit 3 for what a node or the share is: every check's refusal, and the remedy that it names."""

import json
import re

import pytest

from tests.fakes.lines import ACTIVATE, SETUP
from tests.fakes.node import ADDRESSES
from tests.fakes.test_refusals import IP, changed, refused

RECORD = {"format": 2, "state": "standby", "host": "host2", "since": "today", "lease": None,
          "vip": "10.5.106.50", "netmask": "255.0.0.0", "host_name": "hamn", "dbtype": "postgresql"}


def write_record(node, **changes):
    """A record on the share as an earlier run could have left it."""
    node.succeed("mkdir", "-p", "-m", "700", "/HA/.xcatha")
    node.path("/HA/.xcatha/cluster.json").write_text(json.dumps(dict(RECORD, **changes)))


def write_cfgloc(node, text):
    """xCAT's database string on a node whose xCAT has been used before."""
    node.succeed("install", "-D", "-m", "600", "/dev/stdin", "/etc/xcat/cfgloc", input=text)


def replace_tool(node, name, text):
    """The tool of this name is another program, or gone where text is empty."""
    place = node.succeed("sh", "-c", f"command -v {name}").strip()
    node.succeed("mv", place, place + ".away")
    if text:
        node.succeed("install", "-m", "755", "/dev/stdin", place, input=text)


def test_nic_without_an_address(node):
    node.succeed(IP, "address", "flush", "dev", "eth0")
    assert "give the node another address on that NIC" in refused(node, *SETUP)


def test_tool_that_is_missing(node):
    replace_tool(node, "rsync", "")
    said = refused(node, *SETUP)
    assert "not installed: rsync" in said and "install rsync" in said


def test_arping_of_another_kind(node):
    replace_tool(node, "arping", "#!/bin/sh\necho ARPing 2.23, by Thomas Habets\n")
    said = refused(node, *SETUP)
    assert "arping is not that of iputils" in said and "install iputils" in said


def test_share_that_is_too_small(node):
    node.succeed("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/HA")
    node.succeed("mkdir", "/install")
    node.succeed("dd", "if=/dev/urandom", "of=/install/image", "bs=1M", "count=4")
    assert "make room on /HA" in refused(node, *SETUP)


def test_share_that_root_cannot_write_to(node):
    node.succeed("mount", "-t", "proc", "proc", "/HA")
    assert "no_root_squash" in refused(node, *SETUP)


def test_vip_that_is_the_other_nodes_address(members):
    members[0].path("/HA/.xcatha/cluster.json").unlink()
    said = refused(members[0], *changed(SETUP, "-v", ADDRESSES["host2"]))
    assert "is host2's physical address" in said and "choose an address" in said


def test_vip_that_is_this_nodes_own_physical_address(members):
    host1 = members[0]
    host1.path("/HA/.xcatha/cluster.json").unlink()
    host1.succeed("/usr/local/lib/fakes/real/ip", "address", "add", "10.5.107.4/8", "dev", "eth0")
    said = refused(host1, *changed(SETUP, "-v", ADDRESSES["host1"]))
    assert "is host1's physical address" in said and "choose an address" in said


@pytest.mark.parametrize("fact, value", [("os", "sles 15"), ("xcat", "2.16"), ("uid", 4711)])
def test_node_that_differs_from_the_other(members, fact, value):
    host1, _ = members
    path = host1.path("/HA/.xcatha/nodes/host2.json")
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **{fact: value})))
    said = refused(host1, *SETUP)
    assert f"{fact} differs from host2" in said and f"{value} there" in said
    assert "make them alike" in said
    moved = re.search(r"gone for good, move away (\S+)", said).group(1)
    host1.succeed("mv", moved, moved + ".gone")
    host1.xcatha(*SETUP)


def test_engine_that_xcat_has_left(node):
    write_cfgloc(node, "Pg:dbname=xcatdb;host=10.5.106.4|xcatadm|secret\n")
    said = refused(node, *changed(SETUP, "-t", "sqlite"))
    assert "run setup with -t postgresql" in said and "secret" not in said


def test_engine_that_cannot_be_shared(node):
    write_cfgloc(node, "DB2:xcatdb|xcatdb|secret\n")
    said = refused(node, *SETUP)
    assert "move xCAT to postgresql, mysql or sqlite first" in said and "secret" not in said


def test_setup_that_another_node_has_not_finished(node):
    write_record(node, state="setting up")
    said = refused(node, *SETUP)
    assert "setup on host2 is not finished" in said and "run setup there again" in said


@pytest.mark.parametrize("text, remedy", [
    ("{", "restore it from a backup"),
    ("[]", "restore it from a backup"),
    ('{"format": 1}', "restore it from a backup"),
    ('{"format": 2}', "restore it from a backup"),
    ('{"format": 3}', "use the newer xcatha.py on both nodes"),
])
def test_record_that_cannot_be_understood(members, text, remedy):
    members[0].path("/HA/.xcatha/cluster.json").write_text(text)
    assert remedy in refused(members[0], *ACTIVATE)


def test_record_of_a_node_that_cannot_be_understood(members):
    host1, host2 = members
    host1.path("/HA/.xcatha/nodes/host2.json").write_text("{")
    said = refused(host1, *ACTIVATE)
    assert "/HA/.xcatha/nodes/host2.json cannot be read" in said
    host1.succeed("sh", "-c", re.search("next: (mv .*), then run -s on that node", said)[1])
    host2.xcatha(*SETUP)
    host1.xcatha(*ACTIVATE)


def test_share_whose_cfgloc_names_another_database(members):
    members[0].path("/HA/etc/xcat/cfgloc").write_text("")
    said = refused(members[0], *ACTIVATE)
    assert "cfgloc does not name postgresql" in said and "backup" in said


def test_node_without_xcat(members):
    members[0].succeed("mv", "/opt/xcat/sbin/xcatd", "/opt/xcat/sbin/xcatd.away")
    said = refused(members[0], *ACTIVATE)
    assert "xCAT is not installed" in said and "xcatha.py -s" in said


def test_host_that_has_no_name(node):
    node.write("/etc/hostname", "# to be named\n")
    assert "write this host's own name into it" in refused(node, *SETUP)


def test_peer_that_is_not_off(members):
    host1, host2 = members
    host2.xcatha(*ACTIVATE)
    said = host1.xcatha(*ACTIVATE, "--peer-is-off", code=3).stderr
    assert "--peer-is-off refused: host2 is not off" in said and "power it off first" in said


def test_share_that_squashes_root(node):
    node.succeed("bindfs", "--force-user=nobody", "--create-for-user=nobody", "/HA", "/HA")
    said = refused(node, *SETUP)
    assert "squashes root" in said and "no_root_squash" in said
