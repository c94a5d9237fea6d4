"""A node that is frozen as a whole, by its hypervisor, and wakes after the other has taken over."""
import time

from tests.lab.image import wait_for
from tests.vm import evidence
from tests.vm.evidence import Writer


def test_node_that_wakes_after_a_takeover_ends_its_services_at_once(new_rack, tell):
    """That none of its unsent pages arrives is not promised: it is told, and not judged."""
    rack = new_rack("active")
    old, new = rack.active, rack.other
    writer = Writer(old)
    writer.wait_for_lines(5)
    old.pause()
    rack.take_over(new)
    assert evidence.lost(new, rack.store, writer.acknowledged) == []

    woken = time.time()
    old.resume()

    def gone():
        looks = rack.watch.node(old.name, woken)
        return looks and not looks[-1]["vip"] and not looks[-1]["server"]

    wait_for(gone, 300, f"{old.name}: end of its services", 0.5)
    last = {what: rack.watch.last(old.name, what, woken) for what in ("vip", "server")}
    tell(f"frozen and woken: {old.name} had the VIP for {last['vip']} s and a database for "
         f"{last['server']} s after it woke")
    assert rack.active is new
    assert evidence.insert(new, 1)
    writer.stop()
