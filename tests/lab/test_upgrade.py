"""xCAT's packages are upgraded on a pair: which node first, what becomes of the shared files."""
import json
import re

import pytest

from tests.lab.packages import NEW, OLD, Deb, Rpm, packaged_lab
from tests.lab.pair import Pair, xcat

POSTSCRIPT = "/install/postscripts/syslog"


@pytest.fixture(params=[Rpm, Deb], ids=["rpm", "deb"])
def packages(request):
    return request.param


@pytest.fixture
def pair(packages):
    """A pair from packages whose host1 is active; the repositories have the new version."""
    with packaged_lab(packages) as lab:
        pair = Pair(lab, packages.engine)
        for host in lab.hosts:
            packages.release(host)
        pair.activate(lab.host1)
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
    host1, host2 = pair.lab.hosts
    upgrade(packages, host1)
    pair.activate(host1)
    assert version_of(host1, POSTSCRIPT) == NEW and upgraded_by(host1) == f"{NEW} on hamn"
    problem, = status(host1)[1]["problems"]
    assert problem["problem"] == "xcat differs: 2.20 here, 2.19 on host2"
    assert problem["mend"].startswith("upgrade the older node")

    before = shared_files(pair)
    upgrade(packages, host2)
    pair.setup(host2)
    assert shared_files(pair) == before and upgraded_by(host1) == f"{NEW} on hamn"
    assert status(host2)[1]["problems"] == []

    pair.deactivate(host1)
    pair.activate(host2)
    code, view = status(host2)
    assert (code, view["problems"], package_notes(view)) == (0, [], [])
    assert version_of(host2, POSTSCRIPT) == NEW


def test_standby_first_leaves_shared_files_old_and_status_names_the_remedy(packages, pair):
    host1, host2 = pair.lab.hosts
    upgrade(packages, host2)
    pair.deactivate(host1)
    pair.activate(host2)
    assert version_of(host2, POSTSCRIPT) == OLD
    note, = package_notes(status(host2)[1])
    assert note["note"].startswith("/install/p") and "mknb" in note["mend"]

    host2.succeed("bash", "-lc", note["mend"])
    assert package_notes(status(host2)[1]) == []
    assert {version_of(host2, path) for path in (
        POSTSCRIPT, "/install/prescripts/sample", "/tftpboot/xcat/genesis.fs.x86_64")} == {NEW}
    assert upgraded_by(host2) == f"{NEW} on hamn"
