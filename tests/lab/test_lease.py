"""Never two active hosts: what the lease, its lock and the guard do when things go wrong.

The hosts run a copy of the script with shorter time limits, so that minutes become seconds.
"""
import functools
import json

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.pair import ACTIVATE, VIP, Pair, cluster_lab, define_osimage, xcat
from tests.shortened import shortened
from tests.watcher import Watcher, lock_is_free, server_without_lock, servers_on_two_hosts

# A heartbeat may wait for a busy disk: L/2 is what it has.
LEASE_TIME, LOCK_EXPIRY = 30, 15
# What a host may take to notice the loss of its lease and to stop what needs it, on a busy machine.
LOSS_LIMIT = 60
UNIT = "xcatha-lease"
GUARDED = ("postgresql", "xcatd", "isc-dhcp-server")


class Duo:
    """Two members of a pair, one active and one standing by; which is which changes."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab, "postgresql")
        self.data, self.lease = lab.share / "var/lib/pgsql/data", lab.share / ".xcatha/lease"
        for host in lab.hosts:
            (host.root / "root/xcatha.py").write_text(
                shortened(LEASE_TIME=LEASE_TIME, LOCK_EXPIRY=LOCK_EXPIRY))

    def settle(self):
        """One host is active, cleanly; the other stands by, cleanly."""
        self.active, self.standby = self.lab.hosts
        if self.holds_lease(self.standby):
            self.active, self.standby = self.standby, self.active
        self.pair.deactivate(self.standby)
        self.pair.activate(self.active)

    @staticmethod
    def holds_lease(host):
        return host.run("systemctl", "is-active", UNIT).returncode == 0

    def activate(self, host, *more, code):
        """Run -a, which must end with this exit code; its result."""
        line = self.pair.line(ACTIVATE, host)
        done = host.run(*line, *more)
        assert done.returncode == code, host.report(done)
        return done

    def counter(self):
        return json.loads(self.lease.read_text())["counter"]

    def holder(self, host):
        """The holder's process on a host, by its number there."""
        return host.succeed("systemctl", "show", "-P", "MainPID", UNIT).strip()

    def database_run(self):
        """What tells the present run of the active host's database server from all others."""
        return self.active.succeed("systemctl", "show", "-P", "InvocationID", "postgresql").strip()

    def said_in(self, run):
        """What a database server of the active host has logged in one run."""
        return self.active.succeed("journalctl", f"_SYSTEMD_INVOCATION_ID={run}", "--output=cat")

    def wait_for_end_of_service(self, host):
        """Wait until neither VIP nor a program that needs the lease is on a host."""
        guarded = {"postgres", "postmaster", "xcatd", "dhcpd"}
        wait_for(lambda: host.name not in judge.holders(self.lab)
                 and not guarded & set(judge.programs(host)), LOSS_LIMIT,
                 f"{host.name}: end of what needs the lease")

    def looks(self):
        """What must not be while the lease's file is the one that the active host locked."""
        return (functools.partial(servers_on_two_hosts, self.data),
                functools.partial(server_without_lock, self.data, self.lease))

    def assert_takes_over(self, host):
        """The host becomes active and serves."""
        self.pair.activate(host)
        self.assert_serves(host)

    def assert_serves(self, host):
        """The host, and it alone, has the VIP; its database and xcatd work on the share."""
        assert judge.holders(self.lab) == [host.name]
        assert self.lab.client.holder(VIP) == host.name
        assert judge.database_directories(host) == {"/HA/var/lib/pgsql/data"}
        assert "clustersite" in xcat(host, "lsdef", "-t", "site")


@pytest.fixture(scope="module")
def lab():
    with cluster_lab() as booted:
        yield booted


@pytest.fixture(scope="module")
def members(lab):
    return Duo(lab)


@pytest.fixture
def duo(members):
    """A lab in which one host is active and the other stands by."""
    members.settle()
    return members


def signal_holder(name, duo):
    """Send a signal to the lease's holder on the active host."""
    duo.active.succeed("kill", f"-{name}", duo.holder(duo.active))


def stop_unit(duo):
    duo.active.succeed("systemctl", "stop", UNIT)


def reexecute_systemd_and_kill_holder(duo):
    duo.active.succeed("systemctl", "daemon-reexec")
    signal_holder("KILL", duo)


def freeze_holder_under_systemd_239(duo):
    """EL 8 has no WatchdogSignal=: its watchdog sends SIGABRT, which waits for a frozen process."""
    for unit in (UNIT, "xcatha-fence"):
        place = f"/run/systemd/system/{unit}.service.d"
        duo.active.succeed("mkdir", "-p", place)
        duo.active.succeed("tee", f"{place}/el8.conf",
                           input="[Service]\nWatchdogSignal=SIGABRT\n")
    duo.active.succeed("systemctl", "daemon-reload")
    signal_holder("STOP", duo)


def unmount_share(duo):
    duo.active.succeed("umount", "--lazy", "/HA")


def remove_lease(duo):
    duo.lease.unlink()


def replace_lease(duo):
    aside = duo.lease.with_name("aside")
    aside.write_bytes(duo.lease.read_bytes())
    aside.rename(duo.lease)


# ---- Who may become active -----------------------------------------------------------------

def test_of_two_activates_at_the_same_instant_one_wins(duo):
    duo.pair.deactivate(duo.active)
    with Watcher(*duo.looks()):
        runs = [host.popen(*duo.pair.line(ACTIVATE, host)) for host in duo.lab.hosts]
        outputs = [run.communicate(timeout=300) for run in runs]
    codes = [run.returncode for run in runs]
    assert sorted(codes) in ([0, 1], [0, 3]), outputs  # 1: both saw it free, then one was quicker
    duo.assert_serves(duo.lab.hosts[codes.index(0)])


def test_standby_is_refused_while_the_other_host_is_active(duo):
    refused = duo.activate(duo.standby, code=3)
    assert f"{duo.active.name} is active" in refused.stderr
    assert f"deactivate {duo.active.name} first: xcatha.py -d there" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    duo.assert_serves(duo.active)


def test_standby_is_refused_while_the_active_host_is_off_the_network(duo):
    duo.active.cut()
    duo.activate(duo.standby, code=3)
    assert judge.holders(duo.lab) == [duo.active.name]
    duo.active.heal()
    duo.assert_serves(duo.active)


def test_standby_is_refused_while_the_active_host_is_paused(duo):
    duo.active.cut()
    duo.active.pause()
    refused = duo.activate(duo.standby, code=3)
    assert "lock" in refused.stderr
    duo.active.resume()
    duo.active.heal()
    assert judge.holders(duo.lab) != [duo.standby.name]


def test_activate_that_waits_for_a_dead_holders_lock_gets_it(duo):
    duo.active.cut()
    duo.active.pause()
    with Watcher(*duo.looks()):
        waiting = duo.standby.popen(*duo.pair.line(ACTIVATE, duo.standby))
        assert any("waiting up to" in line for line in waiting.stdout), waiting.stderr.read()
        assert not lock_is_free(duo.lease)
        duo.active.power_off()
        outputs = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, outputs
    duo.assert_serves(duo.standby)
    duo.active.boot()


@pytest.mark.parametrize("cut", [False, True], ids=["in sight", "off the network"])
def test_peer_that_lives_is_not_taken_for_off(duo, cut):
    if cut:
        duo.active.cut()
    said = duo.activate(duo.standby, "--peer-is-off", code=3).stderr
    who, sign = ("the other node", "counter") if cut else (duo.active.name, "answers")
    assert f"refused: {who} is not off" in said and sign in said
    assert "power it off first" in said
    duo.active.heal()
    duo.assert_serves(duo.active)


# ---- A lease that is lost ------------------------------------------------------------------

@pytest.mark.parametrize("lose", [
    functools.partial(signal_holder, "KILL"), functools.partial(signal_holder, "STOP"),
    pytest.param(freeze_holder_under_systemd_239, marks=pytest.mark.long),
    pytest.param(reexecute_systemd_and_kill_holder, marks=pytest.mark.long),
    pytest.param(stop_unit, marks=pytest.mark.long), unmount_share,
], ids=["holder killed", "holder frozen", "holder frozen, systemd 239",
        "systemd anew, holder killed", "unit stopped", "share unmounted"])
def test_lock_outlives_the_lease_until_all_that_needs_it_is_down(duo, lose):
    with Watcher(*duo.looks()):
        lose(duo)
        duo.wait_for_end_of_service(duo.active)
        wait_for(lambda: lock_is_free(duo.lease), LOSS_LIMIT, "the lock")
        duo.assert_takes_over(duo.standby)
    if lose in (unmount_share, freeze_holder_under_systemd_239):  # which forgets the drop-ins
        duo.active.reboot()


def test_activate_whose_lease_is_lost_meanwhile_ends_as_a_standby(duo):
    host = duo.active
    duo.pair.deactivate(host)
    slow = host.root / "etc/systemd/system/xcatd.service.d/slow.conf"
    slow.parent.mkdir(exist_ok=True)
    slow.write_text("[Service]\nExecStartPre=/bin/sleep 6\n")
    host.succeed("systemctl", "daemon-reload")
    run = host.popen(*duo.pair.line(ACTIVATE, host))
    wait_for(lambda: "xcatd" in host.run("systemctl", "list-jobs").stdout, 60, "start of xcatd")
    signal_holder("KILL", duo)
    said = run.communicate(timeout=LOSS_LIMIT + 120)[1]
    slow.unlink()
    host.succeed("systemctl", "daemon-reload")
    assert run.returncode == 5, said
    assert "xcatd.service did not start: the lease is gone" in said
    assert "the lease is lost: its holder has ended" in said
    assert "the lease was lost during this run; this node stands by" in said
    assert judge.links_into_share(host) == [] and judge.holders(duo.lab) == []
    duo.assert_takes_over(duo.standby)


@pytest.mark.parametrize("lose", [remove_lease, replace_lease])
def test_host_whose_lease_file_is_gone_stops_serving(duo, lose):
    """Its database is killed: an orderly end would write to what may be another server's by now."""
    run = duo.database_run()
    lose(duo)
    duo.wait_for_end_of_service(duo.active)
    assert "ready to accept connections" in duo.said_in(run)
    assert "database system is shut down" not in duo.said_in(run)
    if lose is remove_lease:  # which promised when its holder would be off
        assert "may still be active" in duo.activate(duo.standby, code=3).stderr
        duo.pair.deactivate(duo.active)
    duo.assert_takes_over(duo.standby)


def test_host_that_wakes_after_its_lease_went_to_the_other_stops_serving(duo):
    """Not promised: until it has noticed and stopped, it works on the other's files as well."""
    define_osimage(duo.active, "before-the-pause")
    duo.active.cut()
    duo.active.pause()
    duo.activate(duo.standby, "--peer-is-off", code=0)
    duo.active.resume()
    duo.wait_for_end_of_service(duo.active)
    duo.active.heal()
    duo.assert_serves(duo.standby)
    assert "before-the-pause" in xcat(duo.standby, "lsdef", "-t", "osimage")


# ---- What a reload or reboot does ----------------------------------------------------------

def test_lease_and_services_survive_a_restart_of_systemd_itself(duo):
    before, counter = judge.invocations(duo.active), duo.counter()
    duo.active.succeed("systemctl", "daemon-reexec")
    wait_for(lambda: duo.counter() > counter + 1, LOSS_LIMIT, "two heartbeats")
    assert judge.invocations(duo.active) == before
    duo.assert_serves(duo.active)


def test_reboot_without_deactivate_frees_the_lock_last_and_starts_nothing(duo):
    with Watcher(*duo.looks()):
        duo.active.reboot()
        assert judge.programs(duo.active) == []
        assert judge.holders(duo.lab) == []
        duo.assert_takes_over(duo.standby)


def test_guarded_units_that_were_enabled_by_hand_do_not_start_at_boot(duo):
    duo.standby.succeed("systemctl", "enable", *GUARDED)
    with Watcher(*duo.looks()):
        duo.standby.reboot()
        assert judge.programs(duo.standby) == []
    duo.pair.deactivate(duo.standby)
    assert {at_boot for _, at_boot in judge.units(duo.standby).values()} == {"disabled"}


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_guarded_units_cannot_be_started_on_a_standby(duo, verb):
    for unit in GUARDED:
        duo.standby.fail("systemctl", verb, unit)
    assert judge.programs(duo.standby) == []


# ---- A share that refuses locks ------------------------------------------------------------

REFUSE_LOCKS = ("strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null",
                "-P", "/HA/.xcatha/lease", "-e", "trace=flock",
                "-e", "inject=flock:error=ENOLCK")
DROP_IN = """\
[Service]
ExecStart=
ExecStart=strace -D {options} python3 /run/xcatha/xcatha.py --hold-lease /HA
"""


@pytest.fixture
def without_locks(duo):
    """A duo whose share refuses locks, to the script as to the lease's holder."""
    duo.pair.deactivate(duo.active)
    places = [host.root / f"etc/systemd/system/{UNIT}.service.d/lab.conf" for host in duo.lab.hosts]
    for place in places:
        place.parent.mkdir()
        place.write_text(DROP_IN.format(options=" ".join(REFUSE_LOCKS[1:])))
    yield duo
    for place in places:
        place.unlink()
        place.parent.rmdir()


def activate_without_locks(duo, host, code):
    """Run -a where locks are refused; its result."""
    done = host.run(*REFUSE_LOCKS, *duo.pair.line(ACTIVATE, host))
    assert done.returncode == code, host.report(done)
    return done


def test_counter_decides_where_locks_are_refused(without_locks):
    duo = without_locks
    activate_without_locks(duo, duo.active, 0)
    refused = activate_without_locks(duo, duo.standby, 3)
    assert "counter" in refused.stderr
    # Also where locks work for the standby: its lock would meet none of the holder's.
    refused = duo.activate(duo.standby, code=3)
    assert "counter" in refused.stderr
    duo.assert_serves(duo.active)
    duo.active.power_off()
    activate_without_locks(duo, duo.standby, 0)
    duo.assert_serves(duo.standby)
    duo.active.boot()
