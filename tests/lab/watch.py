"""What the client misses while a service moves: asks for it every 20 ms.

    python -m tests.lab.watch (xcatd|dns) ADDRESS

prints the time of each answer. `Watch` runs it (and ping, for the address) on the client.
"""
import contextlib
import math
import pathlib
import socket
import sys
import time

from tests.lab.image import wait_for

REPOSITORY = pathlib.Path(__file__).parents[2]
INTERVAL, PATIENCE = 0.02, 0.2
SERVICES = ("vip", "xcatd", "dns")
# One question, recursion not desired: where is hamn.cluster.test? (RFC 1035, section 4)
NAME = "hamn.cluster.test"
QUESTION = (b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
            + b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
            + b"\x00\x00\x01\x00\x01")


def ask_xcatd(address):
    """True if xcatd takes a connection."""
    with socket.create_connection((address, 3001), PATIENCE):
        return True


def ask_dns(address):
    """True if DNS knows the name: no error and at least one answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        query.settimeout(PATIENCE)
        query.connect((address, 53))
        query.send(QUESTION)
        reply = query.recv(512)
        return reply[3] & 0x0F == 0 and reply[6:8] != b"\x00\x00"


def main(service, address):
    """Ask for ever; print the time of each answer."""
    ask = {"xcatd": ask_xcatd, "dns": ask_dns}[service]
    while True:
        asked = time.time()
        with contextlib.suppress(OSError):
            if ask(address):
                print(f"[{time.time():.3f}]", flush=True)
        time.sleep(max(0, asked + INTERVAL - time.time()))


class Watch:
    """The client's view of the address, xcatd and DNS, from now on."""

    def __init__(self, client, address):
        self.logs = {service: client.directory / f"{service}.log" for service in SERVICES}
        self.watchers = []
        commands = {service: (sys.executable, "-m", __name__, service, address)
                    for service in SERVICES}
        commands["vip"] = ("ping", "-n", "-D", "-i", str(INTERVAL), address)
        for service, command in commands.items():
            with open(self.logs[service], "w") as log:
                self.watchers.append(client.popen(*command, cwd=REPOSITORY, stdout=log,
                                                  stderr=log))

    def answers(self, service):
        """The times at which a service answered."""
        lines = self.logs[service].read_text().splitlines()
        return [float(line[1:].split("]")[0]) for line in lines
                if line.startswith("[") and "Unreachable" not in line and "]" in line]

    def wait_for_all(self, timeout=60):
        """Wait until everything answers anew."""
        now = time.time()
        for service in SERVICES:
            wait_for(lambda service=service: self.answers(service)[-1:] > [now], timeout,
                     f"answer of {service}")

    def longest_gaps(self, since):
        """For each service, the longest time without an answer after the moment `since`."""
        gaps = {}
        for service in SERVICES:
            times = [since, *(answer for answer in self.answers(service) if answer > since)]
            gaps[service] = max((after - before for before, after in zip(times, times[1:])),
                                default=math.inf)
        return gaps

    def stop(self):
        """Ask no more."""
        for watcher in self.watchers:
            watcher.kill_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
