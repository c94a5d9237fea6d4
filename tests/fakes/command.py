"""The one stand-in for every external command of a node on fakes: the name it is called by decides.

Each call is appended to the log, one Python list a line. Then a planned fault happens at its
position, or the command does its part: a small real effect (units.py, xcat.py) or the real tool.
A server in the node does all this for the program that is called, command.c.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import traceback

import units
import xcat

ADDRESS = "/run/fakes.socket"
STATE = "/var/lib/fakes"
REAL = "/usr/local/lib/fakes/real"
STREAMS = (sys.stdout, sys.stderr)
# What starts or stops units, which takes its time.
SLOW = "go-xcat makedhcp makedns pgsqlsetup restartxcatd".split()
SLOW_VERBS = "start stop restart disable enable".split()


class Caller:
    """The process that waits for the answer, as /proc shows it."""

    def __init__(self, connection):
        self.connection = connection
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid = struct.unpack("iII", credentials)[0]
        words = self.words("cmdline")
        if not words:
            raise ProcessLookupError("the caller is dead")
        self.name, self.argv = os.path.basename(words[0]), words[1:]
        self.environment = dict(word.partition("=")[::2] for word in self.words("environ"))

    def words(self, name):
        """The strings in a file such as cmdline, each ended by NUL."""
        with open(f"/proc/{self.pid}/{name}", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]

    def parent(self):
        with open(f"/proc/{self.pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])

    def is_slow(self):
        """True if other callers should not have to wait for this one's answer."""
        return (
            self.name in SLOW
            or "XCATBYPASS" in self.environment
            or self.name == "systemctl" and self.argv[0] in SLOW_VERBS
        )

    def impersonate(self):
        """From here on this process has the caller's output streams and environment."""
        for stream in STREAMS:
            with open(f"/proc/{self.pid}/fd/{stream.fileno()}", "ab") as file:
                os.dup2(file.fileno(), stream.fileno())
        os.environ.clear()
        os.environ.update(self.environment)

    def wait_for_end(self):
        """Return when the caller is dead: it never says a word."""
        self.connection.recv(1)


# ---- Faults ----------------------------------------------------------------------------------


def record(call):
    """Append the call to the log; its position, counted from 1."""
    with open(STATE + "/log", "a+") as log:
        log.seek(0)
        position = 1 + sum(1 for _ in log)
        log.write(ascii(call) + "\n")
    return position


def planned_fault(caller):
    """The fault that a test planned for this call (FAIL_AT 3, FAIL_ON hostname hamn), or None."""
    if "FAKES_UNIT" in caller.environment:
        # What a unit starts is not part of the sequence that the caller controls.
        return None
    call = [caller.name, *caller.argv]
    position = record(call)
    with open(STATE + "/fault") as plan:
        kind, _, where = plan.read().strip().partition(" ")
    fault, _, manner = kind.rpartition("_")
    hit = {
        "": lambda: False,
        "AT": lambda: position == int(where),
        "FROM": lambda: position >= int(where),
        "ON": lambda: " ".join(call).startswith(where),
    }[manner]()
    return fault if hit else None


def suffer(fault, caller):
    """Do nothing of what was asked, but fail, hang for ever, or send the caller's parent a signal.

    A lie does nothing either, and looks like success.
    After SIGHUP, which must not stop that one, the command does its part all the same.
    """
    if fault.startswith("SIG"):
        os.kill(caller.parent(), signal.Signals[fault])
    if fault == "SIGHUP":
        return
    if fault == "LIE":
        sys.exit(0)
    if fault in ("HANG", "SIGINT", "SIGTERM"):
        caller.wait_for_end()  # a parent that gets on with it ends this command
    sys.exit("fake: planned fault")


# ---- One call --------------------------------------------------------------------------------


def do_part(name, argv):
    """What the command does: its exit status, or the words of a command to become."""
    if name == "arping" and argv[0] in ("-U", "-A"):
        argv[argv.index("-c") + 1] = "1"  # repeats of an announcement only cost seconds here
    if os.path.exists(os.path.join(REAL, name)):
        return [os.path.join(REAL, name), *argv]
    stand_ins = units if name in ("systemctl", "journalctl") else xcat
    return getattr(stand_ins, name.replace("-", "_"))(argv)


def status_of(error):
    """The exit status of a program that ends with this exception, which is shown on stderr."""
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return 1
    if isinstance(error.code, str):
        print(error.code, file=sys.stderr)
        return 1
    return error.code or 0


def answer(caller, fault):
    """Do one command's part and tell its caller how it ended."""
    caller.impersonate()
    try:
        if fault:
            suffer(fault, caller)
        result = do_part(caller.name, caller.argv) or 0
    except xcat.BlockedError:
        for stream in STREAMS:
            stream.flush()
        result = 0
        caller.wait_for_end()
    except BaseException as error:
        result = status_of(error)
    for stream in STREAMS:
        stream.flush()
    words = isinstance(result, list) and "".join(word + "\0" for word in result)
    caller.connection.send(os.fsencode(words) if words else bytes([result]))


def end_with(caller):
    """End this process together with the caller."""
    caller.wait_for_end()
    os._exit(0)


def answer_apart(caller, fault):
    """Answer in a process of its own; past xCAT's daemon the caller itself does the work."""
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if "XCATBYPASS" in caller.environment:
            threading.Thread(target=end_with, args=[caller], daemon=True).start()
        try:
            answer(caller, fault)
        finally:
            os._exit(0)


def listen():
    """The socket at which stand-ins ask; any user of the node may call them."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(ADDRESS)
    os.chmod(ADDRESS, 0o666)
    listener.listen(64)
    return listener


def serve(listener):
    """Answer every call, for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    os.umask(0o022)
    own = [os.dup(stream.fileno()) for stream in STREAMS]
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # a caller may be dead by now
            caller = Caller(connection)
            fault = planned_fault(caller)
            (answer_apart if fault or caller.is_slow() else answer)(caller, fault)
        for stream, descriptor in zip(STREAMS, own):
            os.dup2(descriptor, stream.fileno())
