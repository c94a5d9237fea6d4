"""What the tests see from outside while something happens: a line of JSON for each look.

    python -m tests.vm.watch (agents|client)

agents: what the virtual machines say of themselves (agent.py); client: whether the database answers
at the VIP.
"""
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time

from tests.lab.image import in_cgroup, wait_for
from tests.lab.pair import VIP

REPOSITORY = pathlib.Path(__file__).parents[2]
# Each look that succeeds costs an emulated processor a new server process.
INTERVAL, SELDOM, PATIENCE = 1, 15, 2
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"


def database_answers():
    """True if a PostgreSQL server says whether it speaks TLS."""
    with socket.create_connection((VIP, 5432), PATIENCE) as server:
        server.sendall(SSL_REQUEST)
        return server.recv(1) in (b"S", b"N")


def client():
    """Look at the VIP for ever; seldom while it answers."""
    while True:
        seen = {"time": time.time(), "database": False}
        with contextlib.suppress(OSError):
            seen["database"] = database_answers()
        print(json.dumps(seen), flush=True)
        time.sleep(SELDOM if seen["database"] else INTERVAL)


def agents():
    """Write down what the machines say, with the time at which it came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 9999))
        while True:
            word = json.loads(server.recv(2000))
            print(json.dumps({"time": time.time(), **word}), flush=True)


class Watch:
    """Both looks, from now on; the log files stay for a reader until the rack is closed."""

    def __init__(self, rack):
        self.logs = {name: rack.directory / f"{name}.log" for name in ("agents", "client")}
        commands = {"agents": rack.network.inside(sys.executable, "-m", __name__, "agents"),
                    "client": [*rack.client.entry(), sys.executable, "-m", __name__, "client"]}
        self.watchers = []
        for name, command in commands.items():
            with open(self.logs[name], "w") as log:
                self.watchers.append(subprocess.Popen(
                    in_cgroup(rack.client.cgroup, *command), cwd=REPOSITORY, stdout=log,
                    stdin=subprocess.DEVNULL, stderr=log))

    def looks(self, name, since=0):
        """What was seen after a moment of time.time()."""
        lines = self.logs[name].read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [look for look in found if look["time"] > since]

    def node(self, name, since=0):
        """What a node said of itself after a moment; "server": processes of the database."""
        return [{**look, "server": look["postgres"] + look["postmaster"]}
                for look in self.looks("agents", since) if look["host"] == name]

    def serving(self, since, timeout=600):
        """The seconds from a moment until the database answered at the VIP after a silence."""
        def found():
            looks = [(look["time"] - since, look["database"])
                     for look in self.looks("client", since)]
            return [moment for (_, before), (moment, answers) in zip(looks, looks[1:])
                    if answers and not before]
        return round(wait_for(found, timeout, f"database at {VIP}", 0.5)[0], 1)

    def spells(self, host, what, since):
        """[(first, last)] of the moments between which a node always said that it has something."""
        found, on = [], False
        for look in self.node(host, since):
            if look[what] and on:
                found[-1] = (found[-1][0], look["time"])
            elif look[what]:
                found.append((look["time"], look["time"]))
            on = bool(look[what])
        return found

    def both(self, since):
        """When both nodes had the VIP, or a database server, at the same time."""
        return [(what, round(max(one[0], other[0]) - since, 1),
                 round(min(one[1], other[1]) - since, 1))
                for what in ("vip", "server")
                for one in self.spells("host1", what, since)
                for other in self.spells("host2", what, since)
                if max(one[0], other[0]) < min(one[1], other[1])]

    def last(self, host, what, since):
        """Seconds from a moment until a node said for the last time that it has something."""
        spells = self.spells(host, what, since)
        return round(spells[-1][1] - since, 1) if spells else 0

    def stop(self):
        """Look no more."""
        for watcher in self.watchers:
            watcher.kill()
            watcher.wait()


if __name__ == "__main__":
    {"agents": agents, "client": client}[sys.argv[1]]()
