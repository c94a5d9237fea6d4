"""A node that is frozen as a whole, by its hypervisor, and wakes after the other has taken over."""
import time

from tests.lab.image import wait_for
from tests.lab.pair import Pair
from tests.vm import evidence
from tests.vm.evidence import Writer
from tests.vm.test_cut import active_and_other


def test_node_that_wakes_after_a_takeover_ends_its_services_at_once(new_rack, tell):
    """That none of its unsent pages arrives is not promised: it is told, and not judged."""
    rack = new_rack("active")
    old, new = active_and_other(rack)
    writer = Writer(old)
    writer.wait_for_lines(5)
    old.pause()
    Pair(rack, "postgresql").activate(new)
    assert evidence.lost(new, rack.store, writer.acknowledged) == []

    woken = time.time()
    old.resume()

    def gone():
        looks = rack.watch.node(old.name, woken)
        return looks and not looks[-1]["vip"] and not looks[-1]["postgres"]

    wait_for(gone, 300, f"{old.name}: end of its services", 0.5)
    tell(f"frozen and woken: {old.name} had the VIP for {rack.watch.last(old.name, 'vip', woken)} s "
         f"and a database for {rack.watch.last(old.name, 'postgres', woken)} s after it woke")
    assert rack.client.holder("10.5.106.50") == new.name
    assert evidence.insert(new, 1)
    writer.stop()
