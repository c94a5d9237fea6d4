"""xCAT's packages are upgraded on a pair: which node first, what becomes of the shared files."""
import json
import re

import pytest

from tests.lab.packages import NEW, OLD, Deb, Rpm, packaged_lab
from tests.lab.pair import Pair, xcat

POSTSCRIPT = "/install/postscripts/syslog"


@pytest.fixture(params=[Rpm, pytest.param(Deb, marks=pytest.mark.long)], ids=["rpm", "deb"])
def packages(request):
    return request.param


@pytest.fixture
def pair(packages):
    """A pair from packages whose host2 is active; the repositories have the new version.

    The standby is the node whose tables were moved to the database server.
    """
    with packaged_lab(packages) as lab:
        pair = Pair(lab, packages.engine)
        for host in lab.hosts:
            packages.release(host)
        pair.activate(lab.host2)
        yield pair


def version_of(host, path):
    return re.search(r"of xCAT (\S+)", host.succeed("cat", path)).group(1)


def shared_files(pair):
    """The share's files but for the database's, with the time at which each last changed."""
    return pair.lab.host1.succeed("find", "/HA/install", "/HA/tftpboot", "/HA/etc/xcat",
                                  "-type", "f", "-printf", "%p %C@\n")


def upgrade(packages, host):
    host.succeed(*packages.upgrade, env={"DEBIAN_FRONTEND": "noninteractive"})


def status(host):
    result = host.run("python3", "xcatha.py", "--status", "--json")
    return result.returncode, json.loads(result.stdout)


def package_notes(view):
    return [note for note in view["notes"] if "xCAT, which was upgraded" in note["note"]]


def upgraded_by(host):
    """The row that the upgrade leaves in the tables: which version, on which host."""
    return re.search(r"upgraded=(.*)", xcat(host, "lsdef", "-t", "site", "-i", "upgraded")).group(1)


def test_active_node_first_upgrades_shared_files_and_tables_once(packages, pair):
    standby, active = pair.lab.hosts
    upgrade(packages, active)
    pair.activate(active)
    assert version_of(active, POSTSCRIPT) == NEW and upgraded_by(active) == f"{NEW} on hamn"
    problem, = status(active)[1]["problems"]
    assert problem["problem"] == "xcat differs: 2.20 here, 2.19 on host1"
    assert problem["fix"].startswith("upgrade the older node")

    before = shared_files(pair)
    upgrade(packages, standby)
    pair.setup(standby)
    assert shared_files(pair) == before and upgraded_by(active) == f"{NEW} on hamn"
    code, view = status(standby)
    assert (code, view["problems"]) == (3, [])

    pair.deactivate(active)
    pair.activate(standby)
    code, view = status(standby)
    assert (code, view["problems"], package_notes(view)) == (0, [], [])
    assert version_of(standby, POSTSCRIPT) == NEW


def test_standby_first_leaves_shared_files_old_and_status_names_the_remedy(packages, pair):
    upgraded, other = pair.lab.hosts
    upgrade(packages, upgraded)
    pair.deactivate(other)
    pair.activate(upgraded)
    assert version_of(upgraded, POSTSCRIPT) == OLD
    note, = package_notes(status(upgraded)[1])
    assert note["note"].startswith("/install/p") and "mknb" in note["fix"]

    upgraded.succeed("bash", "-lc", note["fix"])
    assert package_notes(status(upgraded)[1]) == []
    assert {version_of(upgraded, path) for path in (
        POSTSCRIPT, "/install/prescripts/sample", "/tftpboot/xcat/genesis.fs.x86_64")} == {NEW}
    assert upgraded_by(upgraded) == f"{NEW} on hamn"
