"""Random schedules on two faked hosts: a short one always, long ones by name (-m long)."""
import contextlib
import pathlib
import re
import subprocess
import tempfile

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import cluster, mounted
from tests.pythons import CACHE
from tests.schedules import STEPS, Schedule, World, run_schedules

LINES = {"-s": SETUP, "-a": ACTIVATE, "-d": DEACTIVATE}
# How the kernel shows an address of its own (proc_net_fib_trie).
VIP_HERE = re.compile(r"\|-- 10\.5\.106\.50\n\s*/32 host LOCAL")
# The script runs about so many commands.
COMMANDS = {"-s": 60, "-a": 54, "-d": 23}


class FakesWorld(World):
    """A pair on fakes that was set up; both hosts stand by."""

    dhcp_unit = "dhcpd"
    limits = {"LEASE_TIME": 9, "LOCK_EXPIRY": 5}

    def __init__(self, set_up):
        self.stack = contextlib.ExitStack()
        home = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="fakes.", dir=CACHE))
        self.share = pathlib.Path(home) / "share"
        self.stack.enter_context(self.share_of(home))
        self.hosts = self.stack.enter_context(cluster(home, ("host1", "host2"), set_up))
        for host in self.hosts:
            host.shorten(**self.limits)

    def share_of(self, home):
        """The share's filesystem, mounted until the end of the block."""
        return small_disk(f"{home}/disk", self.share)

    def start(self, host, *options):
        return subprocess.Popen(
            ["nsenter", "-t", str(host.pid), "-m", "-n", "-u", "-p", *host.script(*options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"})

    def run_killed(self, host, moment, *options):
        host.plan("SIGKILL_AT", 1 + int(moment * COMMANDS[options[0]]))
        host.run(*host.script(*options))
        host.heal()

    def line(self, command):
        return LINES[command]

    def add_row(self, host, name):
        return host.run("/opt/xcat/bin/chdef", "-t", "nodehm", "-o", name, "mgt=ipmi")

    def rows(self, host):
        return host.succeed("/opt/xcat/bin/tabdump", "nodehm")

    def has_vip(self, host):
        """The kernel's own word; a host may lose its power during the look."""
        with contextlib.suppress(OSError):
            return bool(VIP_HERE.search(pathlib.Path(f"/proc/{host.pid}/net/fib_trie").read_text()))
        return False

    def two_vips(self):
        """Both hosts if both have the VIP, seen twice."""
        both = all(map(self.has_vip, self.hosts)) and all(map(self.has_vip, self.hosts))
        return "the VIP is on both hosts" if both else ""

    def cut(self, host):
        host.switch.ip("link", "set", host.name, "down")

    def heal(self, host):
        host.switch.ip("link", "set", host.name, "up")

    def fill(self):
        """Nothing more can be written to the share."""
        subprocess.run(["dd", "if=/dev/zero", f"of={self.share}/filler"], stderr=subprocess.DEVNULL,
                       check=False)  # it ends when there is no room

    def make_room(self):
        (self.share / "filler").unlink(missing_ok=True)

    def close(self):
        self.stack.close()


class WorldWithoutLocks(FakesWorld):
    """As FakesWorld, on a share of whose locks the script knows nothing: the counter decides."""

    limits = {"LEASE_TIME": 12}

    def share_of(self, home):
        return mounted(self.share, "-t", "tmpfs", "-o", "size=32M", "tmpfs")


def small_disk(image, place):
    """A disk of 32 MB, mounted: its locks count, and it can be filled."""
    subprocess.run(["truncate", "--size=32M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    return mounted(place, "-o", "loop", image)


class ScheduleOnFakes(Schedule):
    """On fakes the share can be filled as well."""

    steps = [*STEPS, "fill share", *["make room"] * 6]


@pytest.fixture(params=[FakesWorld, WorldWithoutLocks])
def machine(request, set_up):
    """The state machine, on copies of a frozen pair."""
    return type(f"Schedule in {request.param.__name__}", (ScheduleOnFakes,),
                {"make_world": staticmethod(lambda: request.param(set_up))})


def test_vip_on_both_hosts_would_be_found(set_up):
    world = FakesWorld(set_up)
    try:
        for host in world.hosts:
            assert world.two_vips() == ""
            host.succeed("ip", "address", "add", "10.5.106.50/8", "dev", "eth0")
        assert world.two_vips() != ""
    finally:
        world.close()


@pytest.mark.timeout(300)
def test_short_schedule_keeps_every_promise(machine, tell):
    run_schedules(machine, tell, examples=1, steps=12)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_long_schedules_keep_every_promise(machine, tell):
    assert run_schedules(machine, tell, examples=28, steps=50, shrink=True) >= 1000
