"""What the share is exported and mounted with, and both nodes at once."""
import pytest

from tests.lab.pair import ACTIVATE, SETUP
from tests.vm.disks import EXPORT, SHARE
from tests.vm.rack import STORE


def export(rack, options):
    """Export the share anew."""
    rack.store.succeed("sh", "-ec", 'echo "$0" >/etc/exports; exportfs -ra', f"{SHARE} {options}")


def refused(rack, why):
    """Setup on host1 is refused for this reason, and has changed nothing there."""
    result = rack.host1.fail(*rack.pair.line(SETUP, rack.host1), code=3)
    assert why in result.stdout + result.stderr, rack.host1.report(result)
    assert rack.host1.run("test", "-e", "/HA/.xcatha").returncode == 1
    assert rack.watch.node("host1")[-1]["vip"] is False


def test_share_that_squashes_root_is_refused_until_it_is_exported_otherwise(racks):
    rack = racks("fresh")
    export(rack, EXPORT.replace("no_root_squash", "root_squash"))
    refused(rack, "no_root_squash")
    export(rack, EXPORT)


@pytest.mark.parametrize("option", ["soft", "softerr", "nocto"])
def test_mount_that_gives_up_or_shows_old_data_is_refused(racks, option):
    rack = racks("fresh")
    rack.host1.succeed("umount", "/HA")
    rack.host1.succeed("mount", "-t", "nfs", "-o", f"vers=4.2,{option}", f"{STORE}:{SHARE}", "/HA")
    refused(rack, f"is mounted {option}")
    rack.host1.succeed("umount", "/HA")
    rack.host1.succeed("mount", "/HA")


def test_share_that_the_database_may_not_enter_is_refused(racks):
    rack = racks("fresh")
    rack.store.succeed("chmod", "0700", SHARE)
    refused(rack, "only root may enter")
    rack.store.succeed("chmod", "0755", SHARE)


def test_of_both_nodes_activated_at_once_one_becomes_active_and_the_other_is_refused(new_rack):
    rack = new_rack("pair")
    running = [node.popen(*rack.pair.line(ACTIVATE, node)) for node in rack.nodes]
    ended = [process.communicate(timeout=1200) + (process.returncode,) for process in running]
    assert sorted(code for *_, code in ended) == [0, 3], ended
    assert rack.watch.both(0) == []
    assert rack.active is rack.nodes[[code for *_, code in ended].index(0)]


def test_node_on_nfs_4_is_refused_while_the_active_one_is_on_nfs_3(new_rack):
    rack = new_rack("active", mounts={"host1": 3, "host2": 4})
    line = rack.pair.line(ACTIVATE, rack.host2)
    rack.host2.fail(*line, code=3)
    assert rack.active is rack.host1
