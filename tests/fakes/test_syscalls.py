"""A system call of the script's own that fails, or at which the script is killed.

strace counts and spoils the calls of the script's main thread, in which all file changes happen.
Short, a fixed share of the points; `-m long`: every call that a run makes, with every fault.
"""

import functools
import re

import pytest

from tests.fakes import losses
from tests.fakes.sweep import COMMANDS, LIMIT, finish, part_of, plant, try_each, wrong

CALLS = ("rename", "symlink", "unlink", "mkdir", "write", "fsync", "flock")
DISK = {"SIGKILL": "signal", "ENOSPC": "error", "EIO": "error", "EROFS": "error"}
FAULTS = [(call, fault) for call in CALLS[:-1] for fault in DISK] + [("flock", "ENOLCK")]
ASIDE = ".xcatha-new"  # writes of interest are those to files that get their name when complete


# ---- One point -------------------------------------------------------------------------------


def traced(node, command, *options):
    """Run the command under strace; its result and the trace."""
    script = node.script(*COMMANDS[command][3])
    done = node.run("strace", "-o", "/run/trace", "-y", *options, *script, timeout=LIMIT)
    return done, node.path("/run/trace").read_text()


@functools.lru_cache(None)
def calls_of(world, command):
    """({call: how often a run that nobody disturbs makes it}, the files that it writes aside)."""
    with world.ready_for(command, world.kept / f"trace of {command}") as node:
        done, trace = traced(node, command, "-e", "trace=" + ",".join(CALLS))
    assert done.returncode == 0, (command, done.stderr)
    written = re.findall(rf"^write\(\d+<([^>]*{ASIDE})>", trace, re.M)
    counts = {call: len(re.findall(rf"^{call}\(", trace, re.M)) for call in CALLS}
    return dict(counts, write=len(written)), sorted(set(written))


def injection(world, command, call, fault, number):
    """The options that make strace spoil the call."""
    paths = calls_of(world, command)[1] if call == "write" else []
    spoil = f"inject={call}:{DISK.get(fault, 'error')}={fault}:when={number}"
    return [word for path in paths for word in ("-P", path)] + ["-e", "trace=" + call, "-e", spoil]


def spoil(world, home, point):
    """What is wrong after a run with one call spoiled, and once it was finished."""
    command, call, fault, number = point
    options = injection(world, *point)
    with world.ready_for(command, home / " ".join(map(str, point))) as node:
        before = losses.Before(node)
        done, trace = traced(node, command, *options)
        if "(INJECTED)" not in trace and "killed by SIGKILL" not in trace:
            return ["the run did not make this call"]
        found = before.losses() + before.lies(done)
        return found + finish(before, command, fault == "SIGKILL" and number % 2)


FIXED_SHARE = [
    ("existing node", "rename", "SIGKILL", 14),
    ("existing node", "rename", "ENOSPC", 12),
    ("second setup", "symlink", "SIGKILL", 6),
    ("activate", "symlink", "EIO", 4),
    ("activate", "write", "ENOSPC", 5),
    ("deactivate", "unlink", "SIGKILL", 2),
    ("activate", "flock", "ENOLCK", 2),
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
def test_nothing_is_lost_at_some_calls(world, home):
    assert wrong(try_each(FIXED_SHARE, lambda point: spoil(world, home, point))) == {}


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("call, fault", FAULTS)
def test_nothing_is_lost_at_any_call(world, home, tally, command, call, fault):
    calls = calls_of(world, command)[0][call]
    outcomes = try_each(
        part_of(calls), lambda number: spoil(world, home, (command, call, fault, number))
    )
    tally.add(f"{call} {fault}", command, outcomes, calls)
    assert wrong(outcomes) == {}
