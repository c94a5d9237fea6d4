"""The active node loses its power, and with it everything that it had not written."""
import time

import pytest

from tests.vm import evidence
from tests.vm.evidence import Writer


@pytest.mark.parametrize("version", [4, 3])
def test_acknowledged_rows_and_synced_files_survive_the_loss_of_the_page_cache(
        racks, version, tell):
    rack = racks("active", mounts=version)
    old, new = rack.active, rack.other
    writer = Writer(old)
    writer.wait_for_lines(20)
    at = time.time()
    old.power_off()
    rack.take_over(new)
    tell(f"power-off, NFSv{version}: served after {rack.watch.serving(at)} s, -a ended after "
         f"{time.time() - at:.1f} s; {len(writer.acknowledged)} rows and files")
    assert evidence.lost(new, rack.store, writer.acknowledged) == []
    evidence.check_database(new)
    writer.stop()

    old.boot()
    assert old.run("pgrep", "-x", "postgres|postmaster|xcatd").stdout == ""
    old.fail("systemctl", "start", "postgresql")
    rack.clean_up(old)
    assert rack.active is new
