"""What the sweeps share: states to start from, commands to spoil, the verdict on one spoiled run.

A sweep spoils one call of a run, for each call that an untouched run makes.
"""

import concurrent.futures
import contextlib
import os
import shutil

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import cluster, freeze

PAIR = ("host1", "host2")
WORKERS = 3
LIMIT = 300  # seconds for one run of the script
# SWEEP_PART=2/5 in the environment: the second of every five points.
PART, PARTS = map(int, os.environ.get("SWEEP_PART", "1/1").split("/"))
XCATD = ["systemctl", "start", "xcatd"]
# {command: (state to start from, node, what is run before, options of the script)}
COMMANDS = {
    "first setup": ("fresh", "host1", [], SETUP),
    "existing node": ("existing", "host1", XCATD, SETUP),
    "second setup": ("half", "host2", [], SETUP),
    "activate": ("pair", "host1", [], ACTIVATE),
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


class World:
    """Frozen states, and nodes that start from them."""

    def __init__(self, kept):
        self.kept = kept
        with self.make("fresh") as nodes:
            for node in nodes:
                node.silence()
        with self.make("existing", "fresh") as nodes:
            make_existing(nodes)
        with self.make("half", "existing") as (host1, _):
            host1.succeed(*XCATD)
            host1.xcatha(*SETUP)
        with self.make("pair", "half") as (_, host2):
            host2.xcatha(*SETUP)
            plant(host2.share, "shared")

    @contextlib.contextmanager
    def make(self, state, start=None):
        """A cluster in one state, kept as another at the end of the block."""
        with cluster(self.kept / f"work {state}", PAIR, start and self.kept / start) as nodes:
            yield nodes
            freeze(nodes, self.kept / state)

    @contextlib.contextmanager
    def ready_for(self, command, home):
        """The node on which the command comes next; gone at the end of the block."""
        state, name, first, _ = COMMANDS[command]
        with cluster(home, [name], self.kept / state) as (node,):
            if first:
                node.succeed(*(node.script(*first) if first[0].startswith("-") else first))
            yield node
        shutil.rmtree(home)


# ---- Verdict ---------------------------------------------------------------------------------


def finish(before, command, by_standby=False):
    """What is wrong once the same command was run again, after -d if the node shall stand by."""
    node, found, line = before.node, [], COMMANDS[command][3]
    for one in [DEACTIVATE, line] if by_standby else [line]:
        done = node.run(*node.script(*one), timeout=LIMIT)
        good = losses.is_active(node) if one == ACTIVATE else losses.is_standby(node)
        if done.returncode or not good:
            left = losses.left_on_standby(node)
            found.append(f"{one[0]} again: exit {done.returncode}, {done.stderr}, here: {left}")
        found += before.losses()
    return found


def part_of(number):
    """The points from 1 to this number that are this run's part: all, unless told otherwise."""
    return range(PART, number + 1, PARTS)


def try_each(points, spoil):
    """{point: what is wrong after it}, several at a time; a point that is not reached is wrong."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(points, pool.map(spoil, points)))


def wrong(outcomes):
    """The part of the outcomes that names what is wrong."""
    return {point: found for point, found in outcomes.items() if found}


# ---- Report ----------------------------------------------------------------------------------


class Tally:
    """Points and survivors of every fault and command, printed at once and as a table at the end.

    At once, because a run of all takes hours.
    """

    def __init__(self, show):
        self.show, self.rows = show, {}

    def add(self, fault, command, outcomes, possible=None):
        """Count a sweep, which tried all the possible points or a part of them."""
        survived = len(outcomes) - len(wrong(outcomes))
        self.rows.setdefault(fault, {})[command] = f"{survived} of {len(outcomes)}"
        for point, found in wrong(outcomes).items():
            self.show(f"{command}, {fault}, {point}: {found}")
        tried = f"{len(outcomes)} of {possible or len(outcomes)} points"
        self.show(f"{command}, {fault}: {tried}, {survived} survived")

    def table(self):
        heads = ["survived", *COMMANDS]
        lines = [
            [fault] + [row.get(name, "-") for name in COMMANDS] for fault, row in self.rows.items()
        ]
        return "\n".join("".join(f"{cell:<18}" for cell in line) for line in [heads, *lines])
