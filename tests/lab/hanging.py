"""A lab whose shares can hang: each host has its own from a server (FUSE) on this machine."""
import contextlib
import pathlib
import re
import signal
import subprocess

from tests.lab.image import wait_for
from tests.lab.lab import Lab

# Each call in a thread of its own: one that hangs holds up no other.
SERVER = ("bindfs", "-f", "--multithreaded")
# As an NFS server in its grace period: what is open is read and written, new opens wait.
SLOW_OPENS = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=open,openat",
              "-e", "inject=open,openat:delay_enter={}000000")


def tracers(pid):
    """The processes that trace the threads of this one, 0 for a thread that none traces."""
    found = set()
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError):  # a thread that has ended
            found.add(int(re.search(r"(?m)^TracerPid:\s+(\d+)", status.read_text())[1]))
    return found


class HangingLab(Lab):
    """A lab each of whose hosts has the share from a process on this machine: it can be stopped."""

    def __init__(self, *args):
        super().__init__(*args)
        self.servers = {}

    def share_of(self, name):
        """Where the host's server shows the share."""
        shown = self.directory / f"share-of-{name}"
        shown.mkdir()
        self.servers[name] = subprocess.Popen([*SERVER, self.share, shown])
        wait_for(shown.is_mount, 20, "bindfs")
        return shown

    def signal(self, name, number):
        """Stop the server of a host, or let it go on."""
        self.servers[name].send_signal(number)

    def slow_opens(self, name, seconds):
        """From now on, the host's server takes so long for each open; a process to be ended."""
        line = [word.format(seconds) for word in SLOW_OPENS]
        pid = self.servers[name].pid
        slow = subprocess.Popen([*line, "-p", str(pid)])
        wait_for(lambda: tracers(pid) == {slow.pid}, 20, "strace")
        return slow

    def close(self):
        for name in self.servers:
            self.signal(name, signal.SIGCONT)
        super().close()
        for server in self.servers.values():
            server.terminate()
            server.wait(20)
        self.servers.clear()
