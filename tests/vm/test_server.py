"""The NFS server is restarted, or away for a while, under a healthy active node."""
import time

import pytest

from tests.vm import evidence
from tests.vm.evidence import Writer


def runs(node):
    """What changes when something is started anew, or the node."""
    units = ("xcatha-lease", "postgresql", "xcatd")
    return [node.boot_id(), *(node.succeed("systemctl", "show", "-P", "InvocationID", unit)
                              for unit in units)]


@pytest.mark.parametrize("dead_client", [False, True], ids=["all-reclaim", "dead-client"])
@pytest.mark.parametrize("lease", [90, 30])
def test_restart_of_the_server_demotes_nobody(racks, lease, dead_client, repetition, tell):
    rack = racks("active", lease=lease)
    active, other = rack.active, rack.other
    evidence.make_folder(active)
    before, writer = runs(active), Writer(active, "rows")
    writer.wait_for_lines(5)
    if dead_client:
        # The server knows it, because it has a file open, and waits for it in vain.
        client = other.popen("sh", "-c", "exec sleep 3600 </HA/.xcatha/cluster.json")
        other.wait_until("pgrep", "-x", "sleep")
        other.power_off()
    at = time.time()
    rack.store.succeed("systemctl", "restart", "nfs-server")
    active.succeed("touch", "/HA/install/evidence/new")  # an open of its own ends with the grace
    grace = round(time.time() - at, 1)
    time.sleep(max(0, at + 1.5 * lease - time.time()))  # whatever was to expire has expired
    written = len(writer.acknowledged)
    writer.wait_for_lines(len(writer.lines) + 5)

    tell(f"restart of the server, lease {lease} s, {'a' if dead_client else 'no'} dead client: a "
         f"new open took {grace} s, the longest wait for a row {writer.longest_silence(at)} s")
    assert runs(active) == before
    now = rack.watch.node(active.name, at)[-1]
    assert now["vip"] and now["server"]
    assert evidence.lost(active, rack.store, writer.acknowledged) == []
    assert written
    writer.stop()
    if dead_client:
        client.kill_group()
        other.boot()


# The server's lease is nfsd's own, 90 s: the holder gives up after 45 s and reboots after 60 s.
@pytest.mark.parametrize("seconds", [20, 60, 200])
def test_store_that_was_away_costs_nothing_or_the_line_that_brings_the_pair_back(
        racks, seconds, tell):
    rack = racks("active", lease=90)
    active = rack.active
    before, writer = runs(active), Writer(active)
    writer.wait_for_lines(5)
    at = time.time()
    rack.store.cut("storage")
    time.sleep(seconds)
    rack.store.heal("storage")
    if seconds < 45:
        writer.wait_for_lines(len(writer.lines) + 5)
        assert runs(active) == before
    else:
        settled(active, before[0])
        last = rack.watch.last(active.name, "server", at)
        status = active.run("python", "xcatha.py", "--status").stdout
        active.wait_until("mountpoint", "-q", "/HA", timeout=900)
        rack.take_over(active)
        tell(f"store away for {seconds} s: {active.name} "
             f"{'rebooted' if active.boot_id() != before[0] else 'did not reboot'}, its last "
             f"database process {last} s after; status then: {status.splitlines()[-3:]}")
    assert evidence.lost(active, rack.store, writer.acknowledged) == []
    evidence.check_database(active)
    writer.stop()


def settled(node, boot):
    """Wait until a node that gave up is a standby: after its reboot, or without one."""
    node.wait_up()
    node.wait_until("sh", "-c", "! pgrep -x 'postgres|postmaster'", timeout=600)
    if node.boot_id() != boot:
        node.wait_up()
