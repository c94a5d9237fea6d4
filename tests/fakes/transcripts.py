"""What an administrator reads when a pair on fakes goes through its life: the golden transcripts.

    python -m tests.fakes.transcripts        writes them anew to tests/data/transcripts

Look at the difference before you commit it.
"""

import itertools
import pathlib
import re
import sys
import tempfile

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import cluster
from tests.pythons import CACHE

DATA = pathlib.Path(__file__).parents[1] / "data/transcripts"
# The steps that run side by side, and so end in any order.
SIDE_BY_SIDE = ("DNS  ", "DHCP  ", "Console server  ")
STATUS = ["--status"]
WRONG = "-s -p /nowhere -v 10.5.106.50 -i eth9:0 -n hamn".split()


def normalised(text):
    """A transcript without times, stamps and what is this machine's own."""
    text = text.replace(sys.executable, "python3")
    text = re.sub(r" +\d+\.\d s$", "   #.# s", text, flags=re.M)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", "TIME", text)
    text = re.sub(r"\d{8}-\d{6}", "STAMP", text)
    text = re.sub(r"(\(|planned, )\d+ s\)", r"\1# s)", text)
    text = re.sub(r"^.*nothing keeps the other node from mounting .*\n(?:  fix: .*\n)?", "", text,
                  flags=re.M)  # a word on the filesystem of this machine
    lines = itertools.groupby(text.splitlines(True), lambda line: line.startswith(SIDE_BY_SIDE))
    return "".join(line for beside, group in lines for line in (sorted(group) if beside else group))


def terminal(node, *argv):
    """The command line, what both streams show in order, and the exit code."""
    done = node.run("sh", "-c", 'exec "$@" 2>&1', "sh", *node.script(*argv))
    words = [word for word in argv if word not in ("--go-xcat", "/root/go-xcat")]
    said = f"{node.name}# python3 xcatha.py {' '.join(words)}\n{done.stdout}"
    return normalised(f"{said}exit {done.returncode}\n")


def life(host1, host2):
    """(name of a transcript, its text), one after the other."""
    yield "refusal", terminal(host1, *WRONG)
    yield "dry run of setup", terminal(host1, *SETUP, "--dryrun")
    yield "setup of the first node", terminal(host1, *SETUP)
    yield "setup of the second node", terminal(host2, *SETUP)
    yield "setup again", terminal(host2, *SETUP)
    yield "dry run of activate", terminal(host1, *ACTIVATE, "--dryrun")
    yield "activate", terminal(host1, *ACTIVATE)
    yield "activate again", terminal(host1, *ACTIVATE)
    yield "activate on the other node", terminal(host2, *ACTIVATE)
    yield "status of the active node", terminal(host1, *STATUS)
    yield "status of the standby", terminal(host2, *STATUS)
    host1.succeed("systemctl", "stop", "xcatha-lease")
    host1.succeed("systemctl", "enable", "named")
    yield "status of an inconsistent node", terminal(host1, *STATUS)
    yield "deactivate", terminal(host1, *DEACTIVATE)
    host2.plan("FAIL_ON", "systemctl start xcatd.service")
    yield "activate that fails", terminal(host2, *ACTIVATE)
    host2.heal()
    yield "guided activate", terminal(host2, "-a", "--yes")


def transcripts():
    """{file name: text} of a pair's life."""
    with tempfile.TemporaryDirectory(prefix="transcripts.", dir=CACHE) as home, cluster(
        pathlib.Path(home, "pair"), ("host1", "host2")
    ) as (host1, host2):
        return {name.replace(" ", "-") + ".txt": text for name, text in life(host1, host2)}


def main():
    texts = transcripts()
    for old in DATA.glob("*.txt"):
        old.unlink()
    for name, text in texts.items():
        (DATA / name).write_text(text)


if __name__ == "__main__":
    main()
