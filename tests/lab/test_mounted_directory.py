"""A directory that is a filesystem of its own on a node: copied from where it is mounted.

/install is a tmpfs by fstab, as it would be a logical volume elsewhere; the node serves already.
"""
import json

import pytest

from tests.fakes.announcements import compare, misplaced
from tests.lab import judge
from tests.lab.lab import Lab
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, Pair, xcat
from tests.lab.starts import database_directories, install_xcat, move_to_postgresql
from tests.lab.test_dismantle import chapter, type_in
from tests.lab.test_dryrun import Stage
from tests.shortened import shortened

FSTAB = "tmpfs /install tmpfs size=100m 0 0\n"
NO_LINK = "[Service]\nExecStartPre=/usr/bin/test ! -L /install\n"
TREE = "/install/tree"
LINE = SETUP.format(path="/HA", engine="sqlite").split()
STATUS = "python xcatha.py --status"
FILL = "mkdir -p $0/below && cd $0 && seq 10000 >file && ln file below/hard-link && ln -s file link"


def tree(host, top=TREE):
    """What the tree holds, by the names that it has below /install."""
    return json.loads(json.dumps(judge.files(host, top)).replace(top, TREE))


def mounted(host):
    return host.run("findmnt", "-n", "-o", "FSTYPE", "--mountpoint", "/install").stdout.strip()


def mount_install(host):
    """A node that serves, whose /install is mounted at boot."""
    host.succeed("sh", "-c", "mkdir -p /install && cat >>/etc/fstab", input=FSTAB)
    host.succeed("mount", "/install")
    install_xcat(host)
    host.succeed("sh", "-c", FILL, TREE)


class Mounted:
    """A node before, during and after its setup with a filesystem at /install."""

    def __init__(self, lab):
        self.lab, self.one = lab, lab.host1
        (self.one.root / "root/xcatha.py").write_text(shortened(SERVICE_LIMIT=8))
        mount_install(self.one)
        self.before = tree(self.one)
        self.one.succeed("install", "-D", "/dev/stdin",
                         "/etc/systemd/system/xcatd.service.d/test.conf", input=NO_LINK)
        self.one.succeed("systemctl", "daemon-reload")
        self.failed = self.one.run(*LINE)
        self.after_failure = mounted(self.one), tree(self.one)
        self.one.succeed("rm", "/etc/systemd/system/xcatd.service.d/test.conf")
        self.one.succeed("systemctl", "daemon-reload")
        self.dry = self.one.succeed(*LINE, "--dryrun")
        start = len(Stage.log_of(self.one))
        self.done = self.one.run(*LINE)
        self.log = Stage.log_of(self.one)[start:]
        self.status = self.one.run(*STATUS.split())


@pytest.fixture(scope="module")
def node():
    with Lab() as lab:
        yield Mounted(lab)


def test_failed_setup_mounts_it_again(node):
    assert node.failed.returncode == 1 and "NOT as it was found" not in node.failed.stderr
    assert node.after_failure == ("tmpfs", node.before)


def test_setup_announces_and_makes_the_same_changes(node):
    assert node.done.returncode == 0, node.one.report(node.done)
    assert compare(node.dry, node.log) == ([], []) and misplaced(node.dry, node.log) == []
    assert "would run: umount /install" in node.dry


def test_files_are_copied_from_the_mount(node):
    assert tree(node.one, "/HA/install/tree") == node.before


def test_files_are_still_there_until_the_next_boot(node):
    assert "until the next boot its files are in /run/xcatha/mounted/install" in node.done.stderr
    assert tree(node.one, "/run/xcatha/mounted/install/tree") == node.before


def test_what_is_left_to_do_is_named_and_fixes_it(node):
    remedy = "sed -i '2s/^/#/' /etc/fstab && systemctl daemon-reload"
    fstab = node.one.succeed("cat", "/etc/fstab").splitlines()
    remedy = remedy.replace("2s", f"{fstab.index(FSTAB.strip()) + 1}s")
    assert f"change it: {remedy}" in node.done.stderr
    assert node.status.returncode == 1 and f"  fix: {remedy}" in node.status.stdout
    node.one.succeed("sh", "-c", remedy)
    node.one.fail(*STATUS.split(), code=3)


def test_empty_directory_below_is_not_taken_for_the_data(node):
    """The share was lost, and setup runs again on a node whose /install is no longer mounted."""
    node.one.succeed("sh", "-c", "mkdir /HA/old && mv /HA/.xcatha /HA/[eirtv]* /HA/old")
    said = node.one.fail(*LINE, code=3).stderr
    assert "/HA holds nothing of this node's pair" in said and "Dismantling a pair" in said
    type_in(node.one, chapter()[1])
    said = node.one.fail(*LINE, code=3).stderr
    assert "/install is empty" in said
    remedy = said.partition("  next: ")[2].splitlines()[0]
    assert remedy == "mount --bind /run/xcatha/mounted/install /install"
    node.one.succeed(*remedy.split())
    node.one.succeed(*LINE)
    assert tree(node.one, "/HA/install/tree") == node.before


def test_node_serves_from_the_share_after_a_boot(node):
    node.one.reboot()
    assert mounted(node.one) == ""
    node.one.succeed(*ACTIVATE.format(path="/HA", engine="sqlite").split())
    assert tree(node.one) == node.before
    node.one.succeed(*DEACTIVATE.split())


def test_second_node_whose_directory_is_mounted_joins_and_serves(node):
    two = node.lab.host2
    mount_install(two)
    two.succeed(*LINE)
    two.succeed("sh", "-c", "sed -i '/install/d' /etc/fstab && systemctl daemon-reload")
    two.succeed(*ACTIVATE.format(path="/HA", engine="sqlite").split())
    assert tree(two) == node.before


def test_data_of_postgresql_that_are_a_filesystem_of_their_own_are_shared_alone():
    data = "/var/lib/pgsql/data"
    with Lab() as lab:
        one, two = lab.hosts
        one.succeed("sh", "-c", f"echo 'tmpfs {data} tmpfs mode=0700 0 0' >>/etc/fstab && "
                    f"mount {data} && chown postgres: {data}")
        install_xcat(one)
        move_to_postgresql(one)
        xcat(one, "chdef", "-t", "site", "domain=mounted.test")
        pair = Pair(lab, "postgresql")
        pair.setup(one)
        one.succeed("sed", "-i", f"\\:{data}:d", "/etc/fstab")
        pair.setup(two)
        for host in (two, one):
            pair.activate(host)
            assert "mounted.test" in xcat(host, "lsdef", "-t", "site", "-i", "domain")
            assert host.succeed("readlink", data).strip() == f"/HA{data}"
            assert database_directories(host) == {f"/HA{data}"}
            pair.deactivate(host)
