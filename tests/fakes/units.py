"""A stand-in for systemd: it reads unit files, drop-ins and links where systemd reads them.

Each started unit has a supervisor, so Type=notify, WatchdogSec=, ExecStopPost= and BindsTo= work.
"""

import contextlib
import glob
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys

FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
WANTS = "/etc/systemd/system/multi-user.target.wants"
RUNNING = "/run/fakes"
PREFIXES = "-@:+!"  # what may stand before the path in ExecStart=


def unit_name(word):
    return word if "." in word else word + ".service"


def unit_file(name):
    """The path of a unit file, or None."""
    paths = (os.path.join(folder, name) for folder in FOLDERS)
    return next(filter(os.path.exists, paths), None)


def resolve(word):
    """The name of the unit that a word means: an alias is a link to the unit's file."""
    name = unit_name(word)
    return os.path.basename(os.path.realpath(unit_file(name) or name))


def read_unit(name):
    """Settings of a unit, drop-ins included, each a list of values; None if there is no file."""
    path = unit_file(name)
    if path is None:
        return None
    settings = {}
    drop_ins = [glob.glob(f"{folder}/{name}.d/*.conf") for folder in FOLDERS]
    for part in [path, *sorted(sum(drop_ins, []), key=os.path.basename)]:
        with open(part) as lines:
            for key, value in re.findall(r"^(\w+)=(.*)$", lines.read(), re.MULTILINE):
                settings[key] = settings.get(key, []) + value.splitlines() if value else []
    return settings


def words(settings, *keys):
    return [word for key in keys for value in settings.get(key, []) for word in value.split()]


def last(settings, key, default):
    return settings.get(key, [default])[-1]


def seconds(text):
    """A time span as systemd writes it, in the forms used here."""
    factor = {"ms": 0.001, "s": 1, "": 1, "min": 60}
    return sum(float(n) * factor[unit] for n, unit in re.findall(r"([\d.]+)\s*([a-z]*)", text))


# ---- State of a unit ----


def state_of(name):
    """What is known of a unit that was started: ActiveState, Result, MainPID and its supervisor."""
    with contextlib.suppress(FileNotFoundError), open(f"{RUNNING}/{name}.state") as file:
        return json.load(file)
    return {"ActiveState": "inactive", "Result": "success", "MainPID": 0}


def save_state(name, **state):
    os.makedirs(RUNNING, exist_ok=True)
    with open(f"{RUNNING}/{name}.state.new", "w") as file:
        json.dump(state, file)
    os.rename(file.name, f"{RUNNING}/{name}.state")


def is_up(name):
    return state_of(name)["ActiveState"] in ("active", "activating")


def bound_to(name):
    """The started units that say BindsTo= this one."""
    started = [os.path.basename(path)[: -len(".state")] for path in glob.glob(RUNNING + "/*.state")]
    return [
        unit for unit in started if is_up(unit) and name in words(read_unit(unit) or {}, "BindsTo")
    ]


def boot_state(name):
    """UnitFileState: enabled, disabled, static, or nothing where there is no such unit."""
    if unit_file(name) is None:
        return ""
    if os.path.lexists(f"{WANTS}/{name}"):
        return "enabled"
    return "disabled" if "WantedBy" in read_unit(name) else "static"


# ---- Supervisor ----


class Supervisor:
    """One started unit: its main process, its notify socket and its end."""

    def __init__(self, name):
        self.name = name
        self.settings = read_unit(name)
        self.main = None
        self.wake, wakened = os.pipe()
        os.set_blocking(wakened, False)
        signal.set_wakeup_fd(wakened)
        self.stopping = False
        signal.signal(signal.SIGTERM, self.stop_asked)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = f"{RUNNING}/{name}.notify"
        self.environment = dict(os.environ, FAKES_UNIT=name, NOTIFY_SOCKET=self.address)

    def stop_asked(self, *_):
        self.stopping = True

    def save(self, active, result="success"):
        pid = self.main.pid if self.main and active == "active" else 0
        save_state(
            self.name, ActiveState=active, Result=result, MainPID=pid, supervisor=os.getpid()
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
        argv = shlex.split(last(self.settings, "ExecStart", "").lstrip(PREFIXES))
        folder = last(self.settings, "WorkingDirectory", "/")
        if not self.execute("ExecStartPre"):
            return False
        try:
            self.main = subprocess.Popen(
                argv, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            print(f"{self.name}: {error}", flush=True)
            return False
        if last(self.settings, "Type", "simple") != "notify":
            return True
        return self.told(b"READY=1", seconds(last(self.settings, "TimeoutStartSec", "90")))

    def told(self, message, limit):
        """True once the main process sends the message; False at its end, a stop or the limit."""
        while self.main.poll() is None and not self.stopping:
            ready, _, _ = select.select([self.notify, self.wake], [], [], limit)
            if self.notify in ready and message in self.notify.recv(4096):
                return True
            if self.wake in ready:
                os.read(self.wake, 512)
            if not ready:
                return False
        return False

    def watch(self):
        """Wait for the end of the main process; the Result= systemd would give."""
        limit = seconds(last(self.settings, "WatchdogSec", "0")) or None
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
                self.main.wait(seconds(last(self.settings, "TimeoutStopSec", "30")))
            except subprocess.TimeoutExpired:
                self.main.kill()
                self.main.wait()
        self.execute("ExecStopPost")
        result = result or "success"
        self.save("inactive" if result == "success" else "failed", result)
        for unit in bound_to(self.name):
            stop(unit)

    def run(self, report):
        """The whole life of the unit; report is told once the start has succeeded or failed."""
        self.save("activating")
        if not self.launch():
            self.end("success" if self.stopping else "exit-code")
            os.write(report, b"failed")
            return
        self.save("active")
        os.write(report, b"active")
        os.close(report)
        self.end(self.watch())


def spawn_supervisor(name):
    """Start a unit under a supervisor that outlives this process; True if it became active."""
    os.makedirs(RUNNING, exist_ok=True)
    answer, report = os.pipe()
    if os.fork() == 0:
        os.close(answer)
        os.setsid()
        if os.fork() == 0:
            journal = os.open(f"{RUNNING}/{name}.journal", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(journal, 1)
            os.dup2(journal, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            Supervisor(name).run(report)
        os._exit(0)
    os.close(report)
    with os.fdopen(answer, "rb") as file:
        return file.read() == b"active"


# ---- Verbs of systemctl ----


def complain(text, code=1):
    print(text, file=sys.stderr)
    return code


def start(name):
    settings = read_unit(name)
    if settings is None:
        return complain(f"Failed to start {name}: Unit {name} not found.", 5)
    if is_up(name):
        return 0
    for needed in words(settings, "BindsTo", "Requires"):
        if unit_file(needed) is None:
            return complain(f"Failed to start {name}: Unit {needed} not found.", 5)
        if start(needed):
            return complain(
                f"A dependency job for {name} failed. See 'journalctl -xe' for details."
            )
    if spawn_supervisor(name):
        return 0
    return complain(
        f"Job for {name} failed because the control process exited with error code.\n"
        f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.'
    )


def stop(name):
    if unit_file(name) is None and not is_up(name):
        return complain(f"Failed to stop {name}: Unit {name} not loaded.", 5)
    for unit in bound_to(name):
        stop(unit)
    if is_up(name):
        supervisor = state_of(name)["supervisor"]
        with contextlib.suppress(ProcessLookupError):
            watched = os.pidfd_open(supervisor)
            os.kill(supervisor, signal.SIGTERM)
            select.select([watched], [], [])
    return 0


def restart(name):
    return stop(name) or start(name)


def reload(name):
    if not is_up(name):
        return complain(f"Job type reload is not applicable for unit {name}.")
    return 0


def enable(name):
    if unit_file(name) is None:
        return complain(f"Failed to enable unit: Unit file {name} does not exist.")
    os.makedirs(WANTS, exist_ok=True)
    if not os.path.lexists(f"{WANTS}/{name}"):
        os.symlink(unit_file(name), f"{WANTS}/{name}")
        print(f"Created symlink {WANTS}/{name} → {unit_file(name)}.", file=sys.stderr)
    return 0


def disable(name):
    if unit_file(name) is None:
        return complain(f"Failed to disable unit: Unit file {name} does not exist.")
    if os.path.lexists(f"{WANTS}/{name}"):
        os.unlink(f"{WANTS}/{name}")
        print(f'Removed "{WANTS}/{name}".', file=sys.stderr)
    return 0


def reset_failed(name):
    if state_of(name)["ActiveState"] == "failed":
        save_state(name, ActiveState="inactive", Result="success", MainPID=0)
    return 0


def is_active(name):
    print(state_of(name)["ActiveState"])
    return 0 if is_up(name) else 3


def is_enabled(name):
    if unit_file(name) is None:
        return complain(f"Failed to get unit file state for {name}: No such file or directory")
    print(boot_state(name))
    return 1 if boot_state(name) == "disabled" else 0


def properties(name):
    """What `systemctl show` knows of a unit, in its order."""
    state = state_of(name)
    loaded = unit_file(name) is not None
    sub = {"active": "running", "activating": "start", "inactive": "dead"}
    return {
        "Type": last(read_unit(name) or {}, "Type", "simple"),
        "MainPID": state["MainPID"],
        "Result": state["Result"],
        "Id": name,
        "LoadState": "loaded" if loaded else "not-found",
        "ActiveState": state["ActiveState"],
        "SubState": sub.get(state["ActiveState"], state["ActiveState"]),
        "FragmentPath": os.path.realpath(unit_file(name)) if loaded else "",
        "UnitFileState": boot_state(name),
    }


def show(names, options):
    """Print the wanted properties of each unit, a blank line between two units."""
    wanted = [word for value in options.get("property", []) for word in value.split(",")]
    for number, name in enumerate(names):
        if number:
            print()
        for key, value in properties(name).items():
            if not wanted or key in wanted:
                print(value if "value" in options else f"{key}={value}")
    return 0


def list_unit_files(patterns):
    files = {name for folder in FOLDERS for name in glob.glob("*.service", root_dir=folder)}
    for name in sorted(files):
        if not patterns or any(glob.fnmatch.fnmatch(name, unit_name(p)) for p in patterns):
            print(name, boot_state(name), "enabled")
    return 0


def parse(argv):
    """Words and options of a systemctl command line; options map to the list of their values."""
    options, rest, pending = {}, [], None
    for word in argv:
        if pending:
            options[pending].append(word)
            pending = None
        elif word in ("-p", "-P", "-t", "-n", "-s", "--property", "--type", "--signal"):
            pending = {"-p": "property", "-P": "property"}.get(word, word.lstrip("-"))
            options.setdefault(pending, [])
            if word == "-P":
                options["value"] = []
        elif word.startswith("-"):
            key, _, value = word.lstrip("-").partition("=")
            options.setdefault(key, []).append(value)
        else:
            rest.append(word)
    return rest, options


VERBS = {
    "start": start,
    "stop": stop,
    "restart": restart,
    "reload": reload,
    "enable": enable,
    "disable": disable,
    "reset-failed": reset_failed,
    "is-active": is_active,
    "is-enabled": is_enabled,
}


def systemctl(argv):
    (verb, *rest), options = parse(argv)
    if verb == "daemon-reload":
        return 0
    if verb == "is-system-running":
        return print("running") or 0
    if verb == "list-units":  # only ever asked for instances of templates; there are none
        return 0
    if verb == "list-unit-files":
        return list_unit_files(rest)
    names = [resolve(word) for word in rest]
    if verb == "show":
        return show(names, options)
    codes = [VERBS[verb](name) for name in names]
    if "now" in options:
        codes += [{"enable": start, "disable": stop}[verb](name) for name in names]
    return min(codes) if verb.startswith("is-") else max(codes)


def journalctl(argv):
    """What the processes of the units named printed last."""
    for word in argv:
        with contextlib.suppress(OSError), open(f"{RUNNING}/{unit_name(word)}.journal") as file:
            print("".join(file.readlines()[-5:]), end="")
    return 0
