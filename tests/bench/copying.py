"""Copies to the share: beside plain rsync, and how long an existing node is down meanwhile."""
import contextlib
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest.mock

import xcatha
from tests.bench import timeline
from tests.bench.timeline import seconds
from tests.fakes.lines import SETUP
from tests.fakes.node import cluster
from tests.pythons import CACHE

SMALL, BLOCK = 700, 8192
# Run on a node: so many files of a few bytes, a hundred in a directory.
FILL = """
import os, sys
for number in range(int(sys.argv[1])):
    folder = "/install/files/%d" % (number // 100)
    os.makedirs(folder, exist_ok=True)
    with open("%s/%d" % (folder, number), "w") as file:
        file.write("contents of %d" % number)
"""


# ---- What is copied --------------------------------------------------------------------------

def large_file(tree, size):
    """One file of 2 GB."""
    with open(tree / "image", "wb") as file:
        for _ in range(int(size * 2048)):
            file.write(random.randbytes(1 << 20))


def small_files(tree, size):
    """100 000 files, a hundred in a directory."""
    for number in range(int(size * 1000)):
        (tree / str(number)).mkdir()
        for name in range(100):
            (tree / str(number) / str(name)).write_bytes(random.randbytes(SMALL))


def sparse_database(tree, size):
    """Four files of 1 GB, each with a hundred blocks of data."""
    for number in range(max(1, int(size * 4))):
        with open(tree / f"segment.{number}", "wb") as file:
            file.truncate(1 << 30)
            for _ in range(100):
                file.seek(random.randrange(0, 1 << 30, BLOCK))
                file.write(random.randbytes(BLOCK))


def linked_trees(tree, size):
    """20 000 files, each known by three names in three trees."""
    (tree / "1").mkdir()
    small_files(tree / "1", size / 5)
    for other in ("2", "3"):
        subprocess.run(["cp", "-al", tree / "1", tree / other], check=True)


TREES = {"one file of 2 GB": large_file, "100 000 small files": small_files,
         "a sparse database": sparse_database, "hard-linked trees": linked_trees}


# ---- Beside plain rsync ----------------------------------------------------------------------

def ours(source, share):
    """The script's own copy of a directory to the share, to its last name."""
    share.mkdir()
    with unittest.mock.patch.object(xcatha, "expect_lease"):  # there is no pair here
        xcatha.copy_while_running(str(share), [str(source)])
        xcatha.copy_all(str(share), [str(source)])


def plain(source, share):
    """What an administrator would type, made durable as well.

    In a session of its own like the script's: a busy system shares its time between sessions.
    """
    share.mkdir()
    for command in (["rsync", "-aHAXS", f"{source}/", share], ["sync", "-f", share]):
        subprocess.run(command, check=True, start_new_session=True)


def timed(copy, source, share):
    """The seconds that a copy takes; it is gone afterwards."""
    began = time.monotonic()
    copy(source, share)
    took = time.monotonic() - began
    shutil.rmtree(share)
    return took


@contextlib.contextmanager
def directory():
    """A directory on a disk, gone afterwards."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench.", dir=CACHE) as name:
        yield pathlib.Path(name)


def compare(make, size, rounds):
    """Both copies of one tree, in turns: {"ours": [seconds], "plain": [seconds]}."""
    with directory() as place:
        source = place / "source"
        source.mkdir()
        make(source, size)
        subprocess.run(["sync", "-f", place], check=True)
        timed(plain, source, place / "share")  # the first reads from the disk, the others do not
        found = {"ours": [], "plain": []}
        for _ in range(rounds):
            for name, copy in (("ours", ours), ("plain", plain)):
                found[name].append(timed(copy, source, place / "share"))
    return found


# ---- The downtime of an existing node --------------------------------------------------------

def downtime(files):
    """Set up a node that has so many files in /install: when it was down, and the first pass."""
    with directory() as home, cluster(home / "nodes") as (node,):
        node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
        node.succeed("systemctl", "start", "xcatd")
        node.succeed(sys.executable, "-c", FILL, files, timeout=600)
        node.xcatha(*SETUP, env={"TZ": "UTC"}, timeout=600)
        steps = {step["what"]: step for step in timeline.steps(
            node.path("/var/log/xcatha.log").read_text())}
    return {"files": files, "down": steps["xcatd"]["ended"] - steps["Services"]["began"],
            "first pass": seconds(steps["Copy while running"]),
            "second pass": seconds(steps["Copy"])}


def measure(size, rounds):
    """All of it; size 1 is that of the goals."""
    trees = {name: compare(make, size, rounds) for name, make in TREES.items()}
    counts = [int(size * count) for count in (1000, 10000, 100000)]
    return {"size": size, "trees": trees, "downtime": [downtime(count) for count in counts]}
