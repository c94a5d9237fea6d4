"""A setup fails after the copy, the node works on: the next setup takes its newest data."""

import json
import signal

import pytest

from tests.fakes.lines import DEACTIVATE, SETUP
from tests.fakes.test_refusals import changed

CHDEF = "/opt/xcat/bin/chdef -t site -o clustersite".split()
AFTER_THE_COPY = "lsxcatd -a"


def write(node, path, text):
    node.succeed("tee", path, input=text)


@pytest.fixture
def retried(node):
    """A management node whose first setup failed, which then worked on, and was set up again."""
    node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    for name in ("kept", "changed", "removed"):
        write(node, f"/install/{name}", "old\n")
    node.plan("FAIL_ON", AFTER_THE_COPY)
    node.xcatha(*SETUP, code=1)
    node.heal()
    write(node, "/install/changed", "new\n")
    write(node, "/install/added", "new\n")
    node.succeed("rm", "/install/removed")
    node.succeed(*CHDEF, "domain=newest.test")
    node.xcatha(*SETUP)
    return node


@pytest.mark.timeout(120)
def test_newest_data_is_on_the_share(retried):
    files = {file.name: file.read_text() for file in (retried.share / "install").iterdir()
             if file.is_file()}
    assert files == {"kept": "old\n", "changed": "new\n", "added": "new\n"}
    rows = json.loads((retried.share / "var/lib/pgsql/data/tables.json").read_text())
    assert rows["site"]["domain"] == "newest.test"


@pytest.mark.timeout(120)
def test_what_was_written_through_the_links_of_a_killed_setup_is_kept(node):
    """The rerun copies this node's own directory again; what it lacks is moved aside."""
    node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    write(node, "/install/image", "old\n")
    node.plan("SIGKILL_ON", AFTER_THE_COPY)
    assert node.run(*node.script(*SETUP)).returncode == -signal.SIGKILL
    node.heal()
    write(node, "/install/image", "newer\n")
    write(node, "/install/added", "new\n")
    node.xcatha(*SETUP)
    aside = node.share / "install.xcatha-partial.old"
    assert {file.name: file.read_text() for file in aside.iterdir()} == {
        "image": "newer\n", "added": "new\n"}
    assert (node.share / "install/image").read_text() == "old\n"
    assert "left over from an earlier setup" in node.xcatha("--status", code=3).stdout


# ---- The database was being switched when setup was killed -----------------------------------

SWITCHING = "/var/lib/xcatha/switching"


def kill_setup_at(node, command):
    """Kill the setup of a management node when it runs this command."""
    node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    node.succeed(*CHDEF, "domain=newest.test")
    node.plan("SIGKILL_ON", command)
    assert node.run(*node.script(*SETUP)).returncode == -signal.SIGKILL
    node.heal()


@pytest.fixture
def half_switched(node):
    """A management node whose setup was killed; cfgloc names PostgreSQL, without its tables."""
    kill_setup_at(node, "pgsqlsetup")
    node.succeed("systemctl", "stop", "xcatd")  # as the tool does before it changes anything
    write(node, "/etc/xcat/cfgloc", "Pg:dbname=xcatdb;host=10.5.106.50|xcatadm|cluster\n")
    return node


def domain_on_the_share(node):
    return json.loads((node.share / "var/lib/pgsql/data/tables.json").read_text())[
        "site"]["domain"]


@pytest.mark.parametrize("line", [SETUP, DEACTIVATE])
def test_way_in_for_the_tool_does_not_outlive_its_killed_switch(half_switched, line):
    access = half_switched.path("/var/lib/pgsql/data/pg_hba.conf")
    rule = "local all postgres trust  # xcatha.py"
    assert rule in access.read_text()
    half_switched.xcatha(*line)
    assert rule not in access.read_text()
    shared = half_switched.share / "var/lib/pgsql/data/pg_hba.conf"
    assert not shared.exists() or rule not in shared.read_text()


def test_way_in_for_the_tool_is_not_put_back_where_the_next_run_fails(half_switched):
    half_switched.plan("FAIL_ON", "pgsqlsetup")
    half_switched.xcatha(*SETUP, code=1)
    assert "xcatha.py" not in half_switched.path("/var/lib/pgsql/data/pg_hba.conf").read_text()


@pytest.mark.timeout(120)
def test_tool_that_still_works_is_ended_and_the_switch_begins_anew(half_switched):
    half_switched.succeed("install", "-m", "755", "/dev/stdin", "/root/pgsqlsetup",
                          input="#!/bin/sh\nwhile sleep 1; do :; done\n")
    half_switched.succeed(
        "sh", "-c", "setsid /root/pgsqlsetup >/dev/null 2>&1 9>>/run/xcatha.commands &")
    half_switched.xcatha(*SETUP)
    assert domain_on_the_share(half_switched) == "newest.test"
    assert half_switched.run("pgrep", "-f", "/root/pgsqlsetup").returncode == 1
    assert not half_switched.path(SWITCHING).exists()


@pytest.mark.timeout(120)
def test_tables_that_may_have_been_used_since_are_not_switched_again_by_themselves(half_switched):
    half_switched.succeed("touch", "-d", "2 days ago", SWITCHING)
    said = half_switched.xcatha(*SETUP, code=3).stderr
    assert "setup was killed while it switched the database, and xcatd may have run since" in said
    assert f"touch {SWITCHING} && systemctl stop xcatd; then run this again" in said
    half_switched.succeed("touch", SWITCHING)
    half_switched.xcatha(*SETUP)
    assert domain_on_the_share(half_switched) == "newest.test"


@pytest.mark.timeout(120)
def test_cfgloc_with_a_password_that_an_undo_brings_back_is_roots_alone(half_switched):
    half_switched.succeed("chmod", "600", "/etc/xcat/cfgloc")
    half_switched.plan("FAIL_ON", "pgsqlsetup")
    half_switched.xcatha(*SETUP, code=1)
    assert half_switched.succeed("stat", "-c", "%a", "/etc/xcat/cfgloc") == "600\n"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("remedy, domain", [
    ("systemctl stop xcatd", "newest.test"), (f"rm {SWITCHING}", "since.test")])
def test_xcatd_that_has_run_with_the_new_tables_since_then_is_refused(
        half_switched, remedy, domain):
    half_switched.succeed("systemctl", "start", "postgresql", "xcatd")
    half_switched.succeed(*CHDEF, "master=10.5.106.50", "domain=since.test")
    said = half_switched.xcatha(*SETUP, code=3).stderr
    assert "setup was killed while it switched the database, and xcatd may have run since" in said
    assert remedy in said
    half_switched.succeed(*remedy.split())
    half_switched.xcatha(*SETUP)
    assert domain_on_the_share(half_switched) == domain


@pytest.mark.timeout(120)
def test_switch_that_was_killed_before_its_tables_were_compared_is_made_again(node):
    """The xcatd that the tool has started keeps the tables of the killed switch."""
    kill_setup_at(node, "systemctl reload postgresql.service")
    assert node.path("/etc/xcat/cfgloc").read_text().startswith("Pg:")
    node.succeed("systemctl", "start", "xcatd")
    node.succeed(*CHDEF, "domain=lost.test")
    calls = len(node.calls())
    node.xcatha(*SETUP)
    assert domain_on_the_share(node) == "newest.test"
    names = [call[:3] for call in node.calls()[calls:]]
    assert names.index(["systemctl", "stop", "xcatd.service"]) < [
        name[0] for name in names].index("pgsqlsetup")


def test_deactivate_puts_back_what_a_killed_switch_has_left(half_switched):
    said = half_switched.xcatha(*DEACTIVATE).stdout
    assert "cfgloc as before; definitions made since then are dropped" in said
    assert not half_switched.path(SWITCHING).exists()
    cfgloc = half_switched.path("/etc/xcat/cfgloc")
    assert not cfgloc.exists() or not cfgloc.read_text().startswith("Pg:")


@pytest.mark.parametrize("use", [
    ("systemctl", "start", "postgresql", "xcatd"), ("touch", "-d", "2 days ago", SWITCHING)])
def test_deactivate_leaves_tables_that_may_have_been_used_to_the_next_setup(half_switched, use):
    half_switched.succeed(*use)
    half_switched.xcatha(*DEACTIVATE)
    assert half_switched.path(SWITCHING).exists()
    assert half_switched.path("/etc/xcat/cfgloc").read_text().startswith("Pg:")
    assert "touch " + SWITCHING in half_switched.xcatha(*SETUP, code=3).stderr


def test_failed_switch_leaves_no_mark(node):
    node.plan("FAIL_ON", "pgsqlsetup")
    node.xcatha(*SETUP, code=1)
    assert not node.path(SWITCHING).exists()


def test_half_a_cluster_of_an_initdb_that_was_killed_is_moved_aside(node):
    half = "/var/lib/pgsql/.xcatha-new"
    node.succeed("mkdir", "-p", half)
    write(node, half + "/PG_VERSION", "15\n")
    node.xcatha(*SETUP)
    data = node.share / "var/lib/pgsql"
    assert [path.name for path in (data / ".xcatha-new.old").iterdir()] == ["PG_VERSION"]
    assert (data / "data/pg_hba.conf").exists() and not (data / ".xcatha-new").exists()


def test_half_a_cluster_of_an_initdb_that_fails_does_not_stay_among_the_data(node):
    node.plan("FAIL_ON", "runuser -u postgres -- initdb")
    assert "This node is as it was found" in node.xcatha(*SETUP, code=1).stderr
    assert not node.path("/var/lib/pgsql/.xcatha-new").exists()
    assert node.path("/var/lib/xcatha/half-a-cluster").is_dir()
    node.heal()
    node.xcatha(*SETUP)


# ---- xCAT's installer was at work when setup was killed --------------------------------------

INSTALLING = "/var/lib/xcatha/installing"


def test_installer_that_was_killed_runs_again_though_some_of_xcat_is_there(node):
    node.succeed("tee", "/root/killer", input="kill -KILL $PPID\n")
    line = changed(SETUP, "--go-xcat", "/root/killer")
    assert node.run(*node.script(*line)).returncode == -signal.SIGKILL
    node.succeed("mkdir", "-p", "/opt/xcat/sbin")
    write(node, "/opt/xcat/sbin/xcatd", "unpacked, never configured\n")
    assert "xCAT                     installed (2.19)" in node.xcatha(*SETUP).stdout
    assert not node.path(INSTALLING).exists()


def test_failed_installer_is_told_of_with_the_way_on_where_xcat_is_whole(node):
    """go-xcat ends with lsdef: xcatd, which the undo stopped, runs before the second try."""
    node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    node.succeed("mkdir", "-p", "/var/lib/xcatha")
    write(node, INSTALLING, "")
    node.succeed("systemctl", "stop", "xcatd")
    node.succeed("tee", "/root/smoke", input="systemctl is-active xcatd || exit 111\nexit 1\n")
    line = changed(SETUP, "--go-xcat", "/root/smoke")
    said = node.xcatha(*line, code=1).stderr
    assert "smoke failed" in said
    assert ("if xCAT is whole (systemctl start xcatd; lsdef), "
            f"rm {INSTALLING}; then run setup again") in said
    node.succeed("systemctl", "start", "xcatd")
    node.succeed("/opt/xcat/bin/lsdef", "-t", "site", "-o", "clustersite", "-i", "master")
    node.succeed("rm", INSTALLING)
    assert "already installed" in node.xcatha(*line).stdout


@pytest.mark.timeout(120)
def test_installer_of_a_killed_run_ends_by_itself_before_the_next_one_begins(node):
    """Half a transaction is worse than a wait."""
    node.succeed("install", "-m", "755", "/dev/stdin", "/root/rpm",
                 input="#!/bin/sh\nsleep 4\necho whole >/root/transaction\n")
    node.succeed("sh", "-c", "setsid /root/rpm >/dev/null 2>&1 9>>/run/xcatha.commands &")
    said = node.xcatha(*SETUP).stdout
    assert "waiting for an installer that a killed run has left at work: pid" in said
    assert node.succeed("cat", "/root/transaction") == "whole\n"
