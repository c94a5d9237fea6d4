"""The active node loses its storage and nothing else: what it had not sent must never arrive."""
import time

import pytest

from tests.vm import evidence
from tests.vm.evidence import Dirtier, Writer


# The server's lease is 30 s; it is 90 s on most, and all that is derived from it takes longer then.
@pytest.mark.parametrize("version", [4, 3])
def test_what_a_node_cut_off_from_its_storage_had_not_sent_never_arrives(
        racks, version, repetition, tell):
    rack = racks("active", mounts=version)
    old, new = rack.active, rack.other
    mark = f"{evidence.MARK}{version}-{repetition}-"
    boot, writer = old.boot_id(), Writer(old)
    writer.wait_for_lines(5)
    dirtier = Dirtier(old, mark)

    cut = time.time()
    old.cut("storage")
    dirtier.dirty()
    rack.take_over(new)
    took, serving = round(time.time() - cut, 1), rack.watch.serving(cut)

    lost_at_first = evidence.lost(new, rack.store, writer.acknowledged)
    page, after = evidence.put_page(new, "new"), evidence.insert(new, 10)
    old.heal("storage")
    old.wait_up()
    old.wait_until("mountpoint", "-q", "/HA", timeout=900)
    new.succeed("systemctl", "restart", "postgresql")

    tell(f"cut and heal, NFSv{version}, from {old.name} to {new.name}: {old.name} had the VIP for "
         f"{rack.watch.last(old.name, 'vip', cut)} s and a database process for "
         f"{rack.watch.last(old.name, 'server', cut)} s after the cut; {new.name} served after "
         f"{serving} s, -a ended after {took} s; {len(writer.acknowledged)} rows and files")
    assert lost_at_first == []
    assert evidence.marked(rack.store, mark) == []
    assert evidence.md5(rack.store, "page")["page"] == page
    assert evidence.lost(new, rack.store, writer.acknowledged) == []
    assert set(after) <= set(evidence.rows(new))
    evidence.check_database(new)
    assert rack.watch.both(cut) == []
    assert old.boot_id() != boot
    assert rack.active is new
    writer.stop()
    dirtier.stop()
