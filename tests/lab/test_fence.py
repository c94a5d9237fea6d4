"""The deadline of the active host: a share that others see and that is lost ends its service.

Each host has the share from a FUSE server on this machine, which can be stopped. Locks do not reach
through it, so the other host watches the counter. L is short, so that minutes become seconds.
"""
import contextlib
import functools
import json
import pathlib
import signal
import time

import pytest

from tests.lab import judge
from tests.lab.hanging import HangingLab
from tests.lab.image import wait_for
from tests.lab.pair import ACTIVATE, VIP, Pair, pair_lab
from tests.shortened import shortened

L = 30
# What looks and a busy machine may add.
SLACK = 8
UNIT = "xcatha-lease"
SERVERS = {"postmaster", "xcatd"}


class Duo:
    """A pair on shares that can hang; host1 is active."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab, "postgresql")
        self.active, self.standby = lab.hosts
        for host in lab.hosts:
            (host.root / "root/xcatha.py").write_text(shortened(LEASE_TIME=L))

    def settle(self):
        """host1 is on and active, host2 stands by."""
        for host in self.lab.hosts:
            if not host.pid:
                host.boot()
        self.pair.deactivate(self.standby)
        self.pair.activate(self.active)

    def wait_for_heartbeats(self, number, limit):
        before = self.counter()
        wait_for(lambda: self.counter() >= before + number, limit, "heartbeats")

    def counter(self):
        return json.loads((self.lab.share / ".xcatha/lease").read_text())["counter"]

    @contextlib.contextmanager
    def hang(self):
        """The share hangs wholly for the active host."""
        self.lab.signal("host1", signal.SIGSTOP)
        try:
            yield time.monotonic()
        finally:
            self.lab.signal("host1", signal.SIGCONT)

    def serves(self):
        """True if the active host has all that it needs to serve."""
        return judge.holders(self.lab) == ["host1"] and living(self.active).issuperset(SERVERS)

    def ends_service(self, limit):
        """Wait until neither VIP nor a server is on the active host; when that was."""
        wait_for(lambda: "host1" not in judge.holders(self.lab)
                 and not (SERVERS | {"postgres"}) & living(self.active), limit, "end of service")
        return time.monotonic()


def processes(host):
    """{pid: status} of the processes of a host, as this machine sees them."""
    found = {}
    with contextlib.suppress(OSError):
        own = pathlib.Path(f"/proc/{host.pid}/ns/pid").readlink()
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (place / "ns/pid").readlink() == own:
                    found[int(place.name)] = (place / "status").read_text()
    return found


def field(status, name):
    return next(line.split(":")[1].strip() for line in status.splitlines()
                if line.startswith(name + ":"))


def is_killed(status):
    """True for a process that runs no more code of its own, be it in the kernel."""
    return field(status, "State")[0] in "ZX" or any(
        int(field(status, name), 16) & 1 << signal.SIGKILL - 1 for name in ("SigPnd", "ShdPnd"))


def living(host):
    """The names of the host's processes that were not killed."""
    return {field(status, "Name") for status in processes(host).values() if not is_killed(status)}


def has_rebooted(host):
    """True once reboot(2) has ended all of the host, which is what it does in a container."""
    return host.nspawn.poll() is not None or not living(host) - {"systemd"}


@pytest.fixture(scope="module")
def members():
    pair_lab()  # makes the state, if need be
    with HangingLab("pair-postgresql") as lab:
        yield Duo(lab)


@pytest.fixture
def duo(members):
    members.settle()
    yield members
    if members.active.pid and has_rebooted(members.active):
        members.active.wait_off()


# ---- A share that is away for a while ----------------------------------------------------------

def test_active_host_lives_through_a_grace_period_that_is_longer_than_its_deadline(duo):
    """Opens wait, as the hosts file's, while open files are read and written."""
    before = judge.invocations(duo.active)
    slow = duo.lab.slow_opens("host1", 3 * L)
    try:
        waiting = duo.active.popen("cat", "/HA/.xcatha/cluster.json")
        ends = time.monotonic() + L * 2 / 3 + SLACK
        while time.monotonic() < ends:
            duo.wait_for_heartbeats(1, L / 3)
            assert duo.serves()
        assert waiting.poll() is None
    finally:
        slow.terminate()
        slow.wait()
    assert judge.invocations(duo.active) == before
    assert duo.serves()


def test_active_host_lives_through_a_hang_that_is_shorter_than_its_deadline(duo):
    before = judge.invocations(duo.active)
    with duo.hang():
        time.sleep(L / 3)
        assert duo.serves()
    duo.wait_for_heartbeats(2, L / 2)
    assert judge.invocations(duo.active) == before and duo.serves()


def test_share_that_is_back_before_the_reboot_leaves_a_host_that_its_status_brings_back(duo):
    with duo.hang() as started:
        wait_for(lambda: judge.holders(duo.lab) == [], L / 2 + SLACK, "end of the VIP")
        assert time.monotonic() - started > L / 2 - L / 9 - 1
    duo.ends_service(SLACK)
    wait_for(lambda: judge.unit(duo.active, "xcatha-fence")[0] == "inactive", SLACK, "the fence")
    assert not has_rebooted(duo.active)
    said = duo.active.fail("python", "xcatha.py", "--status", code=1).stdout
    line = said.partition("the lease is not held")[2].partition("fix: ")[2].splitlines()[0]
    duo.active.succeed("sh", "-c", line)
    assert duo.serves()


# ---- What the holder keeps ---------------------------------------------------------------------

def places(host):
    return [address for address in judge.addresses(host) if address[1] == VIP]


def test_vip_and_host_name_that_are_taken_away_are_back_within_a_heartbeat(duo):
    before, invocations = places(duo.active), judge.invocations(duo.active)
    duo.active.succeed("ip", "address", "del", f"{VIP}/8", "dev", "eth0")
    duo.active.succeed("hostname", duo.active.name)
    wait_for(lambda: places(duo.active) == before and judge.host_name(duo.active) == "hamn",
             L / 9 + SLACK, "VIP and name")
    duo.active.succeed("ip", "address", "del", f"{VIP}/8", "dev", "eth0")
    duo.active.succeed("ip", "address", "add", f"{VIP}/32", "dev", "lo")
    wait_for(lambda: places(duo.active) == before, L / 9 + SLACK, "VIP on its NIC")
    said = duo.active.succeed("journalctl", "--unit", UNIT)
    assert "the VIP was taken away; now 10.5.106.50/8 added to eth0:0" in said
    assert "the host name was taken away; now hamn" in said
    assert judge.invocations(duo.active) == invocations


def test_vip_that_another_machine_answers_for_is_not_taken_back(duo):
    duo.standby.succeed("ip", "address", "add", f"{VIP}/8", "dev", "eth0")
    duo.active.succeed("ip", "address", "del", f"{VIP}/8", "dev", "eth0")
    wait_for(lambda: "left so" in duo.active.succeed("journalctl", "--unit", UNIT),
             L / 9 + SLACK, "a line in the journal")
    duo.wait_for_heartbeats(2, L)
    assert places(duo.active) == []
    duo.standby.succeed("ip", "address", "del", f"{VIP}/8", "dev", "eth0")
    wait_for(lambda: places(duo.active), L / 9 + SLACK, "VIP")


# ---- A share that is lost ----------------------------------------------------------------------

def test_host_that_loses_its_share_kills_its_services_reboots_and_only_then_is_replaced(duo, tell):
    with duo.hang() as started:
        counter, waiting = duo.counter(), duo.standby.popen(*duo.pair.line(ACTIVATE, duo.standby))
        killed = duo.ends_service(L / 2 + SLACK) - started
        assert waiting.poll() is None
        wait_for(lambda: has_rebooted(duo.active), L * 2 / 3 + SLACK, "reboot")
        rebooted = time.monotonic() - started
        assert L / 2 - L / 9 - 1 < killed < rebooted < L
        assert waiting.poll() is None and duo.counter() == counter
        outputs = waiting.communicate(timeout=300)
        taken = time.monotonic() - started
    assert waiting.returncode == 0 and taken > L - L / 9, outputs
    duo.active.wait_off()
    duo.active.boot()
    for said in (duo.active.succeed("journalctl", "--boot=-1", "--unit=xcatha-fence"),
                 duo.active.succeed("cat", "/var/log/xcatha.log")):
        assert "/HA did not answer for 15 s; this node reboots and syncs nothing" in said
    duo.pair.deactivate(duo.active)
    assert judge.holders(duo.lab) == ["host2"]
    tell(f"share lost, L {L} s: killed after {killed:.0f} s, rebooted {rebooted:.0f} s, "
         f"host2 active {taken:.0f} s")


def kill(what, duo):
    duo.active.succeed("systemctl", "kill", "--signal=SIGKILL", what)


def kill_holder_alone(duo):
    """No process can be started for its end: the script is gone and /run is full."""
    duo.active.succeed("rm", "/run/xcatha/xcatha.py")
    duo.active.run("dd", "if=/dev/zero", "of=/run/filler", "bs=1M")
    kill(UNIT, duo)


def kill_both(duo):
    duo.active.run("pkill", "-KILL", "-f", "/run/xcatha/xcatha.py")


@pytest.mark.parametrize("lose", [
    functools.partial(kill, UNIT), kill_holder_alone, functools.partial(kill, "xcatha-fence"),
    kill_both,
], ids=["holder killed", "holder killed, nothing can be started", "fence killed", "both killed"])
def test_service_ends_in_order_where_the_share_answers(duo, lose):
    lose(duo)
    duo.ends_service(L / 3 + SLACK)
    wait_for(lambda: judge.unit(duo.active, UNIT)[0] in ("failed", "inactive"), L, "the unit")
    wait_for(lambda: judge.unit(duo.active, "xcatha-fence")[0] in ("failed", "inactive"), L,
             "the fence")
    duo.active.run("rm", "-f", "/run/filler")
    assert not has_rebooted(duo.active)


def test_host_whose_lease_is_another_hosts_by_now_reboots_at_once(duo):
    lease = duo.lab.share / ".xcatha/lease"
    lease.write_text(json.dumps(dict(json.loads(lease.read_text()), host="host2", nonce="other")))
    wait_for(lambda: has_rebooted(duo.active), L / 9 + SLACK, "reboot")
    assert json.loads(lease.read_text())["nonce"] == "other"


def test_host_whose_holder_is_killed_while_the_share_hangs_reboots(duo):
    with duo.hang():
        kill(UNIT, duo)
        duo.ends_service(L / 2 + SLACK)
        wait_for(lambda: has_rebooted(duo.active), L * 2 / 3 + SLACK, "reboot")


def test_host_that_serves_finished_data_before_it_has_a_guard_reboots(duo):
    """As a further node's setup does, which tries them before it comes to the guard."""
    duo.active.succeed("sh", "-c", "rm /etc/systemd/system/*.d/xcatha.conf")
    duo.active.succeed("systemctl", "daemon-reload")
    with duo.hang():
        wait_for(lambda: has_rebooted(duo.active), L * 2 / 3 + SLACK, "reboot")


def test_database_that_is_slow_to_stop_ends_in_order_when_its_host_shuts_down(duo):
    """The lease outlives it, so that nothing but the VIP is left for the fence."""
    slow = duo.active.root / "etc/systemd/system/postgresql.service.d/slow.conf"
    slow.write_text(f"[Service]\nExecStop=/bin/sleep {L}\n")
    duo.active.succeed("systemctl", "daemon-reload")
    duo.active.reboot()
    slow.unlink()
    duo.active.succeed("systemctl", "daemon-reload")
    database, fence = (duo.active.succeed("journalctl", "--boot=-1", f"--unit={unit}")
                       for unit in ("postgresql", "xcatha-fence"))
    assert "database system is shut down" in database
    assert "VIP and services end here" in fence and "reboots" not in fence
