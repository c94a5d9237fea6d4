"""A system call of the script's own that fails, or at which the script is killed.

strace counts and spoils the calls of the script's main thread, in which all file changes happen.
Short, a fixed share of the points; `-m long`: every call that a run makes, with every fault.
"""

import contextlib
import itertools
import os
import re
import shutil

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import cluster, freeze

PAIR = ("host1", "host2")
CALLS = ("rename", "symlink", "unlink", "mkdir", "write", "fsync")
FAULTS = {"SIGKILL": "signal", "ENOSPC": "error", "EIO": "error", "EROFS": "error"}
ASIDE = ".xcatha-new"  # writes of interest are those to files that get their name when complete
# (state to start from, node, what is run before, the command)
COMMANDS = {
    "first setup": ("existing", "host1", ["systemctl", "start", "xcatd"], SETUP),
    "second setup": ("half", "host2", ["true"], SETUP),
    "activate": ("pair", "host1", ["true"], ACTIVATE),
    "deactivate": ("pair", "host1", ACTIVATE, DEACTIVATE),
}


# ---- States ----------------------------------------------------------------------------------


def plant(top, name):
    """A file of its own content in each of the directories below top, one in an older backup."""
    for directory in losses.DIRECTORIES:
        place = top / directory / "below"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name} {directory}\n")
    backup = top / "install.xcatbak"
    backup.mkdir(exist_ok=True)
    (backup / f"old {name}").write_text(f"{name} of long ago\n")


def make_existing(nodes):
    """host1 has been a management node for long, and half a copy of it was made once."""
    host1, host2 = nodes
    host1.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    for path in ("install.xcatha-partial", "var/lib/pgsql.xcatha-partial"):
        (host1.share / path).mkdir(parents=True)
        (host1.share / path / "stale").write_text("of an earlier attempt\n")
    for node in nodes:
        plant(node.path("/"), f"precious of {node.name}")
        os.chown(node.path("/var/lib/pgsql"), 26, 26)  # as the database's package makes it


def traced(node, line, *options):
    """Run the script under strace; its result and the trace."""
    script = node.script(*line)
    done = node.run("strace", "-o", "/run/trace", "-y", *options, *script, timeout=600)
    return done, node.path("/run/trace").read_text()


class World:
    """Frozen states to start from, and what the script calls in a run that nobody disturbs."""

    def __init__(self, kept):
        self.kept, self.points, self.asides = kept, {}, {}
        with self.stage(None, "existing") as nodes:
            make_existing(nodes)
        with self.stage("existing", "half") as (host1, _):
            host1.succeed("systemctl", "start", "xcatd")
            self.learn("first setup", host1)
        with self.stage("half", "pair") as (_, host2):
            self.learn("second setup", host2)
            plant(host2.share, "shared")
        with cluster(kept / "work", PAIR, kept / "pair") as (host1, _):
            self.learn("activate", host1)
            self.learn("deactivate", host1)

    @contextlib.contextmanager
    def stage(self, start, end):
        """A cluster in one state, kept as another at the end of the block."""
        with cluster(self.kept / f"work {end}", PAIR, start and self.kept / start) as nodes:
            yield nodes
            freeze(nodes, self.kept / end)

    def learn(self, command, node):
        """Run a command untouched and note how often it makes each call."""
        line = COMMANDS[command][3]
        done, trace = traced(node, line, "-e", "trace=" + ",".join(CALLS))
        assert done.returncode == 0, (command, done.stderr)
        written = re.findall(rf"^write\(\d+<([^>]*{ASIDE})>", trace, re.M)
        self.asides[command] = sorted(set(written))
        self.points[command] = {call: len(re.findall(rf"^{call}\(", trace, re.M)) for call in CALLS}
        self.points[command]["write"] = len(written)


@pytest.fixture(scope="session")
def world(kept):
    own = kept / "syscalls"
    own.mkdir()
    return World(own)


# ---- One point -------------------------------------------------------------------------------


def injection(world, command, call, fault, number):
    """The options that make strace spoil the call."""
    paths = world.asides[command] if call == "write" else []
    spoil = f"inject={call}:{FAULTS[fault]}={fault}:when={number}"
    return [word for path in paths for word in ("-P", path)] + ["-e", "trace=" + call, "-e", spoil]


def check_again(before, command, line, fault):
    """The same command, or after a kill every other time -d first, ends well and lost nothing."""
    node, found = before.node, []
    for one in [DEACTIVATE, line] if fault == "SIGKILL -d" else [line]:
        done = node.run(*node.script(*one), timeout=600)
        good = losses.is_active(node) if one == ACTIVATE else losses.is_standby(node)
        if done.returncode or not good:
            left = losses.left_on_standby(node)
            found.append(f"{one[0]} again: exit {done.returncode}, {done.stderr}, here: {left}")
        found += before.losses()
    return found


def spoil(world, home, command, call, fault, number):
    """Run a command with one call spoiled; (True if it made that call, what is wrong then)."""
    state, name, first, line = COMMANDS[command]
    with cluster(home, PAIR, world.kept / state) as nodes:
        node = nodes[PAIR.index(name)]
        node.succeed(*(node.script(*first) if first[0].startswith("-") else first))
        before = losses.Before(node)
        done, trace = traced(node, line, *injection(world, command, call, fault, number))
        reached = "(INJECTED)" in trace or "killed by SIGKILL" in trace
        if not reached:
            return False, []
        found = before.losses() + before.lies(done)
        by_standby = fault == "SIGKILL" and number % 2
        found += check_again(before, command, line, fault + " -d" * by_standby)
    shutil.rmtree(home)
    return True, found


FIXED_SHARE = [
    ("first setup", "rename", "SIGKILL", 14),
    ("first setup", "rename", "ENOSPC", 12),
    ("second setup", "symlink", "SIGKILL", 6),
    ("activate", "symlink", "EIO", 4),
    ("activate", "write", "ENOSPC", 5),
    ("deactivate", "unlink", "SIGKILL", 2),
]


def test_judge_notices_a_file_that_is_gone(members):
    host1, _ = members
    plant(host1.path("/"), "precious")
    before = losses.Before(host1)
    host1.succeed("rm", "/tftpboot/below/precious")
    assert "lost" in before.losses()[0]


def test_judge_notices_a_half_copy_under_a_final_name(members):
    host1, _ = members
    plant(host1.share, "precious")
    before = losses.Before(host1)
    host1.succeed("mkdir", "/HA/install.xcatha-partial", "/HA/tftpboot/stale")
    host1.succeed("mv", "/HA/install/below/precious", "/HA/install.xcatha-partial")
    host1.succeed("touch", "/HA/tftpboot/stale/file")
    lacking, old = before.losses()
    assert "share/install lacks below/precious" in lacking
    assert "tftpboot holds stale/file" in old


def test_judge_notices_a_node_that_is_not_as_it_was_found(members):
    host1, _ = members
    before = losses.Before(host1)
    host1.succeed("ip", "address", "add", "10.5.106.50/8", "dev", "eth0")
    host1.succeed("mv", "/install", "/install.xcatbak")
    host1.succeed("systemctl", "start", "named")
    found = before.differences()
    assert {"addresses", "install", "units [] -> ['named']"} <= set(found)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", FIXED_SHARE, ids=lambda point: "{} {} {} {}".format(*point))
def test_nothing_is_lost_at_this_call(world, home, point):
    assert spoil(world, home / "cluster", *point) == (True, [])


def show(capsys, line):
    """Print at once, not at the end of some hours."""
    with capsys.disabled():
        print("\n" + line)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_lost_at_any_call(world, home, capsys, command, call, fault):
    found = {}
    for number in itertools.count(1):
        reached, wrong = spoil(world, home / str(number), command, call, fault, number)
        if not reached:
            break
        found[number] = wrong
        if wrong:
            show(capsys, f"{command}, {call}, {fault}, {number}: {wrong}")
    survived = sum(not wrong for wrong in found.values())
    show(capsys, f"{command}, {call}, {fault}: {len(found)} points, {survived} survived")
    assert {number: wrong for number, wrong in found.items() if wrong} == {}
    assert len(found) == world.points[command][call]
