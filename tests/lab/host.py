"""What tests do with the machines of the lab: run commands on them, and host verbs."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from tests.lab import image
from tests.lab.image import in_cgroup, wait_for

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root",
               "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
NSPAWN_ENVIRONMENT = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
                      "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}


def children(pid):
    """The processes that `pid` has started."""
    try:
        return [int(child) for child in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Process(subprocess.Popen):
    """A command running on a machine of the lab; signals reach the command itself."""

    def send_signal(self, sig):
        """Send `sig` to the command, not to the tool that entered the machine for it."""
        for child in children(self.pid) or [self.pid]:
            os.kill(child, sig)

    def kill_group(self):
        """Kill the command and what it started."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class Machine:
    """Something commands run on: argument lists, never a shell; output is text."""

    name = None
    cgroup = None

    def entry(self):
        """The command that enters the machine."""
        raise NotImplementedError

    def popen(self, *argv, env=None, **options):
        """Start a command and return its Process; both outputs are pipes unless told."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, **options}
        return Process(in_cgroup(self.cgroup, *self.entry(), *argv), text=True,
                       errors="replace", env={**ENVIRONMENT, **(env or {})},
                       start_new_session=True, **options)

    def run(self, *argv, timeout=300, env=None, input=None):
        """Run a command and return its CompletedProcess, whatever it did."""
        # Files, not pipes: a daemon that inherits them must not hold up the caller.
        with tempfile.TemporaryFile("w+", errors="replace") as stdin, \
                tempfile.TemporaryFile("w+", errors="replace") as stdout, \
                tempfile.TemporaryFile("w+", errors="replace") as stderr:
            stdin.write(input or "")
            for file in (stdin, stdout, stderr):
                file.seek(0)
            process = self.popen(*argv, env=env, stdin=stdin, stdout=stdout, stderr=stderr)
            try:
                process.wait(timeout)
            except BaseException as error:
                process.kill_group()
                if isinstance(error, subprocess.TimeoutExpired):
                    error.stdout, error.stderr = contents(stdout), contents(stderr)
                raise
            return subprocess.CompletedProcess(argv, process.returncode, contents(stdout),
                                               contents(stderr))

    def succeed(self, *argv, **options):
        """Run a command that must exit 0; what it printed on stdout."""
        result = self.run(*argv, **options)
        assert result.returncode == 0, self.report(result)
        return result.stdout

    def fail(self, *argv, code=None, **options):
        """Run a command that must fail, with exit status `code` if given; its result."""
        result = self.run(*argv, **options)
        expected = result.returncode != 0 if code is None else result.returncode == code
        assert expected, self.report(result)
        return result

    def wait_until(self, *argv, timeout=30):
        """Repeat a command until it exits 0."""
        wait_for(lambda: self.run(*argv).returncode == 0, timeout,
                 f"{self.name}: {' '.join(map(str, argv))}")

    def report(self, result):
        """What a command did, for the reader of a failed test."""
        return (f"{self.name}: {' '.join(map(str, result.args))}: exit {result.returncode}\n"
                f"--- stdout\n{result.stdout}--- stderr\n{result.stderr}")

    def console(self, node, server, typed, answer, timeout=5):
        """Type a line on a node's console, through the console server; wait for the answer."""
        screen = self.directory / "screen"
        with open(screen, "w") as output:
            session = self.popen("console", "-n", "-M", server, "-p", "3109", node,
                                 stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            session.stdin.write(f"{typed}\r")
            session.stdin.flush()
            wait_for(lambda: answer in screen.read_text(errors="replace"), timeout,
                     f"{answer!r} on the console of {node}")
        finally:
            session.kill_group()


def contents(file):
    """Everything in a file."""
    file.seek(0)
    return file.read()


class Host(Machine):
    """A management node: its disk, its network, and systemd as its first process."""

    def __init__(self, lab, name, address, share_at):
        self.name, self.address, self.share_at = name, address, share_at
        self.network, self.share = lab.network, lab.share_of(name)
        self.machine = f"{lab.name}-{name}"
        self.directory = lab.directory / name
        self.root, self.upper = self.directory / "root", self.directory / "upper"
        self.cgroup_top = image.cgroup_root() / lab.name / name
        self.cgroup = self.cgroup_top / "payload/lab"
        self.nspawn = self.pid = None
        for directory in (self.root, self.upper, self.directory / "work"):
            directory.mkdir(parents=True)
        image.mount_overlay(self.root, lab.lowers(name), self.upper, self.directory / "work")

    def entry(self):
        """The command that enters the host."""
        assert self.pid, f"{self.name} is powered off"
        return ["nsenter", "-t", str(self.pid), "-a", "--wdns=/root", "--"]

    def xcat(self, *argv, **options):
        """Run an xCAT command, found as in a login shell, that must exit 0; its stdout."""
        return self.succeed(*argv, env={"PATH": f"/opt/xcat/bin:/opt/xcat/sbin:{PATH}"}, **options)

    def boot(self):
        """Power the host on and wait until systemd has started everything."""
        self.power_on()
        self.wait_up()

    def power_on(self):
        """Start the host; it boots on its own from here."""
        assert not self.pid, f"{self.name} is powered on already"
        self.network.plug(self.name, self.address)
        self.cgroup_top.mkdir(parents=True, exist_ok=True)
        with open(self.directory / "console.log", "a") as console:
            self.nspawn = subprocess.Popen(
                in_cgroup(self.cgroup_top, "systemd-nspawn", *self.nspawn_options(), "-b"),
                env={**ENVIRONMENT, **NSPAWN_ENVIRONMENT}, stdin=subprocess.DEVNULL,
                stdout=console, stderr=console, start_new_session=True)
        self.pid = wait_for(self.find_init, 20, f"{self.name}: first process of systemd")
        self.cgroup.mkdir(exist_ok=True)

    def nspawn_options(self):
        """No machined, no private user ids, the prepared network namespace, the share."""
        return ["--quiet", "--register=no", "--keep-unit", "--private-users=no",
                "--capability=all", "--console=pipe", "--resolv-conf=off", "--timezone=off",
                "--link-journal=no", "-D", self.root, "-M", self.machine,
                f"--hostname={self.name}", f"--bind={self.share}:{self.share_at}",
                f"--network-namespace-path=/run/netns/{self.network.namespace(self.name)}"]

    def find_init(self):
        """The pid of the host's systemd, once the container's set-up has made way for it."""
        if self.nspawn.poll() is not None:
            raise RuntimeError(f"{self.name} does not start:\n{self.last_lines()}")
        for child in children(self.nspawn.pid):
            # A helper of nspawn's set-up may be gone by the time it is looked at.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if runs_systemd(pathlib.Path(f"/proc/{child}/status").read_text()):
                    return child
        return None

    def last_lines(self):
        """The last lines of the host's own console."""
        return (self.directory / "console.log").read_text(errors="replace")[-2000:]

    def wait_up(self, timeout=60):
        """Wait until systemd has started what starts at boot."""
        def up():
            state = self.run("systemctl", "is-system-running", timeout=timeout).stdout.strip()
            return state in ("running", "degraded")
        wait_for(up, timeout, f"{self.name}: boot")

    def power_off(self):
        """Pull the plug: the cable first, then everything at once."""
        self.cut()
        self.kill()

    def kill(self):
        """End a host in whatever state it is, even half booted or paused."""
        if self.nspawn:
            os.kill(self.pid or self.nspawn.pid, signal.SIGKILL)
            self.wait_off()

    def shutdown(self):
        """Shut down in order."""
        self.stop_with("poweroff")

    def reboot(self):
        """Shut down in order and boot again."""
        self.stop_with("reboot")
        self.boot()

    def stop_with(self, verb):
        """Tell systemd to stop everything and wait for the host to be off."""
        self.run("systemctl", verb)
        self.wait_off()

    def wait_off(self, timeout=120):
        """Wait until the host is gone, and take its network away."""
        self.nspawn.wait(timeout)
        self.nspawn = self.pid = None
        self.network.unplug(self.name)
        forget_container(self.machine)
        image.remove_cgroup(self.cgroup_top)

    def cut(self):
        """Pull the network cable."""
        self.network.set_cable(self.name, "down")

    def heal(self):
        """Put the network cable back."""
        self.network.set_cable(self.name, "up")

    def pause(self):
        """Freeze every process of the host, as a hypervisor does."""
        self.freeze_cgroup("1")

    def resume(self):
        """Let a paused host go on."""
        self.freeze_cgroup("0")

    def freeze_cgroup(self, frozen):
        """Set the freezer of everything in the host and wait until the kernel says so."""
        payload = self.cgroup_top / "payload"
        (payload / "cgroup.freeze").write_text(frozen)
        wait_for(lambda: f"frozen {frozen}" in (payload / "cgroup.events").read_text(), 10,
                 f"{self.name}: freezer {frozen}")


def runs_systemd(status):
    """True if a /proc/PID/status is that of systemd as the first process of a container."""
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return fields["Name"].strip() == "systemd" and fields["NSpid"].split()[-1] == "1"


def forget_container(machine):
    """Remove what a killed nspawn leaves in /run, which would block the next start."""
    for place in pathlib.Path("/run/systemd/nspawn").glob(f"*/{machine}"):
        shutil.rmtree(place)
