"""A command that fails at its k-th external call, for every k; long, so left out by default.

Whatever happened: the exit code told the truth, and the same command again finishes the job.
"""

import itertools
import shutil
import signal

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import cluster
from tests.fakes.test_commands import DIRECTORIES

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

# What a failed run may leave changed: regenerated files, its own notes, and of a first setup the
# new packages with all that they brought.
MAY_STAY = ("HA", "run", "var/lib/xcatha", "etc/dhcp", "etc/named.conf")
PACKAGES = ("usr", "opt", "etc/systemd/system/multi-user.target.wants") + tuple(
    directory.lstrip("/") for directory in DIRECTORIES
)
DONE, FAILED, REFUSED, DEGRADED, INCOMPLETE = 0, 1, 3, 4, 5


def left_changed(node, before):
    """What a failed run should have put back and did not."""
    new = () if "opt/xcat" in before else PACKAGES
    was_standby = not before.get("etc/xcat", "-")[0].startswith("l")
    changed = node.changes_since(before, rewritten=False)
    left = [name for name in changed if not name.startswith(MAY_STAY + new)]
    backups = [name for name in changed if ".xcatbak" in name]
    links = [path for path in DIRECTORIES if node.path(path).is_symlink()]
    return left + backups + (links if was_standby else [])


def lies(node, before, done):
    """How a failed run's exit code contradicts what is seen of the node."""
    if "Traceback" in done.stderr:
        return "a traceback"
    if done.returncode in (FAILED, REFUSED):
        left = left_changed(node, before)
        return f"exit {done.returncode}, but changed: {left[:5]}" if left else ""
    allowed = (DONE, DEGRADED, INCOMPLETE, -signal.SIGKILL)
    return "" if done.returncode in allowed else f"exit {done.returncode}"


def try_fault(node, line, fault, at):
    """Run a command with a fault; (True if the fault was reached, what is wrong afterwards)."""
    before, position = node.picture(), len(node.calls()) + at
    node.plan(fault, at)
    done = node.run(*node.script(*line), timeout=300)
    reached = len(node.calls()) >= position
    node.heal()
    wrong = lies(node, before, done)
    again = node.run(*node.script(*line), timeout=300)
    if again.returncode:
        wrong += f"; the same command again: exit {again.returncode}, {again.stderr}"
    return reached, wrong


def sweep(home, set_up, lines, fault):
    """Try a fault at every position of the last of these commands; what went wrong at which."""
    found = []
    *earlier, line = lines
    for at in itertools.count(1):
        with cluster(home / str(at), ["host1"], set_up) as (node,):
            for one in earlier:
                node.xcatha(*one)
            position = len(node.calls()) + at - 1
            reached, wrong = try_fault(node, line, fault, at)
            if not reached:
                return "\n".join(found)
            if wrong:
                found.append(f"{at}: {' '.join(node.calls()[position])}: {wrong}")
        shutil.rmtree(home / str(at))
    return found


@pytest.mark.parametrize("fault", ["FAIL_AT", "FAIL_FROM", "SIGKILL_AT"])
@pytest.mark.parametrize(
    "lines", [[DEACTIVATE], [ACTIVATE], [ACTIVATE, DEACTIVATE]], ids=["standby", "activate", "off"]
)
def test_fault_at_every_call_of_a_member(home, set_up, lines, fault):
    assert sweep(home, set_up, lines, fault) == ""


@pytest.mark.parametrize("fault", ["FAIL_AT", "FAIL_FROM", "SIGKILL_AT"])
def test_fault_at_every_call_of_the_first_setup(home, fault):
    assert sweep(home, None, [SETUP], fault) == ""
