"""A node on fakes: the real script in namespaces of its own, among stand-ins for what it calls.

The node sees this machine's files through an overlay and writes to a directory of its own; eth0 is
a real veth on a real bridge. Its verbs are those of the lab's hosts (tests/lab/host.py).
It is laid out as EL, whatever distribution the machine is.
"""

import ast
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys

from tests.pythons import CACHE
from tests.shortened import SCRIPT, shortened

COMMAND = pathlib.Path(__file__).with_name("command.c")
EXPORTFS = pathlib.Path(__file__).parents[1] / "exportfs.py"
STAND_IN = "/usr/local/lib/fakes/command"
PYTHON = os.environ.get("FAKES_PYTHON", sys.executable)  # what runs the script
INIT = pathlib.Path(__file__).with_name("init.py")
LIMIT = 120
ADDRESSES = {"host1": "10.5.106.4", "host2": "10.5.106.5"}

# Directories of which a node has its own, and what a fresh node lacks, whatever this machine has.
OWN_DIRECTORIES = """
    etc/systemd/system home opt root usr/lib/systemd/system usr/local var/lib/fakes var/log
""".split()
LACKING = """
    etc/debian_version etc/postgresql etc/xcat install tftpboot usr/bin/apt-get usr/bin/perl
    usr/bin/pg_lsclusters
    usr/bin/psql var/lib/mysql var/lib/pgsql var/lib/postgresql var/lib/xcatha
""".split()
# Real tools, called through the recording stand-in so that faults reach them too.
REAL_TOOLS = "arping du find hostname ip openssl ping rsync ssh-keygen stat sync sysctl".split()
STAND_INS = "dnf exportfs journalctl rpm runuser systemctl".split()
DATABASE_COMMANDS = "initdb perl psql".split()
XCAT_COMMANDS = """
    chdef dumpxCATdb lsdef lsxcatd makeconservercf makedhcp makedns makegocons makehosts
    pgsqlsetup restartxcatd tabdump
""".split()

DAEMON_UNIT = """\
[Unit]
Description={name} on fakes
[Service]
WorkingDirectory={folder}
{settings}ExecStart=/usr/local/lib/fakes/{name} infinity
[Install]
WantedBy=multi-user.target
"""


@functools.lru_cache(None)
def compiled_stand_in():
    """The program that stands in for every command, as a file of this machine."""
    digest = hashlib.sha256(COMMAND.read_bytes()).hexdigest()[:12]
    program = CACHE / f"stand-in-{digest}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", new, COMMAND], check=True)
        new.rename(program)
    return program


class Switch:
    """A network namespace that holds a bridge; it ends with the process that made it."""

    def __init__(self):
        make = "ip link add br0 type bridge && ip link set br0 up && echo ready && exec cat"
        self.process = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", make], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline() == b"ready\n"

    def ip(self, *argv):
        space = f"--net=/proc/{self.process.pid}/ns/net"
        subprocess.run(["nsenter", space, "ip", *argv], check=True)

    def connect(self, name, pid):
        """Give the namespace of this process an eth0 that is plugged in here."""
        mac = "52:54:00:00:00:0" + name[-1]  # a NIC keeps its MAC when its host boots again
        peer = f"peer name eth0 address {mac} netns {pid}"
        self.ip("link", "add", name, "type", "veth", *peer.split())
        self.ip("link", "set", name, "master", "br0", "up")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(LIMIT)


class Node:
    """One management node on fakes."""

    def __init__(self, home, switch, share, name="host1", address="10.5.106.4"):
        self.home, self.switch, self.share = pathlib.Path(home), switch, pathlib.Path(share)
        self.name, self.address = name, address
        self.upper = self.home / "upper"
        self.process = self.pid = None
        if not self.upper.exists():
            self.lay_out()
        for folder in ("work", "root"):
            (self.home / folder).mkdir()
        (self.home / "share").symlink_to(self.share)

    # ---- What the node's disk holds ----

    def write(self, path, text, mode=0o644):
        """Write a file of the node, before its first boot."""
        file = self.upper / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def link(self, path, target):
        file = self.upper / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def lay_out(self):
        """A fresh node: neither xCAT nor a database is installed."""
        for name in OWN_DIRECTORIES:
            folder = self.upper / name
            folder.mkdir(parents=True)
            os.setxattr(folder, "trusted.overlay.opaque", b"y")
        for name in LACKING:
            (self.upper / name).parent.mkdir(parents=True, exist_ok=True)
            os.mknod(self.upper / name, stat.S_IFCHR)  # how overlayfs marks what is gone
        (self.upper / "HA").mkdir()
        self.write("/etc/os-release", 'ID="rocky"\nVERSION_ID="9.4"\n')
        self.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\npostgres:x:26:26::/var/lib/pgsql:\n")
        self.write("/etc/group", "root:x:0:\npostgres:x:26:\n")
        self.write("/etc/hostname", self.name + "\n")
        self.write("/etc/hosts", "127.0.0.1 localhost\n10.5.106.4 host1\n10.5.106.5 host2\n")
        self.write("/etc/resolv.conf", "nameserver 10.0.0.1\n")
        (self.upper / "tmp").mkdir()
        (self.upper / "tmp").chmod(0o1777)
        self.write("/var/lib/nfs/etab", "")
        self.write("/etc/exports", "")
        self.write("/var/lib/fakes/log", "")
        self.write("/var/lib/fakes/fault", "")
        shutil.copy2(SCRIPT, self.upper / "root/xcatha.py")
        self.lay_out_commands()
        self.lay_out_packages()

    def lay_out_commands(self):
        real = self.upper / "usr/local/lib/fakes/real"
        real.mkdir(parents=True)
        shutil.copy2(compiled_stand_in(), self.upper / STAND_IN.lstrip("/"))
        for name in REAL_TOOLS:
            shutil.copy2(shutil.which(name), real)
        shutil.copy2(EXPORTFS, real.parent)
        for name in REAL_TOOLS + STAND_INS:
            self.link("/usr/bin/" + name, STAND_IN)
            if os.path.lexists("/usr/sbin/" + name):
                self.link("/usr/sbin/" + name, STAND_IN)
        self.link("/usr/local/lib/fakes/go-xcat", STAND_IN)
        self.write("/root/go-xcat", 'exec /usr/local/lib/fakes/go-xcat "$@"\n')

    def lay_out_packages(self):
        """What go-xcat and the package manager of the node will install."""
        packages = "/usr/local/lib/fakes/packages/"
        for name in XCAT_COMMANDS:
            self.link(f"{packages}xcat/opt/xcat/bin/{name}", STAND_IN)
        self.link(packages + "xcat/opt/xcat/sbin/xcatd", STAND_IN)
        for name in ("xcatd", "named", "dhcpd", "conserver"):
            self.lay_out_daemon(packages + "xcat", name, "/")
        for name in DATABASE_COMMANDS:
            self.link(f"{packages}postgresql/usr/bin/{name}", STAND_IN)
        settings = "ExecStartPre=/usr/bin/test -s /var/lib/pgsql/data/PG_VERSION\n"
        folder = "/var/lib/pgsql/data"
        self.lay_out_daemon(packages + "postgresql", "postgres", folder, settings)

    def lay_out_daemon(self, package, name, folder, settings=""):
        unit = {"postgres": "postgresql"}.get(name, name)
        text = DAEMON_UNIT.format(name=name, folder=folder, settings=settings)
        self.write(f"{package}/usr/lib/systemd/system/{unit}.service", text)
        self.link(f"{package}/usr/local/lib/fakes/{name}", "/bin/sleep")

    # ---- Power ----

    def boot(self):
        """Start the node: its file system, its host name, its network."""
        self.process = subprocess.Popen(
            ["unshare", "-m", "-n", "-u", "-p", "-f", sys.executable]
            + ["-BIS", INIT, self.home, self.name],  # -B: no compiled file lands on the disk
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # no signal of a node's reaches the tests
        )
        self.pid = int(self.process.stdout.readline())
        self.switch.connect(self.name, self.pid)
        for line in (
            f"address add {self.address}/8 broadcast + dev eth0",
            "link set eth0 up",
            "link set lo up",
            "route add default via 10.0.0.1",
        ):
            self.succeed("/usr/local/lib/fakes/real/ip", *line.split())

    def power_off(self):
        """The power goes: init ends, so the kernel kills all others at once; the disk stays."""
        self.switch.ip("link", "del", self.name)
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()
        self.process = self.pid = None

    # ---- Verbs ----

    def run(self, *argv, timeout=LIMIT, env=None, input=""):
        """Run a command on the node; its result, output as text."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        environment.update({"HOME": "/root", "LANG": "C.UTF-8"}, **(env or {}))
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-n", "-u", "-p", *map(str, argv)],
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )

    def succeed(self, *argv, **options):
        """Run a command that must exit 0; its standard output."""
        done = self.run(*argv, **options)
        assert done.returncode == 0, (argv, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def fail(self, *argv, code=None, **options):
        """Run a command that must not exit 0 (or exit with this code); its result."""
        done = self.run(*argv, **options)
        right = done.returncode != 0 if code is None else done.returncode == code
        assert right, (argv, done.returncode, done.stdout, done.stderr)
        return done

    @staticmethod
    def script(*argv):
        """The command line of the script."""
        return [PYTHON, "/root/xcatha.py", *argv]

    def xcatha(self, *argv, code=0, **options):
        """Run the script, which must exit with this code; its result."""
        done = self.run(*self.script(*argv), **options)
        assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
        return done

    def shorten(self, **limits):
        """Give the node a copy of the script in which only these time limits differ."""
        self.path("/root/xcatha.py").write_text(shortened(**limits))

    def silence(self):
        """Nobody answers the node's probes, at once, and announcements cost no time."""
        for name in ("arping", "ping"):
            self.path(f"/usr/local/lib/fakes/real/{name}").unlink()

    def plan(self, fault, where):
        """Plan FAIL, LIE, HANG or a signal to the caller (SIGKILL_AT ...); see command.py.

        _AT the n-th call from now, _FROM it on, or _ON calls that begin with these words.
        """
        if not fault.endswith("_ON"):
            where += len(self.calls())
        self.succeed("tee", "/var/lib/fakes/fault", input=f"{fault} {where}\n")

    def heal(self):
        """No fault is planned any more."""
        self.succeed("tee", "/var/lib/fakes/fault", input="")

    # ---- What can be seen of the node from outside ----

    def path(self, path):
        """A file of the running node."""
        return pathlib.Path(f"/proc/{self.pid}/root{path}")

    def calls(self):
        """Every external command so far, as lists of words."""
        return [ast.literal_eval(line) for line in self.path("/var/lib/fakes/log").open()]

    def addresses(self):
        shown = self.succeed("/usr/local/lib/fakes/real/ip", "-j", "-4", "address")
        return [a["local"] for nic in json.loads(shown) for a in nic["addr_info"]]

    def picture(self):
        """All that a run could change, as {name: what it is}: files, addresses, routes, names."""
        ip = "/usr/local/lib/fakes/real/ip"
        return {
            **files_below(self.upper),
            **files_below(self.path("/run"), "run/"),
            **files_below(self.share, "HA/"),
            "addresses": self.succeed(ip, "-o", "-4", "address").splitlines(),
            "routes": self.succeed(ip, "-4", "route").splitlines(),
            "host name": [self.succeed("/usr/local/lib/fakes/real/hostname")],
        }

    def changes_since(self, before, rewritten=True):
        """The names of what differs from an earlier picture, rewritten alike included or not."""
        after = self.picture()
        parts = slice(None) if rewritten else slice(4)
        names = sorted(before.keys() | after.keys())
        return [name for name in names if before.get(name, "")[parts] != after.get(name, "")[parts]]


# What every run may write, and what the lease holder keeps writing.
NOT_PICTURED = ("var/log/", "var/lib/fakes/", "__pycache__", "xcatha/lease", "xcatha.lock")


def files_below(folder, prefix=""):
    """{prefix + path: what identifies its content} of a tree, less what is no change."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            relative = os.path.relpath(path, folder)
            if not any(part in relative for part in NOT_PICTURED):
                found[prefix + relative] = describe(path)
    return found


def describe(path):
    """Type and mode, owner, content; of a file also what changes when it is rewritten alike."""
    status = os.lstat(path)
    identity = stat.filemode(status.st_mode), status.st_uid, status.st_gid
    if stat.S_ISLNK(status.st_mode):
        return (*identity, os.readlink(path))
    if not stat.S_ISREG(status.st_mode):
        return identity
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return (*identity, digest, status.st_ino, status.st_mtime_ns)


@contextlib.contextmanager
def mounted(place, *what):
    """A new directory on which something is mounted until the end of the block (mount(8))."""
    place.mkdir()
    subprocess.run(["mount", *what, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@contextlib.contextmanager
def cluster(home, names=("host1",), frozen=None):
    """Booted nodes on one switch, with one share, all gone at the end.

    Their disks and the share are fresh, or copies of what freeze() kept.
    """
    home = pathlib.Path(home)
    home.mkdir(exist_ok=True)
    if frozen:
        subprocess.run(["cp", "-a", f"{frozen}/.", home], check=True)
    (home / "share").mkdir(exist_ok=True)
    switch, nodes = Switch(), []
    try:
        for name in names:
            nodes.append(Node(home / name, switch, home / "share", name, ADDRESSES[name]))
            nodes[-1].boot()
        yield nodes
    finally:
        for node in nodes:
            if node.process:
                node.power_off()
        switch.close()


def freeze(nodes, kept):
    """Power the nodes off and keep their disks and share, as a start for other clusters."""
    for node in nodes:
        node.power_off()
        (kept / node.name).mkdir(parents=True)
        node.upper.rename(kept / node.name / "upper")
    nodes[0].share.rename(kept / "share")
