"""Random schedules on two real hosts: a short one always, long ones by name (-m long)."""
import time

import pytest

from tests.lab import judge
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, VIP, XCAT, Pair, pair_lab
from tests.schedules import STEPS, Schedule, World, run_schedules
from tests.shortened import shortened

LINES = {"-s": SETUP, "-a": ACTIVATE, "-d": DEACTIVATE}
# About what the longest of them takes.
SECONDS = 10


class LabWorld(World):
    """The lab's pair that was set up; both hosts stand by."""

    dhcp_unit = "isc-dhcp-server"

    def __init__(self):
        self.lab = pair_lab().__enter__()
        self.pair = Pair(self.lab, "postgresql")
        self.hosts, self.share = self.lab.hosts, self.lab.share
        for host in self.hosts:
            (host.root / "root/xcatha.py").write_text(shortened(LEASE_TIME=18, LOCK_EXPIRY=9))

    def start(self, host, *options):
        return host.popen("python", "/root/xcatha.py", *options)

    def run_killed(self, host, moment, *options):
        process = self.start(host, *options)
        time.sleep(moment * SECONDS)  # the moment is the schedule's choice: there is no condition
        process.kill()
        process.communicate(timeout=60)

    def line(self, command):
        return self.pair.line(LINES[command], self.hosts[0])[2:]

    def add_row(self, host, name):
        return host.run("chdef", "-t", "osimage", "-o", name, "imagetype=linux", env=XCAT)

    def rows(self, host):
        return host.succeed("lsdef", "-t", "osimage", env=XCAT)

    def has_vip(self, host):
        return VIP in [address for _, address, *_ in judge.addresses(host)]

    def two_vips(self):
        first, second = (self.lab.client.macs_answering(VIP) for _ in range(2))
        both = first & second
        return f"two hosts answer for the VIP: {both}" if len(both) > 1 else ""

    def cut(self, host):
        host.cut()

    def heal(self, host):
        host.heal()

    def close(self):
        self.lab.close()


class ScheduleOnLab(Schedule):
    """In the lab a host can be paused as well."""

    make_world = LabWorld
    steps = [*STEPS, "pause", "resume", "resume"]


@pytest.mark.timeout(900)
def test_short_schedule_keeps_every_promise(tell):
    run_schedules(ScheduleOnLab, tell, examples=1, steps=10)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_long_schedules_keep_every_promise(tell):
    assert run_schedules(ScheduleOnLab, tell, examples=4, steps=40) >= 100
