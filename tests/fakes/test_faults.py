"""An external command of the script's that goes wrong: at every position, in every way.

Whatever happened: nothing is lost, the exit code and the output told the truth, and the same
command again (or -d, after a kill) finishes the job. Short, a fixed share of the points; all of
them with `-m long`.
"""

import functools
import itertools

import pytest

from tests.fakes import losses
from tests.fakes.lines import DEACTIVATE
from tests.fakes.sweep import COMMANDS, LIMIT, PART, PARTS, finish, part_of, try_each, wrong
from tests.shortened import SCRIPT, shortened

FAULTS = ("SIGKILL_AT", "FAIL_AT", "FAIL_FROM", "SIGINT_AT", "HANG_AT", "SIGTERM_AT")
# So that a command that hangs, or is asked again and again, costs seconds.
SHORT = shortened(
    ASK_LIMIT=5,
    DO_LIMIT=5,
    SERVICE_LIMIT=5,
    RECOVERY_LIMIT=5,
    MAKER_LIMIT=20,
    SHARE_LIMIT=3,
    INSTALL_LIMIT=20,
    COPY_LIMIT=20,
)
PUT_BACK = (1, 3)  # exit codes that promise a node as it was found, which lies() has checked
RETRIED = 4  # of so many such points, one runs the command again all the same
ATTEMPTS = 3
SHARE = 25  # of so many points, the short tests try one
GRID = 15  # a second fault: every so many positions of the first, and of the second
SECOND = ("SIGKILL_AT", "FAIL_FROM")


@functools.lru_cache(None)
def calls_of(world, command):
    """The external commands of a run that nobody disturbs."""
    with world.ready_for(command, world.kept / f"calls of {command}") as node:
        earlier = len(node.calls())
        node.xcatha(*COMMANDS[command][3])
        return node.calls()[earlier:]


def run_spoiled(node, line, fault, at):
    """Run the script with a fault at its n-th call; (True if it made that call, the result)."""
    script = node.path("/root/xcatha.py")
    script.write_text(SHORT)
    earlier = len(node.calls())
    node.plan(fault, at)
    done = node.run(*node.script(*line), timeout=LIMIT)
    node.heal()
    script.write_text(SCRIPT.read_text())
    return len(node.calls()) - earlier >= at, done


def spoil(world, home, command, fault, at, by_standby=False):
    """What is wrong after a run with a fault at its n-th call, and once it was finished.

    How often a run looks before a service is up or down differs, and so does the number of the
    last calls: they are tried for again.
    """
    for attempt in range(ATTEMPTS):
        where = home / f"{command} {fault} {at} {attempt}"
        with world.ready_for(command, where) as node:
            before = losses.Before(node)
            reached, done = run_spoiled(node, COMMANDS[command][3], fault, at)
            if not reached:
                continue
            found = before.losses() + before.lies(done)
            if done.returncode in PUT_BACK and at % RETRIED:
                return found
            return found + finish(before, command, by_standby)
    return ["no run made so many calls"]


def spoil_recovery(world, home, command, fault, first):
    """{(position of a kill, position of a fault in the recovery): what is wrong then}."""
    outcomes, line = {}, COMMANDS[command][3]
    for second in itertools.count(1 + first % 7, GRID):
        with world.ready_for(command, home / f"{command} {fault} {first} {second}") as node:
            before = losses.Before(node)
            run_spoiled(node, line, "SIGKILL_AT", first)
            killed = losses.Before(node)
            recovery = DEACTIVATE if first % 2 else line
            reached, done = run_spoiled(node, recovery, fault, second)
            if not reached:
                return outcomes
            found = before.losses() + killed.lies(done)
            outcomes[first, second] = found + finish(before, command, second % 2)
    return outcomes


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number, command", enumerate(COMMANDS))
def test_fault_at_some_calls(world, home, number, command):
    points = range(1 + number, len(calls_of(world, command)) + 1, SHARE)
    faults = dict(zip(points, itertools.cycle(FAULTS)))
    outcomes = try_each(
        points,
        lambda at: spoil(
            world, home, command, faults[at], at, faults[at] == "SIGKILL_AT" and at % 2
        ),
    )
    assert wrong(outcomes) == {}


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", [*FAULTS, "SIGKILL_AT, then -d"])
def test_fault_at_every_call(world, home, tally, command, fault):
    calls, (kind, by_standby, _) = len(calls_of(world, command)), fault.partition(", then -d")
    outcomes = try_each(
        part_of(calls), lambda at: spoil(world, home, command, kind, at, by_standby)
    )
    tally.add(fault, command, outcomes, calls)
    assert wrong(outcomes) == {}


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", SECOND)
def test_second_fault_during_the_recovery_from_a_kill(world, home, tally, command, fault):
    firsts = range(GRID // 2, len(calls_of(world, command)) + 1, GRID)[PART - 1 :: PARTS]
    rows = try_each(firsts, lambda at: spoil_recovery(world, home, command, fault, at))
    outcomes = {point: found for row in rows.values() for point, found in row.items()}
    tally.add(f"SIGKILL, {fault}", command, outcomes)
    assert set(firsts) <= {first for first, _ in outcomes}
    assert wrong(outcomes) == {}
