"""The README's way from two bare nodes to a failover, on real NFS."""
import time

import pytest

from tests.lab.pair import SETUP, write_trees
from tests.vm import evidence
from tests.vm.disks import SHARE
from tests.vm.evidence import Writer

# What a copy must keep, as the store itself sees it: kind, mode, owner, links, size, target.
LOOK = "cd {top} && find . -printf '%P %y%m %U:%G %n %s %l\\n' | sort"


def look(machine, top):
    """The files below a directory, one line each."""
    return machine.succeed("sh", "-c", LOOK.format(top=top)).splitlines()


@pytest.mark.parametrize("version", [4, 3])
def test_two_bare_nodes_are_set_up_activated_and_failed_over(new_rack, version, tell):
    rack = new_rack("fresh", mounts=version)
    pair, took = rack.pair, {}

    def timed(what, action, *argv):
        """Do a step of the README's and keep its time."""
        started = time.monotonic()
        result = action(*argv)
        took[what] = round(time.monotonic() - started, 1)
        return result

    rack.host1.succeed("mkdir", "/install", "/tftpboot")
    write_trees(rack.host1, "first")
    before = look(rack.host1, "/install/tree/first")
    said = timed("setup host1", rack.host1.run, *pair.line(SETUP, rack.host1))
    assert said.returncode == 0, rack.host1.report(said)
    assert "ACL" in said.stderr
    assert look(rack.store, f"{SHARE}/install/tree/first") == before
    sparse = f"{SHARE}/install/tree/first/sparse"
    assert int(rack.store.succeed("stat", "-c", "%b", sparse)) * 512 < 1 << 20
    timed("setup host2", pair.setup, rack.host2)

    timed("activate", pair.activate, rack.host1)
    writer = Writer(rack.host1)
    writer.wait_for_lines(5)
    writer.stop()
    rack.host1.run("pkill", "-f", "itertools")
    timed("planned: deactivate", pair.deactivate, rack.host1)
    timed("planned: activate", pair.activate, rack.host2)
    assert evidence.lost(rack.host2, rack.store, writer.acknowledged) == []

    writer = Writer(rack.host2)
    writer.wait_for_lines(5)
    at = time.time()
    rack.host2.power_off()
    timed("unplanned: activate", pair.activate, rack.host1)
    took["power-off to serving"] = rack.watch.serving(at)
    tell(f"README's way, NFSv{version}: {', '.join(f'{what} {s} s' for what, s in took.items())}")
    assert evidence.lost(rack.host1, rack.store, writer.acknowledged) == []
    evidence.check_database(rack.host1)
    assert rack.watch.both(0) == []
    writer.stop()
    rack.host2.boot()
    rack.clean_up(rack.host2)
    assert rack.active is rack.host1
