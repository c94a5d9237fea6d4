"""What must never be, watched continuously from this machine and never by the script's word.

A server is found by its working directory in the share, and belongs to the host whose process
namespace it is in; both are seen in /proc, on the lab's hosts and on nodes on fakes alike.
"""
import contextlib
import fcntl
import os
import pathlib
import re
import signal
import threading
import time

SERVERS = ("postgres", "postmaster", "mysqld", "mariadbd")
PAUSE = 0.02
PF_EXITING = 0x4  # linux/sched.h
KILLED = 1 << signal.SIGKILL - 1


# ---- What /proc and the share tell ---------------------------------------------------------

def process_namespace(pid):
    """What tells the processes of one host from those of all others."""
    return os.readlink(f"/proc/{pid}/ns/pid")


def identity(path):
    """What a directory is, by whatever path and in whatever mount namespace it is seen."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def is_doomed(pid):
    """True for a process that the kernel is ending: killed, as by a loss of power, or exiting.

    It runs no more code of its own, but stays in /proc until a busy machine gets to it (proc(5)).
    """
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    pending = re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)", status, re.MULTILINE)
    flags = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6])
    return bool(flags & PF_EXITING) or any(int(mask, 16) & KILLED for mask in pending)


def servers(directory):
    """{pid: process namespace} of the living database servers that work in a directory."""
    found = {}
    with contextlib.suppress(OSError):
        wanted = identity(directory)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                if (name in SERVERS and identity(f"/proc/{pid}/cwd") == wanted
                        and not is_doomed(pid)):
                    found[int(pid)] = process_namespace(pid)
    return found


def lock_is_free(lease):
    """True if nobody holds the lock of the lease's file; a look takes it for an instant."""
    try:
        descriptor = os.open(lease, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


# ---- What must never be --------------------------------------------------------------------

def servers_on_two_hosts(directory):
    """Servers of two hosts that worked in the directory at the same time, "" if there are none."""
    before = servers(directory)
    if len(set(before.values())) < 2:
        return ""
    both = {pid: host for pid, host in servers(directory).items() if before.get(pid) == host}
    return f"servers of two hosts: {both}" if len(set(both.values())) > 1 else ""


def server_without_lock(directory, lease):
    """A server that worked in the directory while the lease's lock was free, "" for none."""
    before = servers(directory)
    if not before or not lock_is_free(lease):
        return ""
    survivors = before.keys() & servers(directory).keys()
    return f"the lock is free and servers run: {survivors}" if survivors else ""


class Watcher:
    """Looks for what must never be, over and over, each look in a thread of its own.

    A look returns what is wrong, or "". At the end of the block anything found is an error.
    """

    def __init__(self, *looks):
        self.found, self.done = [], threading.Event()
        self.threads = [threading.Thread(target=self.watch, args=[look]) for look in looks]

    def watch(self, look):
        """Look until the end; an error of the look itself is found as well."""
        while not self.done.is_set():
            try:
                wrong = look()
            except Exception as error:  # a watcher that has died must not look like a clean run
                wrong = repr(error)
            if wrong:
                self.found.append(f"{time.strftime('%H:%M:%S')} {wrong}")
            time.sleep(PAUSE)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            assert not self.found, "\n".join(self.found)
