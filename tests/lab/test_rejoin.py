"""A node that is rebuilt, or replaced by another one, joins while the other node serves."""
import json
import time

import pytest

from tests.lab import judge
from tests.lab.lab import Lab
from tests.lab.pair import (
    ACTIVATE,
    DEACTIVATE,
    SETUP,
    TREES,
    VIP,
    cluster_lab,
    write_trees,
    xcat,
)
from tests.lab.starts import database_directories, rebuild
from tests.lab.watch import Watch

SETUP_LINE = SETUP.format(path="/HA", engine="postgresql").split()
ACTIVATE_LINE = ACTIVATE.format(path="/HA", engine="postgresql").split()
DEACTIVATE_LINE = DEACTIVATE.split()
NODES = "/HA/.xcatha/nodes"
BLINK = 1.0  # seconds: longer than the client ever waits for an answer of an undisturbed node


class Joining:
    """A host with an empty disk is set up while the other one serves the client."""

    def __init__(self, lab, serving, joining):
        self.lab, self.serving, self.joining = lab, serving, joining
        before, watch = judge.picture(serving), Watch(lab.client, VIP)
        watch.wait_for_all()
        began = time.time()
        self.output = joining.succeed(*SETUP_LINE)
        watch.wait_for_all()
        self.gaps = watch.longest_gaps(began)
        watch.stop()
        self.changed = judge.differences(before, judge.picture(serving))
        self.left = (judge.holders(lab), database_directories(joining),
                     judge.links_into_share(joining))

    def fail_over(self):
        """The first activation of the node that has joined."""
        xcat(self.serving, "chdef", "-t", "node", "-o", "cn7", "groups=all")
        write_trees(self.serving, self.joining.name)
        self.files = judge.files(self.serving, *TREES)
        self.serving.succeed(*DEACTIVATE_LINE)
        self.joining.succeed(*ACTIVATE_LINE)


@pytest.fixture(scope="module")
def rebuilt():
    """host1 has lost power and then its disk while host2 is active."""
    with cluster_lab() as lab:
        lab.host2.succeed(*ACTIVATE_LINE)
        lab.host1.power_off()
        rebuild(lab, lab.host1)
        yield Joining(lab, lab.host2, lab.host1)


@pytest.fixture(scope="module")
def replaced(rebuilt):
    """host1 is active; host2 is dead, and host3 stands in its place, with another address."""
    rebuilt.fail_over()
    lab = rebuilt.lab
    lab.host2.power_off()
    rebuild(lab, lab.host2, "host3", "10.5.106.6")
    return Joining(lab, lab.host1, lab.host2)


@pytest.fixture(scope="module", params=["rebuilt", "replaced"])
def joined(request):
    return request.getfixturevalue(request.param)


def test_setup_says_that_the_active_node_was_not_disturbed(joined):
    assert f"{joined.serving.name} is active and was not disturbed." in joined.output


def test_nothing_changes_on_the_active_node(joined):
    assert [name for name in joined.changed if not name.startswith(NODES)] == []


def test_client_misses_nothing(joined):
    assert {name: gap for name, gap in joined.gaps.items() if gap > BLINK} == {}


def test_node_that_joins_is_a_standby(joined):
    assert joined.left == ([joined.serving.name], set(), [])


def test_node_that_joins_is_recorded(joined):
    node = json.loads((joined.lab.share / f".xcatha/nodes/{joined.joining.name}.json").read_text())
    assert node["address"] == joined.joining.address


@pytest.fixture(scope="module")
def replacement_active(replaced):
    replaced.fail_over()
    return replaced


def test_first_activation_serves_the_data(replacement_active):
    pair = replacement_active
    assert judge.holders(pair.lab) == ["host3"]
    assert database_directories(pair.joining) == {"/HA/var/lib/pgsql/data"}
    assert "cn7" in xcat(pair.joining, "lsdef")
    assert judge.differences(pair.files, judge.files(pair.joining, *TREES)) == {}


def test_first_activation_lets_the_node_into_the_policy(replacement_active):
    assert '"host3",,,,,,"trusted"' in xcat(replacement_active.joining, "tabdump", "policy")


# ---- A directory that is shared otherwise ----

EXCLUDED = ["--exclude", "/install"]


@pytest.fixture(scope="module")
def excluded():
    """/install is a mount of one directory on both hosts; the pair has moved to host2."""
    with Lab() as lab:
        (lab.share / "elsewhere").mkdir()
        for host in lab.hosts:
            host.succeed("mkdir", "/install")
            host.succeed("mount", "--bind", "/HA/elsewhere", "/install")
            host.succeed(*SETUP.format(path="/HA", engine="sqlite").split(), *EXCLUDED)
        activate = ACTIVATE.format(path="/HA", engine="sqlite").split()
        lab.host1.succeed(*activate)
        lab.host1.succeed("tee", "/install/new", input="by host1")
        lab.host1.succeed(*DEACTIVATE_LINE)
        lab.host2.succeed(*activate)
        yield lab


def test_excluded_directory_stays_a_mount_on_both_hosts(excluded):
    for host in excluded.hosts:
        host.succeed("mountpoint", "/install")
    assert not (excluded.share / "install").exists()


def test_the_other_directories_are_links(excluded):
    assert set(judge.links_into_share(excluded.host2)) >= {"/etc/xcat", "/root/.xcat", "/tftpboot"}


def test_files_of_the_excluded_directory_are_there(excluded):
    assert excluded.host2.succeed("cat", "/install/new") == "by host1"
