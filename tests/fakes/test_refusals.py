"""Exit 3: a check that fails refuses the run before the first change and says what to do."""

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import ADDRESSES

IP = "/usr/local/lib/fakes/real/ip"


def refused(node, *argv, **options):
    """Run the script, which must refuse and change nothing; what it says on stderr."""
    before = node.picture()
    done = node.xcatha(*argv, code=3, **options)
    assert not node.changes_since(before)
    assert "Nothing was changed." in done.stderr and "next: " in done.stderr
    return done.stderr


def changed(line, option, value):
    """The command line with another value of an option."""
    place = line.index(option)
    return [*line[: place + 1], value, *line[place + 2 :]]


@pytest.mark.parametrize("path", ["/nowhere", "/opt"])
def test_share_that_is_not_mounted(node, path):
    assert "is it mounted?" in refused(node, *changed(SETUP, "-p", path))


def test_share_that_is_a_file(node):
    node.succeed("tee", "/HA/file", input="no directory")
    said = refused(node, *changed(SETUP, "-p", "/HA/file"))
    assert "the share /HA/file is not there" in said and "Give its path with -p" in said


def test_share_that_is_mounted_read_only(node):
    node.succeed("mount", "-o", "remount,bind,ro", "/HA")
    assert "remount,rw" in refused(node, *SETUP)


def test_nic_that_does_not_exist(node):
    assert "eth9" in refused(node, *changed(SETUP, "-i", "eth9:0"))


def test_nic_that_is_down(node):
    node.succeed(IP, "link", "set", "eth0", "down")
    assert "link set eth0 up" in refused(node, *SETUP)


def test_vip_that_is_the_only_address_of_the_nic(node):
    said = refused(node, *changed(SETUP, "-v", ADDRESSES["host1"]))
    assert "eth0 has no address of its own" in said and "its only address is the VIP" in said
    assert "give the node another address on that NIC" in said


def test_password_that_xcat_does_not_accept(node):
    said = refused(node, *SETUP, env={"XCATPGPW": "not;alphanumeric"})
    assert "XCATPGPW is not alphanumeric" in said and "choose another password" in said
    assert "not;alphanumeric" not in said


@pytest.mark.parametrize("source", ["/root/gone", "http://10.5.106.9/go-xcat"])
def test_go_xcat_that_is_neither_a_file_nor_an_https_address(node, source):
    said = refused(node, *changed(SETUP, "--go-xcat", source))
    assert f"there is no go-xcat at {source}" in said
    assert "give a local copy with --go-xcat FILE" in said


def test_name_in_the_way_on_the_share(node):
    node.succeed("mkdir", "/HA/install")
    said = refused(node, *SETUP)
    assert "/HA/install is in the way" in said and "next: move it away" in said


def test_directory_that_is_a_foreign_link(node):
    node.succeed("ln", "-s", "/srv", "/install")
    said = refused(node, *SETUP)
    assert "/install is a link to /srv" in said
    assert "or add --exclude /install" in said


def test_filesystem_mounted_below_a_directory(node):
    node.succeed("mkdir", "-p", "/install/iso")
    node.succeed("mount", "-t", "tmpfs", "tmpfs", "/install/iso")
    said = refused(node, *SETUP)
    assert "filesystems are mounted below /install" in said and "/install/iso" in said
    assert "next: unmount them" in said


def test_vip_that_another_machine_uses_before_the_first_setup(pair):
    host1, host2 = pair
    host2.succeed(IP, "address", "add", "10.5.106.50/8", "dev", "eth0")
    said = refused(host1, *SETUP)
    assert "10.5.106.50 is used by another machine" in said
    assert "deactivate or power off that machine" in said


def test_all_failed_checks_are_listed(node):
    said = refused(node, *changed(changed(SETUP, "-i", "eth9"), "-p", "/nowhere"))
    assert "eth9" in said and "/nowhere" in said


def test_activate_before_setup(node):
    assert "xcatha.py -s" in refused(node, *ACTIVATE)


def test_second_run_at_the_same_time(node):
    run = ["flock", "/run/xcatha.lock", "/usr/bin/env"]
    before = node.picture()
    done = node.fail(*run, *node.script(*DEACTIVATE), code=3)
    assert "another run of xcatha.py is at work" in done.stderr
    assert "wait for its end" in done.stderr and not node.changes_since(before)


@pytest.mark.parametrize(
    "option, value", [("-v", "10.5.106.51"), ("-m", "255.255.0.0"), ("-t", "sqlite")]
)
def test_option_that_differs_from_the_record(members, option, value):
    assert f"use {option} " in refused(members[0], *changed(ACTIVATE, option, value))


def test_vip_that_another_machine_uses(members):
    host1, host2 = members
    host2.succeed(IP, "address", "add", "10.5.106.50/8", "dev", "eth0")
    before = host1.picture()
    done = host1.xcatha(*ACTIVATE, code=3)
    assert "10.5.106.50 is used by another machine" in done.stderr
    assert "deactivate or power off that machine, then run this again" in done.stderr
    # But for the record, which says that the lease of this run was let go.
    changed = host1.changes_since(before, rewritten=False)
    assert [name for name in changed if not name.startswith(("run/", "HA/.xcatha/cluster"))] == []


def test_setup_of_a_node_with_another_database_version(members):
    host1, host2 = members
    record = host1.path("/HA/.xcatha/nodes/host2.json")
    record.write_text(record.read_text().replace('"15.6"', '"14.1"'))
    assert "14.1" in refused(host1, *SETUP)
    assert "14.1" in host1.xcatha(*ACTIVATE).stderr
    host1.xcatha(*DEACTIVATE)
    host2.xcatha(*SETUP)
    assert "14.1" not in record.read_text()
