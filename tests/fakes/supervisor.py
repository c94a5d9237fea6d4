"""The life of one started unit on fakes: Type=notify, WatchdogSec=, ExecStopPost=, BindsTo=.

What the main process hands over to be kept (FileDescriptorStoreMax=) is closed at the unit's end.
"""

import contextlib
import os
import re
import select
import shlex
import signal
import socket
import subprocess

import units

PREFIXES = "-@:+!"  # what may stand before the path in ExecStart=


def seconds(text):
    """A time span as systemd writes it, in the forms used here."""
    factor = {"ms": 0.001, "s": 1, "": 1, "min": 60}
    return sum(float(n) * factor[unit] for n, unit in re.findall(r"([\d.]+)\s*([a-z]*)", text))


class Supervisor:
    """One started unit: its main process, its notify socket and its end."""

    def __init__(self, name):
        self.name = name
        self.settings = units.read_unit(name)
        self.main = None
        self.wake, wakened = os.pipe()
        os.set_blocking(wakened, False)
        signal.set_wakeup_fd(wakened)
        self.stopping, self.kept = False, []
        signal.signal(signal.SIGTERM, self.stop_asked)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = f"{units.RUNNING}/{name}.notify"
        self.environment = dict(os.environ, FAKES_UNIT=name, NOTIFY_SOCKET=self.address)

    def stop_asked(self, *_):
        self.stopping = True

    def save(self, active, result="success"):
        pid = self.main.pid if self.main and active == "active" else 0
        units.save_state(
            self.name, ActiveState=active, Result=result, MainPID=pid, Supervisor=os.getpid()
        )

    def execute(self, key):
        """Run the commands of ExecStartPre= or ExecStopPost=; False as soon as one fails."""
        for line in self.settings.get(key, []):
            argv = shlex.split(line.lstrip(PREFIXES))
            code = subprocess.run(argv, env=self.environment, stdin=subprocess.DEVNULL).returncode
            if code and not line.startswith("-"):
                print(f"{self.name}: {argv[0]} exited with {code}", flush=True)
                return False
        return True

    def launch(self):
        """Start the main process; True once it is up by the rules of its Type=."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.address)
        self.notify.bind(self.address)
        argv = shlex.split(units.last(self.settings, "ExecStart", "").lstrip(PREFIXES))
        folder = units.last(self.settings, "WorkingDirectory", "/")
        if not self.execute("ExecStartPre"):
            return False
        try:
            self.main = subprocess.Popen(
                argv, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            print(f"{self.name}: {error}", flush=True)
            return False
        if units.last(self.settings, "Type", "simple") != "notify":
            return True
        return self.told(b"READY=1", seconds(units.last(self.settings, "TimeoutStartSec", "90")))

    def told(self, message, limit):
        """True once the main process sends the message; False at its end, a stop or the limit."""
        while self.main.poll() is None and not self.stopping:
            ready, _, _ = select.select([self.notify, self.wake], [], [], limit)
            if self.notify in ready and message in self.receive():
                return True
            if self.wake in ready:
                os.read(self.wake, 512)
            if not ready:
                return False
        return False

    def receive(self):
        """One message of the main process; the descriptors that come with it are kept."""
        message, descriptors, _, _ = socket.recv_fds(self.notify, 4096, 1)
        self.kept += descriptors
        return message

    def watch(self):
        """Wait for the end of the main process; the Result= systemd would give."""
        limit = seconds(units.last(self.settings, "WatchdogSec", "0")) or None
        while self.told(b"WATCHDOG=1", limit):
            pass
        if self.stopping:
            return "success"
        if self.main.poll() is None:
            return "watchdog"
        return "exit-code" if self.main.returncode > 0 else "signal" * bool(self.main.returncode)

    def end(self, result):
        """Stop what is left of the unit and what is bound to it."""
        if self.main and self.main.poll() is None:
            self.main.send_signal(signal.SIGABRT if result == "watchdog" else signal.SIGTERM)
            try:
                self.main.wait(seconds(units.last(self.settings, "TimeoutStopSec", "30")))
            except subprocess.TimeoutExpired:
                self.main.kill()
                self.main.wait()
        self.execute("ExecStopPost")
        result = result or "success"
        self.save("inactive" if result == "success" else "failed", result)
        for unit in units.bound_to(self.name):
            units.stop(unit)
        for descriptor in self.kept:
            os.close(descriptor)

    def run(self, report):
        """The whole life of the unit; report is told once the start has succeeded or failed."""
        self.save("activating")
        if not self.launch():
            self.end("success" if self.stopping else "exit-code")
            os.write(report, b"failed")
            return
        self.save("active")
        with contextlib.suppress(BrokenPipeError):  # systemctl was killed, its job goes on
            os.write(report, b"active")
        os.close(report)
        self.end(self.watch())


def spawn(name):
    """Start a unit under a supervisor that outlives this process; True if it became active."""
    os.makedirs(units.RUNNING, exist_ok=True)
    answer, report = os.pipe()
    if os.fork() == 0:
        os.close(answer)
        os.setsid()
        if os.fork() == 0:
            journal = os.open(
                f"{units.RUNNING}/{name}.journal", os.O_CREAT | os.O_WRONLY | os.O_APPEND
            )
            os.dup2(journal, 1)
            os.dup2(journal, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            Supervisor(name).run(report)
        os._exit(0)
    os.close(report)
    with os.fdopen(answer, "rb") as file:
        return file.read() == b"active"


def end(pid):
    """Ask a supervisor to stop its unit, and wait until it has."""
    with contextlib.suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        os.kill(pid, signal.SIGTERM)
        select.select([watched], [], [])
