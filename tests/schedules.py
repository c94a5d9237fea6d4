"""Random schedules: whatever people and machines do to two members of a pair, in any order.

A hypothesis state machine whose hosts are a World's, on fakes or in the lab. While it runs, a
Watcher looks for what must never be; after each step every host's --status is held against what
this machine sees; at the end all is healed, a plain -a succeeds and nothing committed is missing.
"""
import collections
import functools
import json
import os
import pathlib
import random

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.watcher import (
    Watcher,
    lock_is_free,
    process_namespace,
    server_without_lock,
    servers,
    servers_on_two_hosts,
)

# What is likely comes more often. The first one is what hypothesis shrinks to.
STEPS = [
    "rest", "activate", "activate", "activate", "deactivate", "deactivate", "setup",
    "activate both", "deactivate both", "setup both", "activate against deactivate",
    "peer is off", "stop lease", "write", "write", "power off", "boot", "boot", "cut", "heal",
    "heal", "heal", "kill holder", "kill -a", "kill -d", "kill -s", "start postgresql",
    "start xcatd", "start DHCP"]
ROLES = {0: "active", 3: "standby", 1: "inconsistent", 4: "unknown"}
NAMES = ("host1", "host2")


class World:
    """Two members of a pair, both standing by, on a level of tests; see its subclasses."""

    hosts = share = dhcp_unit = None

    def start(self, host, *options):
        """Start the script on a host; a process with communicate()."""
        raise NotImplementedError

    def run(self, host, *options):
        """Run the script on a host; (exit status, all output)."""
        process = self.start(host, *options)
        output = "".join(process.communicate(timeout=600))
        return process.returncode, output

    def run_killed(self, host, moment, *options):
        """Run the script on a host and kill it at a moment between 0 and 1 of its usual course."""
        raise NotImplementedError

    def line(self, command):
        """The options of the whole line of -s, -a or -d."""
        raise NotImplementedError

    def add_row(self, host, name):
        """Define something in xCAT's database; the CompletedProcess."""
        raise NotImplementedError

    def rows(self, host):
        """Everything in the table that add_row adds to, as text."""
        raise NotImplementedError

    def has_vip(self, host):
        """True if the host has the VIP, asked from outside."""
        raise NotImplementedError

    def two_vips(self):
        """What is wrong where both hosts answer for the VIP, "" if nothing is."""
        raise NotImplementedError

    def cut(self, host):
        """Pull the host's network cable."""
        raise NotImplementedError

    def heal(self, host):
        """Put it back."""
        raise NotImplementedError

    def fill(self):
        """Nothing more can be written to the share; only where a level's steps say so."""
        raise NotImplementedError

    def make_room(self):
        """The share can be written to again; it may not have been full."""

    def close(self):
        """Everything ends."""
        raise NotImplementedError

    @property
    def data(self):
        return self.share / "var/lib/pgsql/data"

    @property
    def lease(self):
        return self.share / ".xcatha/lease"

    def is_active(self, host, unit):
        return host.run("systemctl", "is-active", unit).returncode == 0

    def holds_lease(self, host):
        return self.is_active(host, "xcatha-lease")

    def has_server(self, host):
        """True if a database server of this host works on the share."""
        return process_namespace(host.pid) in servers(self.data).values()

    def is_linked(self, host):
        """True if any of the linked directories is a link."""
        root = pathlib.Path(f"/proc/{host.pid}/root")
        return any((root / name).is_symlink() for name in ("install", "etc/xcat", "var/lib/pgsql"))

    def facts(self, host):
        """What this machine sees of a host, and whether the lease is free."""
        return {"VIP": self.has_vip(host), "server": self.has_server(host),
                "linked": self.is_linked(host), "lock free": lock_is_free(self.lease)}


def other_than(name):
    """The other host's name."""
    return NAMES[name == NAMES[0]]


class Schedule(RuleBasedStateMachine):
    """People and machines at work on the two hosts of a world."""

    make_world = None
    steps = STEPS
    done = collections.Counter()  # how often a step did something, in all schedules of a run

    def __init__(self):
        super().__init__()
        self.world = self.watcher = None
        self.off, self.deaf, self.paused, self.rows, self.files = set(), set(), set(), [], []
        self.full = False

    def begin(self):
        """The world is made by the first step that does anything."""
        if not self.world:
            self.world = self.make_world()
            self.hosts = {host.name: host for host in self.world.hosts}
            self.watcher = Watcher(
                functools.partial(servers_on_two_hosts, self.world.data),
                functools.partial(server_without_lock, self.world.data, self.world.lease),
                self.world.two_vips)
            self.watcher.__enter__()

    def choices(self):
        """(host, step) of all for which it is the time."""
        return [(name, step) for step in self.steps for name in NAMES if self.is_time(name, step)]

    def is_time(self, name, step):
        """True if a step can do something on a host, as far as the schedule itself can tell."""
        down = self.off | self.paused
        when = {"boot": name in self.off, "resume": name in self.paused,
                "cut": name not in self.deaf | down, "heal": name in self.deaf - down,
                "fill share": not self.full, "make room": self.full,
                "peer is off": other_than(name) in self.off and name not in down}
        needs_both = "both" in step or "against" in step
        return when.get(step, name not in down and not (needs_both and down))

    @rule(choice=st.runner().flatmap(lambda self: st.sampled_from(self.choices())),
          moment=st.integers(0, 9))
    def go_on(self, choice, moment):
        """One step on one host. (One rule, so that all are as likely.)

        The moment is that of a kill, in tenths of what the command takes.
        """
        name, step = choice
        if step == "rest":
            return
        self.begin()
        print(f"--- {name}: {step} {moment}")
        first, _, last = step.rpartition(" ")
        if step.startswith("kill -"):
            did = self.run_killed(name, last, moment)
        elif first == "start":
            did = self.start_by_hand(name, {"DHCP": self.world.dhcp_unit}.get(last, last))
        else:
            did = getattr(self, step.replace(" ", "_"))(name)
        if did is not False:
            self.done[step] += 1
        self.look()

    # ---- What administrators do ------------------------------------------------------------

    def setup(self, name):
        self.run(name, "-s")

    def activate(self, name):
        nobody = self.lease_is_free_for(name)
        code = self.run(name, "-a")
        assert code in (0, 4) or not nobody or self.full, "refused though the lease is free"

    def deactivate(self, name):
        self.run(name, "-d")

    def activate_both(self, _):
        codes = self.run_at_once(dict.fromkeys(NAMES, "-a"))
        assert [code in (0, 4) for code in codes].count(True) <= 1, codes

    def deactivate_both(self, _):
        self.run_at_once(dict.fromkeys(NAMES, "-d"))

    def setup_both(self, _):
        self.run_at_once(dict.fromkeys(NAMES, "-s"))

    def activate_against_deactivate(self, name):
        self.run_at_once({name: "-a", other_than(name): "-d"})

    def peer_is_off(self, name):
        """The one who says so has made sure of it."""
        code = self.run(name, "-a", "--peer-is-off")
        assert code in (0, 4) or name in self.deaf or self.full

    def holder(self):
        """The host that holds the lease, None if none that can be worked on does."""
        running = self.hosts.keys() - self.off - self.paused
        return next((host for name, host in self.hosts.items()
                     if name in running and self.world.holds_lease(host)), None)

    def stop_lease(self, _):
        holder = self.holder()
        return bool(holder) and holder.run("systemctl", "stop", "xcatha-lease").returncode == 0

    def start_by_hand(self, name, unit):
        """A guarded unit runs with the lease alone, for which a killed -a may leave a ticket."""
        host = self.hosts[name]
        ran = self.world.is_active(host, unit)
        started = host.run("systemctl", "start", unit).returncode == 0
        assert not started or self.world.holds_lease(host), f"{unit} started without the lease"
        return not ran

    def write(self, _):
        """A row and a file; both count from the moment that the active host says it is done."""
        host, new = self.holder(), f"new{len(self.rows) + len(self.files)}"
        if not (host and self.world.has_vip(host) and self.world.has_server(host)):
            return False
        if self.world.add_row(host, new).returncode == 0:
            self.rows.append(new)
        if host.run("tee", f"/install/{new}", input=new).returncode == 0:
            self.files.append(new)
        return True

    # ---- What machines do ------------------------------------------------------------------

    def power_off(self, name):
        self.hosts[name].power_off()
        self.off.add(name)

    def boot(self, name):
        self.hosts[name].boot()
        self.off.discard(name)
        self.deaf.discard(name)
        assert not self.world.has_server(self.hosts[name])

    def cut(self, name):
        self.world.cut(self.hosts[name])
        self.deaf.add(name)

    def heal(self, name):
        self.world.heal(self.hosts[name])
        self.deaf.discard(name)

    def pause(self, name):
        self.hosts[name].pause()
        self.paused.add(name)

    def resume(self, name):
        self.hosts[name].resume()
        self.paused.discard(name)

    def kill_holder(self, _):
        holder = self.holder()
        show = ("systemctl", "show", "-P", "MainPID", "xcatha-lease")
        pid = holder.run(*show).stdout.strip() if holder else "0"
        return pid != "0" and holder.run("kill", "-KILL", pid).returncode == 0  # 0 is this group

    def run_killed(self, name, command, moment):
        self.world.run_killed(self.hosts[name], moment / 10, *self.world.line(command))

    def fill_share(self, _):
        self.world.fill()
        self.full = True

    def make_room(self, _):
        self.world.make_room()
        self.full = False

    # ---- What must be true -----------------------------------------------------------------

    def lease_is_free_for(self, name):
        """True if nothing is in the way of a plain -a on this host."""
        free = lock_is_free(self.world.lease) or self.world.holds_lease(self.hosts[name])
        return free and name not in self.deaf

    def run(self, name, command, *more):
        """Run the script and hold what it said against what is; its exit status."""
        code, output = self.world.run(self.hosts[name], *self.world.line(command), *more)
        self.judge(name, command, code, output)
        return code

    def run_at_once(self, commands):
        """Start the script on both hosts at the same time, {host: command}; the exit codes."""
        runs = {name: self.world.start(self.hosts[name], *self.world.line(command))
                for name, command in commands.items()}
        outputs = {name: "".join(run.communicate(timeout=600)) for name, run in runs.items()}
        for name, run in runs.items():
            self.judge(name, commands[name], run.returncode, outputs[name])
        return [run.returncode for run in runs.values()]

    def judge(self, name, command, code, output):
        """The exit status is one of the contract's and tells the truth about the host."""
        print(f"{name} {command}: exit {code}")
        assert code in (0, 1, 3, 4, 5) and "Traceback" not in output, output
        facts = self.world.facts(self.hosts[name])
        if command == "-a" and code in (0, 4):
            assert facts == {"VIP": True, "server": True, "linked": True, "lock free": False}, (
                facts, output)
        if command == "-d" and code == 0:
            assert not (facts["VIP"] or facts["server"] or facts["linked"]), (facts, output)

    def look(self):
        """After each step: the watcher found nothing, status tells the truth."""
        assert not self.watcher.found, self.watcher.found
        for name in self.hosts.keys() - self.off - self.paused:
            self.look_at_status(self.hosts[name])

    def look_at_status(self, host):
        """What status says is what this machine sees, once nothing changes in the meantime."""
        for _ in range(20):
            before = self.world.facts(host)
            code, output = self.world.run(host, "--status", "--json")
            facts = self.world.facts(host)
            if before == facts:
                break
        role = json.loads(output[output.index("{"):])["role"]
        print(f"{host.name} status: {role}")
        assert role == ROLES[code]
        if role == "active":
            assert facts == {"VIP": True, "server": True, "linked": True, "lock free": False}
        if role == "standby":
            assert not (facts["VIP"] or facts["server"] or facts["linked"]), facts

    def teardown(self):
        """All is healed; a plain -a succeeds; nothing committed is missing."""
        if not self.world:
            return
        try:
            self.heal_all()
            name = next((name for name, host in self.hosts.items()
                         if self.world.holds_lease(host)), "host1")
            assert self.run(name, "-a") in (0, 4)
            self.look()
            self.look_for_committed(self.hosts[name])
            self.watcher.__exit__(None)
        finally:
            self.watcher.done.set()
            self.world.close()

    def heal_all(self):
        """Both hosts run and are on the network, and the share has room."""
        self.world.make_room()
        for name in sorted(self.paused):
            self.hosts[name].resume()
        for name in sorted(self.off):
            self.hosts[name].boot()
        for name in sorted(self.deaf - self.off):
            self.world.heal(self.hosts[name])
        self.off, self.deaf, self.paused = set(), set(), set()

    def look_for_committed(self, active):
        """Every row and file whose writing was finished is there."""
        there = self.world.rows(active)
        assert [row for row in self.rows if row not in there] == []
        install = self.world.share / "install"
        assert [file for file in self.files if (install / file).read_text() != file] == []


def run_schedules(machine, tell, examples, steps, shrink=False):
    """Run random schedules; XCATHA_SEED in the environment repeats one.

    Returns how many steps did something. A single example is always the same, so that a change is
    judged by what it changed; more are always others.
    """
    fresh = random.SystemRandom().getrandbits(32) if examples > 1 else 1
    number = int(os.environ.get("XCATHA_SEED") or fresh)
    print(f"XCATHA_SEED={number}")
    machine.done = collections.Counter()
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    # The first example of all is nothing but rest.
    run_state_machine_as_test(seed(number)(machine), settings=settings(
        max_examples=examples + 1, stateful_step_count=steps, deadline=None, database=None,
        phases=phases, suppress_health_check=list(HealthCheck), report_multiple_bugs=False))
    total = sum(machine.done.values())
    counts = ", ".join(f"{step} {count}" for step, count in sorted(machine.done.items()))
    tell(f"{machine.__name__}, XCATHA_SEED={number}: on {examples} pairs {total} steps that did "
         f"something: {counts}")
    return total
