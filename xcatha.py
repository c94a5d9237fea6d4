#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-1.0
"""xcatha: two xCAT management nodes, their data on a share, one of them active.

Set up (on both nodes), become active, stand by, look:

 xcatha.py -s -p /HA -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0 -t postgresql
 xcatha.py -a -p /HA -v 10.5.106.50 -i eth0:0 -m 255.0.0.0 -t postgresql
 xcatha.py -d -v 10.5.106.50 -i eth0:0
 xcatha.py --status

What it changes on this host: the virtual IP (VIP), the running host name, /etc/hosts and
/etc/resolv.conf, the linked directories (/install, /etc/xcat, /root/.xcat, /tftpboot and the
database's), the state of the services, drop-ins that bind them to a lease, who the database
admits, and of xCAT cfgloc, site.master, site.nameservers, networks.tftpserver and policy rows.

What it promises:
  - A step looks, acts and looks again; what is right already is left as it is.
  - Checks come before the first change; a refusal (exit 3) leaves all but new packages as it was.
  - A failed run is undone (exit 1); after a kill, the same command finishes the job.
  - Nothing is deleted: what a link replaces is kept as NAME.xcatbak, and a half copy is never
    taken for whole.
  - Two active nodes are impossible while the lease file's lock reaches both.

Where to look: the commands, each told from beginning to end, stand near the end (search for
"def activate"). What they call comes before, in titled sections (search for "# ----"). Where a new
service is added: search for "A new service".
"""

import argparse
import array
import csv
import ctypes
import datetime
import errno
import fcntl
import glob
import ipaddress
import itertools
import json
import logging
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import subprocess  # nosec: argument lists only, never a shell
import sys
import tempfile
import threading
import time
from argparse import Namespace
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor  # not when it is used: Python may be new by then
from contextlib import ExitStack, suppress
from functools import partial

psutil = netifaces = None
with suppress(ImportError):
    import psutil
with suppress(ImportError):  # EL 10 has none
    import netifaces

VERSION = "1.0"
DONE, FAILED, USAGE, REFUSED, DEGRADED, INCOMPLETE = 0, 1, 2, 3, 4, 5
STATUS_CODES = {"active": 0, "inconsistent": 1, "standby": 3, "unknown": 4}

LOG_FILE, RUN_LOCK = "/var/log/xcatha.log", "/run/xcatha.lock"
COMMANDS = "/run/xcatha.commands"  # each command of a run has it open; the run removes it
RUN_DIR, STATE_DIR = "/run/xcatha", "/var/lib/xcatha"
TAKEN_HOSTS = STATE_DIR + "/hosts"
INSTALLING = STATE_DIR + "/installing"  # there until an installer that has begun ends well
OWN_CFGLOC = STATE_DIR + "/cfgloc"  # that of before the switch to the pair's database
SWITCHING = STATE_DIR + "/switching"  # there until the switched tables were compared
FURTHER_DIRECTORIES = STATE_DIR + "/directories"  # one a line, those of --also
OWN_STEPS = "/etc/xcat/ha.d"
# No directory can be linked in which one of these lies, or that lies in one of these.
NEVER_LINKED = ("/boot", "/dev", "/etc/hosts", "/etc/systemd", "/opt/xcat", "/proc", "/root/.ssh",
                "/run", "/sys", "/usr", "/var/lib/dpkg", "/var/lib/rpm", "/var/log/journal",
                LOG_FILE, STATE_DIR)
LEASE_UNIT, FENCE_UNIT = "xcatha-lease.service", "xcatha-fence.service"
LEASE_UNIT_FILE, FENCE_UNIT_FILE = (  # in /run, so that a reboot forgets them
    "/run/systemd/system/" + unit for unit in (LEASE_UNIT, FENCE_UNIT))
# What the lease's holder keeps here, what the fence has to end with the lease, where it listens.
KEPT, ARMED, FENCE_SOCKET = (RUN_DIR + name for name in ("/kept", "/armed", "/fence"))
LEASE_VIPS = "/run/xcatha.vips"  # those that go when the lease is lost
KEPT_OPTIONS = ("vip", "nic", "netmask", "host_name")
RB_AUTOBOOT = 0x01234567  # reboot(2)
# After an update of libraries, needrestart(1) restarts what uses them; the lease would be lost.
NEEDRESTART = "/etc/needrestart/conf.d"
GO_XCAT = ("https://raw.githubusercontent.com/xcat2/xcat-core/master/"
           "xCAT-server/share/xcat/tools/go-xcat")
XCAT_PATH = "/opt/xcat/bin:/opt/xcat/sbin:/opt/xcat/share/xcat/tools"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COLOURS = {"PROBLEM": 31, "ERROR": 31, "WARNING": 33, "This machine is set": 32}  # ECMA-48
# What other parts rely on in the share's files; a file that lacks any of it is not believed.
RECORD_KEYS = ("vip", "netmask", "host_name", "dbtype", "state", "host", "since", "lease")
RECORD_KEYS_1 = ("vip", "netmask", "host_name", "dbtype", "finished", "released", "active")
NODE_KEYS = ("address", "nic", "mac", "os", "xcat", "database", "ssh_key", "set_up")
PASSWORD_VARIABLES = ("XCATPGPW", "XCATMYSQLADMIN_PW", "XCATMYSQLROOT_PW")

# What describes a pair: {name: (flags, kind of its value, what it is)}.
PAIR_OPTIONS = {
    "path": (("-p", "--path"), "directory", "the shared directory, mounted"),
    "vip": (("-v", "--vip", "--virtual-ip"), "address", "the virtual IP (VIP)"),
    "nic": (("-i", "--nic"), "text", "its NIC, or an alias such as eth0:0"),
    "host_name": (("-n", "--host-name"), "host", "its host name; default: as recorded"),
    "netmask": (("-m", "--netmask"), "netmask", "its netmask; default: recorded, else the NIC's"),
    "dbtype": (("-t", "--dbtype"), "engine", "postgresql (default), mysql, mariadb or sqlite"),
}
FLAGS = {name: flags[0] for name, (flags, _, _) in PAIR_OPTIONS.items()}
EXIT_REASON = "ocf-exit-reason:"  # begins the line with an agent's reason (OCF agent API 1.1)

# Time limits, in seconds.
ASK_LIMIT = 30  # a command that changes nothing
DO_LIMIT = 120  # a command that changes something
SERVICE_LIMIT = 180  # the start or stop of a unit
RECOVERY_LIMIT = 3600  # a start that goes on: after a crash a database replays its log
SHARE_LIMIT = 10  # a share that is silent for so long hangs
STATUS_PATIENCE = 1  # each command of --status
AGENT_PATIENCE = 20  # what Pacemaker's monitor finds amiss
INSTALL_LIMIT = 3600  # installers and the tools that switch the database
MAKER_LIMIT = 1200  # one of xCAT's makers of DNS, DHCP and console server
COPY_LIMIT = 7 * 24 * 3600
LEASE_TIME = 90  # L where the filesystem does not tell it (lease_time)
ORDERLY_LIMIT = 10  # the end of services in order, once the lease is lost
LOCK_PATIENCE = 5  # the lock of a run, which keep_address has for a moment
LAST_BREATH = 1  # a process whose unit has just stopped
ANSWER_LIMIT = 0.25  # the web and the TFTP server, for a note
SETTLE = 3  # after which two rivals without locks have seen each other
LOCK_EXPIRY = 120  # until most filesystems end what a dead node holds
LONG_EXPIRY = {"ceph": 300, "lustre": 180}  # those that take longer

# The deadlines of a lease's holder in parts of L (lease_time); see "Lease and guard".
RENEW, GIVE_UP, ANSWER, KILL, REBOOT = 1 / 9, 1 / 2, 5 / 9, 11 / 18, 2 / 3
POWER_OFF = "if {0} is dead, power it off, then run the same line with --peer-is-off"

XCATD_QUESTION = ["lsdef", "-t", "site", "-o", "clustersite", "-i", "master"]
XCAT_DIRECTORIES = ["/install", "/etc/xcat", "/root/.xcat", "/tftpboot"]
COPIED_WHILE_RUNNING = ["/install", "/tftpboot"]
PARTIAL = ".xcatha-partial"  # ends the name of a copy on the share until the set is complete
# "xcat" is xCAT's name of an engine: in cfgloc, of Perl's driver (DBD), and as lsxcatd shows it.
ENGINES = {
    "postgresql": {"xcat": "Pg", "user": "postgres", "units": ["postgresql"], "directories": [
        "/var/lib/pgsql", "/var/lib/postgresql", "/etc/postgresql"]},
    "mysql": {"xcat": "mysql", "user": "mysql", "units": ["mariadb", "mysqld", "mysql"],
              "directories": ["/var/lib/mysql"]},
    "sqlite": {"xcat": "SQLite", "user": "root", "units": [], "directories": []},
}
LOGIN_RULE = "local all postgres trust  # xcatha.py\n"  # in pg_hba.conf, while pgsqlsetup works
MYSQL = ["mysql", "mariadb"]  # MariaDB's client, which from 11.4 on may lack its old name

# {kind: a pattern of its processes' names}; a maker left by a killed run would start its server.
PROCESSES = {"console": "goconserver|conserver", "DHCP": "dhcpd|kea-dhcp[46]|makedhcp",
             "DNS": "named|makedns", "xcatd": "xcatd|xCATd",
             "database": "postgres|postmaster|mysqld|mariadbd"}
ALIAS = r"(?<=[\w.-]):(?!noboot)[^,;|:\s]+"  # of NICs in xCAT's tables
MAKERS = {"DNS": "makedns", "DHCP": "makedhcp"}
# What xCAT's makers rewrite; the last of makeconservercf is what Debian's conserver reads.
MAKER_FILES = {"makedns -n": ["/etc/named.conf", "/etc/bind/named.conf"],
               "makedhcp -n": ["/etc/dhcp/dhcpd.conf", "/etc/dhcpd.conf",
                               "/etc/kea/kea-dhcp4.conf"],
               "makeconservercf": ["/etc/conserver.cf", "/etc/conserver/conserver.cf"]}
NETWORK_KEYS = ("netname", "net", "mask")  # chdef refuses to change a network without one of them
UNSET = ("", "<xcatmaster>")  # what stands in xCAT's tables for the node's own address
# Columns and site attributes in which an address or host name is no server's.
NEVER_SERVERS = "netname net dynamicrange staticrange node comments disable excludenodes".split()
# Below /tftpboot; at most so many of them are looked at, for at most so many seconds.
BOOT_FILES = ("xcat/xnba/nodes/*", "xcat/xnba/nets/*", "boot/grub2/*", "petitboot/*",
              "pxelinux.cfg/*", "pxelinux.cfg/p/*", "etc/*")
BOOT_FILES_LOOKED_AT, BOOT_FILES_LIMIT = 3000, 0.5
# Where the web server of EL, SLES and Debian reads local additions, and its unit.
WEB_CONFIGURATION = (("/etc/httpd/conf.d", "httpd"), ("/etc/apache2/conf-enabled", "apache2"),
                     ("/etc/apache2/conf.d", "apache2"))
WEB_LINES = ["AliasMatch ^/(install|tftpboot)/(.*)$ /$1/$2", "<Directory />",
             "Options +FollowSymLinks", "</Directory>", "<DirectoryMatch ^/(install|tftpboot)>",
             "Options +FollowSymLinks", "Require all granted", "</DirectoryMatch>",
             "<DirectoryMatch ^/install/post(scripts)?(/|$)>", "Options +Indexes",  # for wget -r
             "</DirectoryMatch>"]
# What xCAT starts and enables beside the DHCP servers: IPv6, Kea's updates of the DNS, its agent.
DHCP_COMPANIONS = ["dhcpd6", "isc-dhcp-server6"] + [
    prefix + "kea-" + name for prefix in ("", "isc-")
    for name in ("dhcp6", "dhcp6-server", "dhcp-ddns", "dhcp-ddns-server", "ctrl-agent")]
# In the order in which deactivate stops them. A new service of the pair is added here and in
# PROCESSES, so that it is stopped and does not start at boot; in GUARDED, if it must end with the
# lease; in start_optional, which starts it and has a branch of its own for a dry run; in
# optional_down, to be watched; in stand_by, if the lease must be kept while it runs. What a site
# alone wants needs no change here: see run_own_steps.
SERVICES = {
    "console": ["goconserver", "conserver", "conserver-server"],
    "DHCP": ["dhcpd", "isc-dhcp-server", "kea-dhcp4", "kea-dhcp4-server",
             "isc-kea-dhcp4-server"] + DHCP_COMPANIONS,
    "DNS": ["named", "bind9"],
    "xcatd": ["xcatd"],
    "database": [unit for engine in ENGINES.values() for unit in engine["units"]],
}
STARTS_AT_BOOT = ("enabled", "enabled-runtime")
# What rsync says of an ACL or attribute that a filesystem cannot store.
UNSTORABLE = r"rsync: (\[\w+\] )?(set_acl|rsync_xal_set): .*: Operation not supported \(95\)$"
UP, DOWN = ("active", "reloading"), ("inactive", "failed")  # ActiveState; else it is on its way
GUARDED = ("database", "xcatd", "DHCP")
# Filesystems whose flock(2) another node sees; all that other nodes see; those of one disk.
SHARED_LOCKS = ("nfs4", "ceph", "gfs2", "ocfs2", "lustre")
SHARED = SHARED_LOCKS + ("nfs", "gpfs", "beegfs", "glusterfs", "fuse.glusterfs", "fuse.ceph-fuse")
BLOCK_FILESYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs")
# Filesystems that one machine at a time can have mounted, or should.
UNSHARED = BLOCK_FILESYSTEMS + ("overlay", "tmpfs", "zfs")
LOCAL_LOCKS = ("nolock", "local_lock=all", "local_lock=flock", "localflock", "localflocks")
PACKAGES = {
    "dnf": {"postgresql": ["postgresql-server", "perl-DBD-Pg"],
            "mysql": ["mariadb-server", "perl-DBD-MySQL"]},
    "zypper": {"postgresql": ["postgresql-server", "perl-DBD-Pg"],
               "mysql": ["mariadb", "perl-DBD-mysql"]},
    "apt-get": {"postgresql": ["postgresql", "libdbd-pg-perl"],
                "mysql": ["mariadb-server", "libdbd-mysql-perl"]},
}
# An installer asks nothing and waits for an automatic update that is at work, in seconds.
INSTALL_ENV = {"DEBIAN_FRONTEND": "noninteractive", "ZYPP_LOCK_TIMEOUT": "600",
               "APT_CONFIG": os.environ.get("APT_CONFIG") or RUN_DIR + "/apt.conf"}
INSTALLERS = "apt|dnf|dpkg|rpm|yum|zypper|Zypp"  # the names of what does their work
REINSTALL = {"dnf": "dnf reinstall -y xCAT", "zypper": "zypper install -y --force xCAT",
             "apt-get": "apt-get install -y --reinstall xcat"}


# ---- Messages and errors -------------------------------------------------------------------

class HAError(Exception):
    """What failed, the evidence, what to do next, for people; and the exit code that says so."""

    def __init__(self, what, evidence="", hint="", code=FAILED):
        super().__init__(what)
        self.what, self.evidence, self.hint, self.code = what, evidence, hint, code

    def lines(self):
        """The message as the administrator reads it."""
        evidence = ["  evidence: " + self.evidence] if self.evidence else []
        return [self.what] + evidence + (["  next: " + self.hint] if self.hint else [])


def refuse(what, evidence, hint):
    """Refuse (exit 3), which is no failure; what steps before it have changed is undone."""
    raise HAError(what, evidence, hint, REFUSED)


# What this run is doing; the options of the command line travel separately, as `opts`.
RUN = Namespace(
    dryrun=False, verbose=False, signal=None,  # SIGINT, SIGTERM: once it came
    by_pacemaker=0,  # its time limit in seconds, where it has called
    children=[], arpings=[], secrets=[],  # commands at work; arping's futures; never printed
    inherited=(),  # the descriptor of COMMANDS
    asked={}, patience=None, unanswered=[],  # see ask
    pretended={})  # a dry run's changes; threads add to it, so that loops take a copy
# Whether anything was changed, and what puts it back, the newest last; see rollback.
UNDO = Namespace(changed=False, calls=[], at_work=False, failed=False, past_return=False,
                 tidied=False)
# What is the pair's: its engine, its PostgreSQL cluster (pair_cluster), its VIPs.
PAIR = Namespace(engine="", cluster=None, vips=[])

log = logging.getLogger("xcatha")
log.addHandler(logging.NullHandler())  # until there is a file to write to


def say(text, stream=None):
    """Print a line; a terminal that went away or a pipe that nobody reads does not stop the run."""
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "ascii"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    code = next((code for start, code in COLOURS.items() if text.startswith(start)), None)
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    try:
        with suppress(ValueError):  # a stream without a file descriptor
            if not select.select([], [stream], [], ASK_LIMIT)[1]:
                raise TimeoutError("nobody reads this pipe")
        if code and not plain and stream.isatty():
            text = "\033[%dm%s\033[0m" % (code, text)
        print(text, file=stream, flush=True)
    except OSError:
        # From now on the stream goes nowhere, at once.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def warn(text):
    """Say on stderr what the administrator should know."""
    log.warning(text)
    say("WARNING: " + text, sys.stderr)


def show(text):
    """With --verbose, show a command or a change of a file on stderr as it comes."""
    if RUN.verbose:
        say("[#] " + text, sys.stderr)


def report(error):
    """Show an HAError, if there is one, on stderr and in the log."""
    for number, line in enumerate(map(without_secrets, error.lines() if error else [])):
        log.error(line.strip())
        prefix = EXIT_REASON if RUN.by_pacemaker else "ERROR: "
        say(line if number else prefix + line, sys.stderr)


def step(title, action, *args, failed=None, books=False):
    """Run one step and print its outcome, the sentence that the action returns, and its time.

    An error ends the run, unless a list `failed` is given: it gets the title, and the run goes
    on; after SIGINT or SIGTERM such steps are only listed. A step that only keeps books (`books`)
    is printed when it changes something.
    """
    if failed is None:
        stop_if_asked()
    elif RUN.signal:
        failed.append(title)
        return ""
    started = time.monotonic()
    outcome, error = attempt(action, *args)
    seconds = time.monotonic() - started
    line = "%-24s %s" % (title, "FAILED" if error else outcome or "done")
    log.info("%s (%.2f s)", line, seconds)
    if error or not books or outcome and not outcome.startswith("already"):
        say("%-72s %s" % (line, "[Dryrun]" if RUN.dryrun else "%6.1f s" % seconds))
    if error and failed is None:
        raise error
    if error:
        report(error)
        failed.append(title)
    return outcome or ""


def open_log(path):
    """Append to the log, 0600; a log that cannot be written is a warning, never a failure."""
    logging.raiseExceptions = False
    if RUN.dryrun:
        return
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a",
                           encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        warn("no log is kept: %s" % error)
        return
    logging.basicConfig(stream=stream, level=logging.INFO,
                        format="%(asctime)s - %(levelname)s - %(message)s")


def without_secrets(text):
    """The text with every password of this run blanked out."""
    for secret in RUN.secrets:
        text = text.replace(secret, "********")
    return text


# ---- Running commands, and what a dry run leaves out ----------------------------------------
#
# A dry run goes the same way through the commands: `ask` and all other looks are real, also probes
# and the wait for a lease; `do` and the file verbs (for_real) only say what they would change, and
# `pretend` has later looks answer as if it had been changed. It leaves out: second looks (`expect`,
# verify_xcat); undo; waiting for what it has not started; makers beside xcatd; the trial file of
# check_storage; xCAT's tables that this node cannot read yet (what depends on them is announced
# with its condition); the lock of a run, the log, the table of changes and the notes at the end.

def command_environment(extra):
    """The caller's environment, with xCAT's and the system's directories and the C locale."""
    # Left out: what leads psql or mysql elsewhere or changes xCAT's output. Dumps have all tables.
    kept = {name: value for name, value in os.environ.items()
            if name not in ("XCATCFG", "XCATBYPASS", "LANGUAGE") + PASSWORD_VARIABLES
            and not name.startswith(("PG", "MYSQL_", "XCATSHOW", "XCATXML"))}
    path = ":".join(filter(None, [kept.get("PATH"), SYSTEM_PATH, XCAT_PATH]))
    port = re.search(r":\d+$|$", kept.get("XCATHOST", "")).group() or ":3001"  # of its own xcatd
    return dict(kept, PATH=path, LC_ALL="C", HOME="/root", XCATROOT="/opt/xcat",
                XCATHOST="localhost" + port, XCAT_SKIPTABLES="none", **extra)


def kill_commands(children):
    """Kill these commands and all that they started."""
    for child in list(children):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def run(argv, limit, env=None, text="", shown=False):
    """Run a command to its end or its time limit; returns (exit status, stdout, stderr).

    The text goes to its stdin; what is shown goes to our stdout. Its output goes to unnamed
    files, not pipes: a daemon that the command leaves behind holds its output open. A thread
    waits, because a command stuck in the kernel never ends.
    """
    # In memory, so that a full disk does not matter; nor does a full /run.
    place = next((place for place in ("/run", "/dev/shm")  # nosec: unnamed files only
                  if os.access(place, os.W_OK) and shutil.disk_usage(place).free > 1 << 20), None)
    with tempfile.TemporaryFile(dir=place) as out, tempfile.TemporaryFile(dir=place) as err, \
            tempfile.TemporaryFile(dir=place) as given:
        given.write(text.encode())
        given.seek(0)
        try:
            child = subprocess.Popen(  # nosec: an argument list, never a shell
                argv, stdin=given, stdout=None if shown else out, stderr=err,
                start_new_session=True, cwd="/", env=command_environment(env or {}),
                pass_fds=RUN.inherited)
        except OSError as error:
            return 127, "", "%s: %s" % (argv[0], error.strerror)
        RUN.children.append(child)
        if RUN.signal:  # it came while the child was being made
            kill_commands([child])
        waiter = threading.Thread(target=child.wait, daemon=True)
        waiter.start()
        waiter.join(limit)
        in_time = not waiter.is_alive()
        if not in_time:
            kill_commands([child])
            waiter.join(0.2)
        RUN.children.remove(child)
        out.seek(0)
        err.seek(0)
        texts = [stream.read().decode("utf-8", "backslashreplace") for stream in (out, err)]
    if in_time:
        return child.returncode, texts[0], texts[1]
    return 124, texts[0], texts[1] + "\nno end within %d s" % limit


def end_orphans():
    """End what a killed run has left at work: wait for installers, kill the rest."""
    def left(names="."):
        """The processes of such a name that have COMMANDS open, which a run removes at its end."""
        opened = {path.split("/")[2] for path in glob.glob("/proc/[0-9]*/fd/*")
                  if attempt(os.readlink, path)[0] == COMMANDS}
        commands = {int(pid): attempt(read_text, "/proc/%s/comm" % pid)[0] for pid in opened
                    if attempt(is_own_namespace, int(pid))[0]}
        return [pid for pid, command in commands.items() if re.match(names, command or "")]
    if left(INSTALLERS):
        say("  waiting for an installer that a killed run has left at work: pid %s" % " ".join(
            map(str, left(INSTALLERS))))
        wait_until(lambda: not left(INSTALLERS), INSTALL_LIMIT, 1)
    wait_until(lambda: not [kill(pid) for pid in left()], ORDERLY_LIMIT)


def stop_if_asked():
    """Turn a SIGINT or SIGTERM that came in the meantime into a failure of this run."""
    if RUN.signal:
        raise HAError("stopped by " + signal.Signals(RUN.signal).name, "",
                      "run the same command again")


def ask(argv, limit=ASK_LIMIT, env=None):
    """Run a command that changes nothing, also in a dry run; (exit status, stdout, stderr).

    It is logged the first time, and when its exit status has changed. A command that takes longer
    than RUN.patience, if that is set, goes to RUN.unanswered; the next ones get less time.
    """
    stop_if_asked()
    line, started = pasted(argv), time.monotonic()
    if line not in RUN.asked:
        show(line)
    answer = run(argv, min(limit, RUN.patience or limit), env)
    stop_if_asked()  # the signal ended the command, so that its answer means nothing
    status = answer[0]
    if status == 124 and RUN.patience:
        RUN.patience = 0.1
        RUN.unanswered.append(line)
    if RUN.asked.get(line) != status:
        RUN.asked[line] = status
        log_command(argv, started, answer, may_fail=True)
    return answer


def output_of(argv, limit=ASK_LIMIT):
    """The stdout of a command that succeeded, "" of any other: a failed one answers nothing."""
    status, out, _ = ask(argv, limit)
    return "" if status else out


def do(argv, limit=DO_LIMIT, env=None, may_fail=False, **more):
    """Run a command that changes something; its answer as ask's, HAError unless it may fail."""
    if RUN.dryrun:
        announce("run", pasted(argv))
        return 0, "", ""
    stop_if_asked()
    UNDO.changed, started = True, time.monotonic()
    show(pasted(argv))
    status, out, err = run(argv, limit, env, **more)
    log_command(argv, started, (status, out, err), may_fail)
    stop_if_asked()
    if status and not may_fail:
        name = os.path.basename(argv[1] if argv[0] == "bash" else argv[0])
        raise HAError("%s failed" % name, "%s: exit %d, %s" % (
            pasted(argv), status, last_line(out, err, 4)), "the log has all its output")
    return status, out, err


def pasted(argv):
    """A command as it could be pasted into a shell."""
    return " ".join(shlex.quote(word) for word in argv)


def log_command(argv, started, answer, may_fail):
    """Log a command with its time and verdict, and what one that failed or an own step said."""
    status, out, err = answer
    verdict = "Passed" if status == 0 else "Failed, OK to ignore" if may_fail else "Failed"
    log.info("%s (%.2f s) [%s]", pasted(argv), time.monotonic() - started, verdict)
    if status or lies_in(argv[0], OWN_STEPS):
        for line in without_secrets(out + err).splitlines():
            log.info("    %s", line)


def last_line(out, err, most=1):
    """The last line that a command had to say, preferably on stderr, or at most so many."""
    # Of stderr just one: go-xcat, for one, names its reason on stdout.
    texts = [[line.strip() for line in text.splitlines() if line.strip()] for text in (out, err)]
    return " | ".join((texts[0][-3:] + texts[1][-1:])[-most:]) or "no output"


def have(command):
    """True if the command is installed."""
    return shutil.which(command, path=command_environment({})["PATH"]) is not None


def wait_until(condition, limit, pause=0.1):
    """True as soon as the condition holds, False when it did not within limit seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        stop_if_asked()
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def expect(condition, what, evidence="", hint=""):
    """Raise an HAError unless a change is really there: the second look of a step."""
    if not RUN.dryrun and not condition:
        raise HAError(what, evidence() if callable(evidence) else evidence, hint)


def on_failure(action, *args, **kwargs):
    """Register how to put back what the next change changes; undone in reverse order."""
    if not RUN.dryrun and not UNDO.at_work:
        UNDO.calls.append(partial(action, *args, **kwargs))


def point_of_no_return():
    """From here on leave the node as it is at a failure, in place of undoing what was done."""
    UNDO.calls.clear()
    UNDO.past_return = True


def attempt(action, *args, **kwargs):
    """(what a call returns, None), or (None, its error); any exception becomes an HAError."""
    try:
        return action(*args, **kwargs), None
    except HAError as error:
        return None, error
    except Exception as error:  # the log gets its traceback, the administrator a next step
        log.exception("unexpected")
        if isinstance(error, OSError):  # str, unlike repr, names the file
            return None, HAError("a file operation failed", str(error),
                                 "fix the cause, then run this again")
        return None, HAError("an error in xcatha.py itself", repr(error), "report it, with the log")


def error_of(action, *args, **kwargs):
    """The error of a call, None where it has none."""
    return attempt(action, *args, **kwargs)[1]


def raise_all(results):
    """Raise the last error of these results of error_of, having reported those before it."""
    errors = [error for error in results if error]
    for error in errors[:-1]:
        report(error)
    if errors:
        raise errors[-1]


def seen(kind, name, look):
    """What look(name) shows; in a dry run, what the announced changes would have made of it."""
    key = (kind, name)
    return RUN.pretended[key] if key in RUN.pretended else look(name)


def announce(verb, what, condition=""):
    """In a dry run, say a change that the real run would make, or would make on a condition."""
    say("  would %s%s: %s" % (verb, condition and ", " + condition, what))


def pretend(kind, name, value):
    """In a dry run, remember what a change would have made of something."""
    if RUN.dryrun:
        RUN.pretended[(kind, name)] = value


def pretend_installed(name, directories, started):
    """In a dry run, what would be installed: a unit, started and enabled or not, directories."""
    unit = name + ".service"
    pretend("state", unit, "active" if started else "inactive")
    pretend("enabled", unit, started)
    for path in directories:
        pretend("exists", path, True)


# ---- Files ---------------------------------------------------------------------------------

def read_text(path, default=""):
    """The text of a file, byte for byte, or the default where there is none."""
    if ("text", path) in RUN.pretended:
        return default if RUN.pretended["text", path] is None else RUN.pretended["text", path]
    with suppress(FileNotFoundError), open(
            through_links(path), encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return stream.read()
    return default


def lines_of(text):
    """The lines of a text with their line ends: joined again, they are the text."""
    return re.findall("[^\n]*\n|[^\n]+", text)


def newline_of(text):
    """The line end that a text uses; Windows' where its first line has that."""
    return "\r\n" if re.match("[^\n]*\r\n", text) else "\n"


def through_links(path):
    """Where the path leads; in a dry run, by the links that would exist then."""
    for (kind, name), origin in reversed(list(RUN.pretended.items())):
        # If the share lacks it, setup would copy to it what is here.
        if lies_in(path, name) and (kind == "moved" or (
                kind == "link" and origin and os.path.lexists(origin))):
            path = origin + path[len(name):]
    return path


def lies_in(path, place):
    """True if the path is this place or below it, by name alone."""
    return (path + "/").startswith(place.rstrip("/") + "/")


def sync_directory(path):
    """Make the names in a directory durable (rename(2) alone does not)."""
    with ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, descriptor)
        os.fsync(descriptor)


def for_real(verb, what, outcome):
    """True if a change is to be made now; a dry run announces it and remembers its outcome."""
    if RUN.dryrun:
        announce(verb, what)
        RUN.pretended.update(outcome)
        return False
    UNDO.changed = True
    log.info("%s %s", verb, what)
    show("%s %s" % (verb, what))
    return True


def write_file(path, text, mode=0o644):
    """Replace a file in one instant and durably; an existing one keeps owner, mode and labels."""
    path = os.path.realpath(path) if os.path.islink(path) else path
    if os.path.dirname(path) in (RUN_DIR, STATE_DIR):
        make_directory(os.path.dirname(path), 0o700)
    if not for_real("write", path, {("text", path): text, ("exists", path): True}):
        return
    aside, flags = path + ".xcatha-new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        with open(os.open(aside, flags, 0o600), "w", encoding="utf-8",
                  errors="surrogateescape", newline="") as stream:
            os.fchmod(stream.fileno(), mode)
            if os.path.exists(path):
                before = os.stat(path)
                with suppress(OSError):  # an NFS server may refuse the labels
                    shutil.copystat(path, aside)
                os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(aside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(aside)
        raise
    sync_directory(os.path.dirname(path))


def change_file(path, text, mode=0o644):
    """Make the file say this (None: remove it), undone if the run fails. True if it changed."""
    before = read_text(path, None)
    if before == text:
        return False
    kept = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else mode
    on_failure(change_file, path, before, kept)
    if text is None:
        remove_file(path)
    else:
        write_file(path, text, mode)
    return True


def make_directory(path, mode=0o755):
    """Make a directory with this mode, whatever the umask, and those above it with 0755."""
    if not seen("exists", path, os.path.isdir):
        make_directory(os.path.dirname(path))
        if for_real("make", path, {("exists", path): True}):
            os.mkdir(path)
            os.chmod(path, mode)


def rename(source, target):
    """Rename within a directory, durably; an existing target is never replaced."""
    if not RUN.dryrun and os.path.lexists(target):
        raise HAError("%s is in the way of %s" % (target, source), hint="move it away")
    if for_real("rename", "%s -> %s" % (source, target), {
            ("moved", target): source, ("exists", source): False, ("exists", target): True}):
        os.rename(source, target)
        sync_directory(os.path.dirname(target))


def make_link(path, place):
    """Make a symbolic link."""
    if for_real("link", path + " -> " + place, {("link", path): place, ("exists", path): True}):
        os.symlink(place, path)
        sync_directory(os.path.dirname(path))


def remove_file(path):
    """Remove a link or a file that is this tool's own."""
    if exists(path) and for_real("remove", path, {
            ("link", path): "", ("exists", path): False, ("text", path): None}):
        os.unlink(path)
        sync_directory(os.path.dirname(path))


def exists(path):
    """True if the name exists, be it a dangling link."""
    return seen("exists", path, os.path.lexists)


def link_target(path):
    """Where the symbolic link points, without doubled slashes; "" if the path is none."""
    # Nothing looks at what is mounted there: it may hang.
    return seen("link", path, lambda _: "" if is_mount_point(path) or not os.path.islink(path)
                else re.sub("//+", "/", os.readlink(path)))


def now():
    """The time with its zone, to the second (RFC 3339)."""
    return datetime.datetime.now(datetime.timezone.utc).astimezone().isoformat(timespec="seconds")


def back_up(path, suffix):
    """Rename to backup_name, if there is anything; returns that name, or ""."""
    if not exists(path):
        return ""
    name = backup_name(path, suffix)
    rename(path, name)
    return name


def backup_name(path, suffix):
    """NAME+suffix; where that is taken, with the time."""
    stamp = ""
    while backups_of(path, suffix + stamp):  # a stamp is a second's
        stamp = time.strftime("-%Y%m%d-%H%M%S", time.gmtime())  # UTC knows no summer time
    return path + suffix + stamp


def backups_of(path, suffix=".xcatbak"):
    """What was moved aside from this name, oldest first."""
    pattern = re.compile(re.escape(path + suffix) + r"(-\d{8}-\d{6})?$")
    names = glob.glob(glob.escape(path + suffix) + "*") + [
        name for kind, name in list(RUN.pretended) if kind == "exists"]
    return sorted(name for name in set(names) if pattern.match(name) and exists(name))


# ---- The node ------------------------------------------------------------------------------

def physical_host_name():
    """The name this host boots with (hostname(5)), whatever name it has now."""
    names = re.findall(r"(?m)^\s*([^\s#]\S*)", read_text("/etc/hostname"))
    if not names or names[0].split(".")[0] == "localhost":
        refuse("/etc/hostname does not name this host", names[0] if names else "it is empty",
               "write this host's own name into it")
    return names[0]


def host_name():
    """The host name in use now."""
    return seen("host name", "", lambda _: socket.gethostname())


def boot_id():
    """The kernel's identifier of this boot."""
    return read_text("/proc/sys/kernel/random/boot_id").strip()


def os_release():
    """What os-release(5) says, by name; its "family": the distribution and what it is made from."""
    lines = re.findall(r"^(\w+)=(.*)$", read_text("/etc/os-release"), re.M)
    release = {name: value.strip("\"'") for name, value in lines}
    return dict(release, family={release.get("ID"), *release.get("ID_LIKE", "").split()})


def os_version():
    """Distribution and version, as `debian 12`."""
    return "%s %s" % tuple(os_release().get(key, "?") for key in ("ID", "VERSION_ID"))


def is_debian():
    """True on Debian and what is made from it."""
    return not os_release()["family"].isdisjoint(("debian", "ubuntu"))


def package_manager():
    """The command that installs packages on this distribution, None where it is not there."""
    # Debian and SLES package dnf as well: its presence does not make a host EL's.
    is_suse = not os_release()["family"].isdisjoint(("suse", "sles"))
    name = "apt-get" if is_debian() else "zypper" if is_suse else "dnf"
    return name if have(name) else None


def install_command(packages):
    """The line that installs packages here, for people."""
    if not is_debian():
        packages = sorted({re.sub("(iputils)-.*", r"\1", name) for name in packages})
    return " ".join(filter(None, [package_manager(), "install", *packages]))


def addresses():
    """(label, address, netmask) of every IPv4 address of this host, alias labels included."""
    return [(label, entry.address, entry.netmask or "255.255.255.255") for label, entries in
            psutil.net_if_addrs().items() for entry in entries if entry.family == socket.AF_INET]


def device_of(nic):
    """The device of a NIC that may be an alias (eth0 for eth0:0), or of any other label."""
    device = nic.split(":")[0]  # netplan may give an address a label that names no NIC
    other = device not in dict(socket.if_nameindex()).values()
    shown = output_of(["ip", "-o", "-4", "address", "show", "label", nic]) if other else ""
    return (shown.split() + ["", device])[1]  # `2: eth0    inet 10.5.106.4/8 ...`


def is_up(nic):
    """True if the NIC's device is there, up and linked, which psutil tells from 5.7.3 on."""
    return getattr(psutil.net_if_stats().get(device_of(nic)), "isup", False) and read_text(
        "/sys/class/net/%s/carrier" % device_of(nic), "1").strip() != "0"


def network_of(address, netmask):
    """The network that an address with this netmask lies in."""
    return ipaddress.ip_network("%s/%s" % (address, netmask), strict=False)


def towards(vip):
    """addresses() in whose network the VIP lies: smallest network first, the VIP itself last."""
    near = [entry for entry in addresses() if ipaddress.ip_address(vip) in network_of(*entry[1:])]
    return sorted(near, key=lambda entry: (entry[1] == vip, -network_of(*entry[1:]).prefixlen))


def own_addresses(nic, vip):
    """The NIC's IPv4 addresses that are no VIP; those of this VIP's own subnet first."""
    near = [address for _, address, _ in towards(vip)]
    mine = [address for label, address, _ in addresses()
            if device_of(label) == device_of(nic) and address not in [vip, *PAIR.vips]]
    return sorted(mine, key=lambda address: address not in near)


def physical_address(opts):
    """The address of this node on the VIP's NIC that stays when the VIP goes."""
    mine = own_addresses(opts.nic, opts.vip)
    if not mine:
        refuse("%s has no address of its own" % device_of(opts.nic),
               "its only address is the VIP" if vip_here(opts.vip) else "psutil lists none",
               "give the node another address on that NIC")
    return mine[0]


def hardware_addresses():
    """{device: its hardware address, in lower case}, by netifaces where that is to be had."""
    found = {nic: [entry.address for entry in entries if entry.family == psutil.AF_LINK]
             for nic, entries in psutil.net_if_addrs().items()}
    for nic in netifaces.interfaces() if netifaces else ():
        with suppress(ValueError):  # a container's that is gone by now
            found[nic] = [entry["addr"] for entry in netifaces.ifaddresses(nic).get(
                netifaces.AF_LINK, [])]
    return {nic: macs[0].lower() for nic, macs in found.items() if macs}


# ---- Virtual IP ----------------------------------------------------------------------------
# Only the node that holds the lease may have the VIP: activate and setup call take_lease before
# add_vip, and the holder keeps it there (keep_address); add_vip itself does not look at the lease.
# Whether another machine has the address is for check_vip_is_free. Of several VIPs, database,
# xCAT's master and host name belong to the first.

def all_vips(opts):
    """Every VIP of the pair, each with its nic, netmask and host_name (None for no name)."""
    return [opts, *opts.others]


def vip_here(vip):
    """The label of the NIC that holds the VIP on this host, "" if none does."""
    return seen("address", vip, lambda _: next(
        (label for label, address, _ in addresses() if address == vip), ""))


def vip_places(vip):
    """Where this host has the VIP: ip(8)'s entry of each place, and its device as "dev"."""
    label = vip_here(vip)
    shown = output_of(["ip", "-json", "-4", "address", "show"])
    if label and shown and ("prefix", vip) not in RUN.pretended:
        return [dict(entry, dev=nic["ifname"]) for nic in json.loads(shown)
                for entry in nic.get("addr_info", []) if entry["local"] == vip]
    masks = [mask for _, address, mask in addresses() if address == vip] + ["255.255.255.255"]
    prefix = RUN.pretended.get(("prefix", vip), network_of(vip, masks[0]).prefixlen)
    place = {"dev": device_of(label), "label": label, "prefixlen": prefix, "secondary": True}
    return [place] if label else []


def vip_amiss(vip, nic, netmask):
    """Where the VIP is instead of on its NIC, with its label and prefix; "" if all is right."""
    # The first address of a subnet keeps its label: others there and routes depend on it.
    label = nic if ":" in nic or have("ip") else nic + ":ha"
    right = device_of(nic), network_of(vip, netmask).prefixlen
    wrong = [place for place in vip_places(vip) if (place["dev"], place["prefixlen"]) != right
             or place["label"] != label and place.get("secondary")]
    return ", ".join("%s/%d on %s" % (vip, place["prefixlen"], place["label"]) for place in wrong)


def who_answers(address, nic, ping=True, off=()):
    """Who else uses the address: a hardware address, "a host that answers ping", "" for nobody.

    One ARP duplicate probe of a second (RFC 5227, 2.1.1; arping(8) -D), a ping alongside. A switch
    may answer for a node that is off (ARP suppression): such a MAC counts only with a ping.
    """
    # Silence is what arping says, not its exit status: some versions exit 1 when nobody answers.
    probe = ["arping", "-D", "-c", "2", "-w", "1", "-I", device_of(nic), address]
    with ThreadPoolExecutor(1) as pool:
        echo = pool.submit(ask, ["ping", "-n", "-c", "1", "-W", "1", address]) if ping else None
        status, out, err = ask(probe)
    macs = [mac.lower() for mac in re.findall(r"\[((?:[0-9A-Fa-f]{2}:)+[0-9A-Fa-f]{2})\]", out)]
    probed = re.search(r"^Sent [1-9]\d* probes?.*^Received \d+ response", out, re.M | re.S)
    if status == 124 or not macs and not probed:
        raise HAError("cannot probe for %s" % address, last_line(out, err),
                      "make `%s` work on this host" % " ".join(probe))
    answers = echo and echo.result()[0] == 0
    ignored = [*hardware_addresses().values(), *(off if ping and not answers else ())]
    found = [mac for mac in macs if mac not in ignored]
    return found[0] if found else "a host that answers ping" if answers else ""


def macs_of_off(opts):
    """The other nodes' MACs, with --peer-is-off and a share that shows whether they write to it."""
    watched = opts.peer_is_off and mount_of(opts.path)[1] not in UNSHARED
    others = read_nodes(opts.path, but=physical_host_name()) if watched else {}
    return {mac for node in others.values() for mac in [node["mac"], *node.get("macs", [])]}


def check_vip_is_free(opts):
    """Refuse when another machine uses a VIP; all of them are asked for together."""
    probed = [one for one in all_vips(opts) if one is opts or is_up(one.nic)]
    for one in [one for one in opts.others if one not in probed]:
        warn("{0} is not probed for: {1} is down; ip link set {1} up, or look at its link".format(
            one.vip, device_of(one.nic)))
    with ThreadPoolExecutor(len(probed)) as pool:
        answers = {one.vip: pool.submit(who_answers, one.vip, one.nic, not vip_here(one.vip),
                                        macs_of_off(opts)) for one in probed}
    for vip, answer in answers.items():
        if answer.result():
            refuse("the VIP %s is used by another machine" % vip, answer.result() + " answers",
                   "deactivate or power off that machine, then run this again")
    return "used by nobody else"


def add_vip(opts, as_found=False):
    """Put the VIP on its NIC, with its label and prefix (as_found: any); tell the network."""
    was, here = vip_amiss(opts.vip, opts.nic, opts.netmask), vip_here(opts.vip)
    if here and (not was or as_found and device_of(here) == device_of(opts.nic)):
        return "already on %s" % here
    if here:
        on_failure(restore_vip, opts.vip, vip_places(opts.vip), routes_from(opts.vip))
        remove_vip(opts.vip)
    net = network_of(opts.vip, opts.netmask)
    broadcast = str(net.broadcast_address)
    label = ["label", opts.nic] if ":" in opts.nic else []
    on_failure(remove_vip, opts.vip)
    if have("ip"):
        do(["ip", "address", "add", "%s/%d" % (opts.vip, net.prefixlen), "broadcast",
            broadcast, "dev", device_of(opts.nic)] + label)
    else:
        alias = opts.nic if label else opts.nic + ":ha"
        do(["ifconfig", alias, opts.vip, "netmask", opts.netmask, "broadcast", broadcast, "up"])
    pretend("address", opts.vip, opts.nic)
    pretend("prefix", opts.vip, net.prefixlen)
    expect(vip_here(opts.vip), "the VIP is not on %s" % opts.nic, "psutil does not list it")
    # Correct the neighbours' ARP tables in the background, as request and as reply: some switches
    # learn from replies only. Repeats cover a lost frame (RFC 5227, 2.3). A run waits at its end.
    for form in ("-U", "-A"):
        line = ["arping", form, "-c", "3", "-I", device_of(opts.nic), opts.vip]
        RUN.arpings.append(beside(partial(do, line, may_fail=True)))
        if RUN.dryrun:  # in order, so that two dry runs read alike
            RUN.arpings[-1].result()
    return "%s/%d added to %s%s" % (opts.vip, net.prefixlen, opts.nic, was and " (was %s)" % was)


def restore_vip(vip, places, routes):
    """Put the VIP back where it was, and the routes whose source it is."""
    for place in [place for place in places if place not in vip_places(vip)]:
        do(["ip", "address", "add", "%s/%d" % (vip, place["prefixlen"])] + [word for key in (
            "broadcast", "scope", "dev", "label") if key in place for word in (key, place[key])])
    for route in routes:
        do(["ip", "-4", "route", "replace"] + route)


def remove_vip(vip, leaves_another=False):
    """Remove the VIP from wherever it is; other addresses and routes of the node stay."""
    here = vip_here(vip)
    if not here:
        return "not on this host"
    if leaves_another and not own_addresses(here, vip):
        raise HAError("%s is the only address of %s" % (vip, device_of(here)),
                      "psutil lists no other", "give the node its own address first")
    routes = routes_from(vip)
    for place in vip_places(vip):
        device = place["dev"]
        kept = own_addresses(device, vip)
        # With it, removing a primary address keeps the others of its subnet (Linux ip-sysctl).
        names = ["net/ipv4/conf/%s/promote_secondaries" % name for name in ("all", device)]
        promoted = not kept or place.get("secondary") or any(
            read_text("/proc/sys/" + name).strip() == "1" for name in names)
        if not promoted:
            do(["sysctl", "-q", "-w", names[1] + "=1"])
        try:
            if have("ip"):
                do(["ip", "address", "del", "%s/%d" % (vip, place["prefixlen"]), "dev", device])
            else:
                do(["ifconfig", here, "down"])
        finally:
            if not promoted:
                do(["sysctl", "-q", "-w", names[1] + "=0"], may_fail=True)
        if not place.get("secondary"):  # NFS may have come from it, and would wait for 180 s
            do(["ss", "-K", "-H", "-n", "-t", "src", vip, "dport", "=", ":2049"], may_fail=True)
        lost = [address for address in kept if address not in own_addresses(device, vip)]
        expect(not lost, "removing the VIP took %s along" % ", ".join(lost),
               hint="add them again with `ip address add`")
    pretend("address", vip, "")
    expect(not vip_here(vip), "the VIP %s is still on %s" % (vip, here))
    for route in routes:
        for own in own_addresses(route[route.index("dev") + 1], vip)[:1]:
            do(["ip", "-4", "route", "replace"] + [own if word == vip else word for word in route])
    return "removed from %s" % here


def routes_from(vip):
    """The routes, as ip(8) takes them, that the kernel drops together with their source address."""
    shown = [line.split() for line in output_of(["ip", "-4", "route", "show"]).splitlines()]
    return [[word for word in route if word not in ("linkdown", "dead")] for route in shown
            if {"src", "dev"} <= set(route) and route[route.index("src") + 1] == vip
            and "kernel" not in route]


PERSISTENT_PLACES = {
    "/etc/sysconfig/network-scripts/ifcfg-*": "delete the line, then: nmcli connection reload",
    "/etc/sysconfig/network/ifcfg-*": "delete the line, then: wicked ifreload all",
    "/etc/NetworkManager/system-connections/*": "delete it there, then: nmcli connection reload",
    "/etc/netplan/*.yaml": "delete that address, then: netplan apply",
    "/etc/network/interfaces": "delete that line or address, the next boot leaves it out",
    "/etc/network/interfaces.d/*": "delete that line or address, the next boot leaves it out",
    "/etc/systemd/network/*.network": "delete that address, then: networkctl reload",
}


def persistent_vip(vip):
    """(problem, its fix) of the settings that would bring the VIP up at boot."""
    # Not as the gateway of a route, as in `via 10.5.106.50`.
    word = re.compile(r"(?<!via )(?<!via: )(?<![\d.])%s(?![\d.])" % re.escape(vip))
    for path, change in network_settings():
        above = {}  # {indent: the last line that begins there}
        lines = read_text(path).splitlines() if os.access(path, os.R_OK) else []
        for number, line in enumerate(lines, 1):
            indent = len(line) - len(line.lstrip(" \t-"))
            if line.split("#")[0].strip():
                above = {depth: text for depth, text in above.items() if depth < indent}
                above[indent] = line.split("#")[0]
            elsewhere = re.search(r"dns|nameserver|gateway|routing|\b(ntp\s*=|from\b)",
                                  " ".join(above.values()), re.IGNORECASE)
            if word.search(line.split("#")[0]) and not elsewhere:
                yield "the VIP comes up at boot: %s:%d has `%s`" % (
                    path, number, line.strip()), change


def network_settings():
    """[(file, change)] of this distribution's settings that are read at boot."""
    return [(path, change) for pattern, change in PERSISTENT_PLACES.items()
            for path in sorted(glob.glob(pattern)) if os.path.isfile(path)]


# ---- Names ---------------------------------------------------------------------------------

def set_host_name(name):
    """Give the running system this host name; leave /etc/hostname as it is."""
    before = host_name()
    if before == name:
        return "already " + name
    on_failure(set_host_name, before)
    do(["hostname", name])
    pretend("host name", "", name)
    expect(host_name() == name, "the host name is still " + host_name())
    return "%s (was %s)" % (name, before)


def parse_hosts(text):
    """[(address, [names])] of the lines of a hosts file (hosts(5))."""
    lines = [line.split("#")[0].split() for line in lines_of(text)]
    return [(words[0], words[1:]) for words in lines if len(words) > 1]


def merge_hosts(text, wanted, gone=frozenset()):
    """A hosts file in which every name of wanted has just the addresses that wanted gives it.

    wanted is [(address, [names])]; an address's first name is its canonical one, which makedns
    takes for the reverse zone, and comes first. gone is {(address, name)} of what is to leave.
    Order, comments and line ends stay; a line that loses all its names to another address becomes
    a comment. Only addresses of the same family compete for a name; ::1 is 127.0.0.1's (glibc).
    """
    homes, missing, present = {}, {}, {}
    for address, names in wanted:
        missing.setdefault(address, []).extend(names)
        for name in names:
            homes.setdefault((name.lower(), ":" in address), set()).add(address)
    for address, names in parse_hosts(text):
        present.setdefault(address, []).extend(names)
    missing = {address: list(dict.fromkeys(names)) for address, names in missing.items()
               if names[:1] != present.get(address, [])[:1]
               or not set(names) <= set(present.get(address, []))}
    lines, newline, todo = [], newline_of(text), dict(missing)
    for line in lines_of(text):
        for address, names in parse_hosts(line):
            family = ":" in address and address != "::1"
            stay = [name for name in names if (address, name) not in gone
                    and address in homes.get((name.lower(), family), [address])]
            if address in missing:
                stay = todo.pop(address, []) + [one for one in stay if one not in missing[address]]
            body = line.rstrip("\r\n")
            end, comment = line[len(body):], re.findall("#.*", body)
            if not stay and gone.issuperset((address, name) for name in names):
                line = ""
            elif not stay:
                line = "# %s   (xcatha: these names moved)%s" % (body, end)
            elif stay != names:
                line = " ".join([address] + stay + comment) + end
        lines.append(line)
    new = ["%s %s%s" % (place, " ".join(names), newline) for place, names in todo.items() if names]
    merged = "".join(lines)
    complete = newline if new and merged and not merged.endswith("\n") else ""
    return merged + complete + "".join(new)


def names_of(name, domain):
    """A host's names: the long one where the domain is known, the short and the given one."""
    short = name.split(".")[0]
    return list(dict.fromkeys(([short + "." + domain] if domain else []) + [short, name]))


def entries_of_pair(text, hosts, domain):
    """merge_hosts' wanted for these hosts, [(address, name)]: long, short and other long names."""
    # Long names count on loopback's lines and those of these addresses (an old node's: the VIP's).
    places = [address for address, _ in hosts]
    found = [name for _, name in hosts] + [name for address, names in parse_hosts(text)
        if address in places or address.startswith("127.") for name in names]
    longs = {name: [one for one in found if one.startswith(name.split(".")[0] + ".")]
             for _, name in hosts}
    domains = [domain] + [one.partition(".")[2] for names in longs.values() for one in names]
    domain = next(filter(None, domains), "")
    return [(address, list(dict.fromkeys(names_of(name, domain) + longs[name])))
            for address, name in hosts]


def write_hosts(opts, site):
    """Give VIP and physical address their names in /etc/hosts, long ones by site.domain."""
    if site is None:  # a dry run that cannot ask for it
        announce("write", "/etc/hosts", "if site.domain is set and a long name is missing")
        pretend("may change", "/etc/hosts", True)
        return "depends on xCAT's tables"
    text, hosts = read_text("/etc/hosts"), [(one.vip, one.host_name) for one in all_vips(opts)
        if one.host_name] + [(physical_address(opts), physical_host_name())]
    wanted = entries_of_pair(text, hosts, site.get("domain"))
    changed = change_file("/etc/hosts", merge_hosts(text, wanted))
    return "VIP and physical address %s" % ("added" if changed else "already there")


# {who makes resolv.conf, as the file or the link says: how it is told the name servers}
RESOLV_CONF_MAKERS = {
    "NetworkManager": 'nmcli connection modify "$(nmcli -g GENERAL.CONNECTION device show {nic})" '
                      'ipv4.dns "{servers}" && nmcli device reapply {nic}',
    "systemd": "resolvectl dns {nic} {servers}  # and no 127.0.0.53 in site.forwarders",
    "resolvconf": "printf 'nameserver %s\\n' {servers} | resolvconf -a {nic}.xcatha",
    "netconfig": 'NETCONFIG_DNS_STATIC_SERVERS="{servers}" in /etc/sysconfig/network/config, then '
                 "netconfig update -f",
    "dhclient": "`supersede domain-name-servers {servers};` in dhclient.conf, with commas between",
    "dhcpcd": '`static domain_name_servers="{servers}"` in /etc/dhcpcd.conf',
    "chattr": "chattr -i /etc/resolv.conf, then name {servers} there",
}


def resolv_conf():
    """([name servers that /etc/resolv.conf asks], what makes or keeps it, "" for none)."""
    path, text = "/etc/resolv.conf", read_text("/etc/resolv.conf")
    signs = [os.readlink(path)] if os.path.islink(path) else []
    if "stub-resolv" in "".join(signs):  # systemd-resolved's; the servers really asked are these
        text = read_text("/run/systemd/resolve/resolv.conf", text)
    signs += [line.strip("#; \r\n") for line in lines_of(text) if re.match(
        "(?i)[#;].*(generated|(managed|created) by (?!hand))", line)]
    if "i" in output_of(["lsattr", path]).partition(" ")[0]:  # immutable: whoever did that keeps it
        signs.insert(0, "chattr")
    known = [name for sign in signs for name in RESOLV_CONF_MAKERS if name in sign]
    return re.findall(r"(?m)^[ \t]*nameserver[ \t]+(\S+)", text), next(iter(known + signs), "")


def set_nameserver(vip, wanted):
    """Let /etc/resolv.conf ask the VIP first, or no longer ask it."""
    path, (present, maker) = "/etc/resolv.conf", resolv_conf()
    if (vip in present) == wanted:
        return "already right"
    if maker:
        how = RESOLV_CONF_MAKERS.get(maker, "ask {servers}")
        servers = [vip] * wanted + [address for address in present
                                    if address != vip and not is_loopback(address)]
        nic = device_of(next((label for label, _, _ in towards(vip)), "NIC"))
        warn("%s is kept by %s and was left alone; set the name servers there: %s" % (
            path, maker, how.format(nic=nic, servers=" ".join(servers))))
        return "kept by %s, left alone" % maker
    text = read_text(path)
    others = [line for line in lines_of(text) if line.split()[:2] != ["nameserver", vip]]
    first = ["nameserver %s%s" % (vip, newline_of(text))] if wanted else []
    change_file(path, "".join(first + others))
    return "nameserver %s %s" % (vip, "added" if wanted else "removed")


# ---- Services ------------------------------------------------------------------------------

def units_of(*asked):
    """{unit: its systemctl(1) properties} of those asked for that are installed, by real names."""
    # Of database servers the pair's alone; in a dry run as the announced changes would make them.
    names = [name for each in asked for name in (
        database_names() if each == "database" else SERVICES.get(each, [each]))]
    if not names:
        return {}
    status, out, err = ask(["systemctl", "show",
                            "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Job"] + [
        name if "." in name else name + ".service" for name in names])
    if status:
        raise HAError("systemd does not answer", last_line(out, err), "see `systemctl status`")
    found = {}
    for block in out.split("\n\n"):
        shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        pretended = RUN.pretended.get(("state", shown.get("Id")))
        if pretended or shown.get("LoadState", "not-found") not in ("not-found", "masked"):
            # A stop or restart that waits for other units: it is on its way down.
            if shown["ActiveState"] == "active" and shown.get("Job", "0") not in ("", "0"):
                shown["ActiveState"] = "deactivating"
            # An init script's unit stays active when its daemon has died.
            kind = kind_of(shown["Id"])
            script_ended = (shown["UnitFileState"], shown["SubState"]) == ("generated", "exited")
            if kind and script_ended and not processes_of(kind):
                shown["ActiveState"] = "failed"
            found[shown["Id"]] = dict(shown, ActiveState=pretended or shown["ActiveState"])
    return found


def kind_of(unit):
    """The kind of service that a managed unit belongs to."""
    return next((kind for kind in SERVICES if re.split("[@.]", unit)[0] in SERVICES[kind]), "")


def active_state(unit):
    """The unit's ActiveState by systemctl(1), "inactive" where it is not installed."""
    return next((shown["ActiveState"] for shown in units_of(unit).values()), "inactive")


def is_running(unit):
    """True if the unit is up."""
    return active_state(unit) in UP


def unit_states(*asked):
    """{unit: (not down, enabled)} of these kinds or units, or of all that are managed."""
    shown = units_of(*(asked or SERVICES))
    # `systemctl show` remembers old times, `is-enabled` looks at the files: one question for all
    # of them, and one more for each init script. An instance is never enabled.
    scripts = [unit for unit in shown if shown[unit]["UnitFileState"] == "generated"]
    files = [unit for unit in shown if unit not in scripts and "@" not in unit]
    boot = {}
    for group in ([files] if files else []) + [[unit] for unit in scripts]:
        status, out, err = ask(["systemctl", "is-enabled"] + group)
        if status > 4:  # less is an answer, such as "disabled"
            raise HAError("systemd does not answer", last_line(out, err), "see `systemctl status`")
        answers = out.split()
        if len(answers) != len(group):
            answers = [ask(["systemctl", "is-enabled", unit])[1].strip() for unit in group]
        boot.update(zip(group, answers))
    return {unit: (shown[unit]["ActiveState"] not in DOWN, seen(
        "enabled", unit, lambda name: boot.get(name) in STARTS_AT_BOOT)) for unit in shown}


def journal_of(unit):
    """The unit's last journal lines, as evidence."""
    out = ask(["journalctl", "--unit", unit, "--lines", "9", "--no-pager", "--output", "cat"])[1]
    return " | ".join(out.split("\n")).strip(" |") or "its journal is empty"


def start_unit(unit):
    """Start the unit, undone if the run fails. True if it had to be started."""
    state = active_state(unit)
    if state in UP:
        return False
    on_failure(stop_unit, unit)
    verb = "restart" if state == "failed" else "start"  # for systemd an init script may be active
    if state == "failed":
        do(["systemctl", "reset-failed", unit], may_fail=True)
    do(["systemctl", verb, unit], SERVICE_LIMIT, may_fail=True)
    pretend("state", unit, "active")
    # A database's start, with systemd's own limit, goes on when ours is over.
    wait_for_recovery(unit, lambda: kind_of(unit) == "database" and any(
        shown["ActiveState"] == "activating" and shown.get("Job", "0") not in ("", "0")
        for shown in units_of(unit).values()))
    # What is bound to the lease cannot start without it; why that went, its holder or fence tells.
    lost = exists(guard_file(unit)) and not is_running(LEASE_UNIT)
    cause = "xcatha-*" if lost else unit
    expect(is_running(unit), "%s did not start%s" % (unit, ": the lease is gone" if lost else ""),
           lambda: journal_of(cause), "fix the cause, see `journalctl -u %s`" % shlex.quote(cause))
    return True


def wait_for_recovery(unit, lasts):
    """Wait while a start goes on: if it were stopped, the next one would begin all over again."""
    if not (RUN.dryrun or UNDO.at_work) and lasts():
        say("  %s is still starting; after a crash a database replays its log" % short_names(unit))
        wait_until(lambda: not lasts(), RECOVERY_LIMIT, 1)


def stop_unit(unit):
    """Stop the unit. True if it had to be stopped."""
    if active_state(unit) in DOWN:
        return False
    do(["systemctl", "stop", unit], SERVICE_LIMIT, may_fail=True)
    pretend("state", unit, "inactive")
    expect(wait_until(lambda: active_state(unit) in DOWN, ASK_LIMIT),
           "%s does not stop" % unit, lambda: journal_of(unit), "see `systemctl status %s`" % unit)
    return True


def set_boot(wanted, units):
    """Let these units start at boot or not."""
    if [unit for unit in units if RUN.pretended.get(("enabled", unit)) == "perhaps"]:
        announce("run", "systemctl disable " + " ".join(units), "if its setup tool enables it")
    else:
        do(["systemctl", "enable" if wanted else "disable"] + units, may_fail=True)
    for unit in units:
        pretend("enabled", unit, wanted)
    for unit, (_, enabled) in unit_states(*units).items():
        expect(enabled == wanted, "%s is still %s at boot" % (
            unit, "disabled" if wanted else "enabled"), hint="see `systemctl status %s`" % unit)


def stop_services(kind):
    """Stop the services of a kind, by unit and by process, and let none start at boot."""
    states = unit_states(kind)
    # An error with one unit does not keep the others from being stopped.
    errors = [error_of(stop_unit, unit) for unit, (running, _) in states.items() if running]
    errors += [error_of(set_boot, False, [unit]) for unit, (_, boots) in states.items() if boots]
    # Also what runs outside its unit (restartxcatd leaves some), but not after a pretended stop.
    if not any(("state", unit) in RUN.pretended for unit in states):
        wait_until(lambda: not processes_of(kind), LAST_BREATH, 0.02)
        if kind != "database":  # a server that outlives its unit is the administrator's to end
            for sign in ("TERM", "KILL"):  # xcatd's may wait for what they have begun
                for process in processes_of(kind):
                    do(["kill", "-" + sign, str(process.pid)], may_fail=True)
                if RUN.dryrun or wait_until(lambda: not processes_of(kind), ORDERLY_LIMIT):
                    break
        gone = RUN.dryrun or wait_until(lambda: not processes_of(kind), ASK_LIMIT)
        errors.append(None if gone else HAError("%s still runs outside its unit" % kind, ", ".join(
            "%s (pid %d)" % (process.name(), process.pid) for process in processes_of(kind)),
            "end it, then run this again"))
    raise_all(errors)
    if not states:
        return "not installed"
    stopped = [unit for unit, state in states.items() if any(state)]
    return "stopped: " + short_names(*stopped) if stopped else "already stopped"


def processes_of(kind, place=""):
    """{process of a kind's servers on this host, of no container: its working directory}."""
    # Databases: all that work in this place; without one, those in the pair's links or directories.
    places, found = [place or "/"], {}
    if kind == "database" and not place:
        places = [link_target(path) or path for engine in pair_engines()
                  for path in database_directories(engine)]
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended, or root alone may look
            # The TFTP server that xcatd has started outlives it now and then.
            tftp = kind == "xcatd" and one.name() == "in.tftpd"
            named = re.match(r"(?:%s)\b" % PROCESSES[kind], one.name())
            if (named or tftp) and is_own_namespace(one.pid):
                directory = one.cwd()
                within = [link_target("/tftpboot") or "?"] if tftp else places
                if any(lies_in(directory, place) for place in within):
                    found[one] = directory
    return found


def is_own_namespace(pid):
    """False for a process of a container, which is no business of this host's services."""
    return os.path.samefile("/proc/%d/ns/pid" % pid, "/proc/self/ns/pid")


def short_names(*units):
    """Unit names for people, in one line."""
    return ", ".join(unit.replace(".service", "") for unit in units)


def disable_services():
    """Let no managed unit start at boot; xCAT's own tools enable some of them now and then."""
    changed = [unit for unit, (_, enabled) in unit_states().items() if enabled]
    if changed:
        set_boot(False, changed)
    if RUN.dryrun:
        announce("run", "systemctl disable UNITS", "for what was enabled meanwhile")
    return "disabled: " + short_names(*changed) if changed else "already disabled"


def restore_units(states):
    """Make every managed unit as unit_states found it; stop and disable one installed since."""
    seen_now = unit_states()
    before = {unit: states.get(unit, (False, False)) for unit in seen_now}
    errors = [error_of(set_boot, before[unit][1], [unit])
              for unit, (_, enabled) in seen_now.items() if enabled != before[unit][1]]
    errors += [error_of(stop_unit, unit) for unit in before if not before[unit][0]]
    # Without the lease a unit that is bound to it was on its way down.
    errors += [error_of(start_unit, unit) for unit in reversed(list(before)) if before[unit][0]
               and (not exists(guard_file(unit)) or is_running(LEASE_UNIT))]
    raise_all(errors)


# ---- The share -----------------------------------------------------------------------------

def share_from_links():
    """The share's path as the links of this node have it, "" without links."""
    # An administrator's own link that looks alike does not count: the pair's hint is there before
    # its first link, and the 2018 script, which had no hint, linked /etc/xcat.
    places = [link_target(STATE_DIR + "/share"), link_target("/etc/xcat")[:-len("/etc/xcat")]]
    return next((share for share in places if share and any(
        link_target(path) == share + path for path in all_directories())), "")


def find_share(opts):
    """The share's path on this node: links, lease unit, setup's hint, then -p; "" if unknown."""
    held = re.findall(r"--hold-lease (\S+)", read_text(LEASE_UNIT_FILE))
    hint = link_target(os.path.join(STATE_DIR, "share"))
    if hint and opts.path and not (share_state(hint) == "answers" and exists(state_file(hint))):
        hint = ""
    return next(filter(None, [share_from_links(), *held, hint, opts.path]), "")


def share_state(share, takes_over=False):
    """How the share is: "answers", "missing" or, after its time limit, "silent"."""
    # By a child: whoever touches a hung filesystem hangs with it. CephFS and Lustre answer this
    # without the servers of their files, of which a dead node may hold the lease for a while.
    status = ask(["stat", "--file-system", "--", share + "/."], SHARE_LIMIT)[0] if share else 1
    expiry = 0 if status else LONG_EXPIRY.get(mount_of(share)[1], 0)
    look = ["cat", "--", state_file(share, "lease")]
    silent = status == 124 or expiry and ask(look, SHARE_LIMIT)[0] == 124
    if silent and expiry and takes_over:
        say("  the lease cannot be read; waiting up to %d s until its holder is given up" % expiry)
        silent = ask(look, expiry)[0] == 124
    return "silent" if silent else "missing" if status or unmounted(share) else "answers"


def unmounted(share):
    """Where the share's filesystem is to be mounted and is not, "" if it is on a mount."""
    place = os.path.realpath(share)
    mount = mount_of(place)[0]
    nearer = [top for _, _, top, *_ in fstab() if lies_in(place, top) and len(top) > len(mount)]
    return max(nearer, key=len, default=share if mount == "/" else "")


def mounts():
    """(mount point, filesystem, [options]) of all mounts (proc(5))."""
    # Not psutil's: its list asks every filesystem a question, and one that hangs hangs it.
    lines = lines_of(read_text("/proc/self/mounts"))
    return [(unescaped(point), fstype, options.split(","))
            for _, point, fstype, options, *_ in (line.split(" ") for line in lines)]


def unescaped(text):
    """A path of /proc/self/mounts or the NFS server's, which write a blank as \\040."""
    return re.sub(r"\\(\d{3})", lambda code: chr(int(code.group(1), 8)), text)


def is_mount_point(path):
    """True if something is mounted there; unlike os.path.ismount it sees bind mounts, asks none."""
    return path in [point for point, *_ in mounts()]


def mount_of(path):
    """(mount point, filesystem, [options]) that the path lies on; touches no filesystem."""
    above = [one for one in mounts() if lies_in(path, one[0])]
    return max(reversed(above), key=lambda mount: len(mount[0]))  # the last one covers others


def locks_reach(share):
    """True if a lock on this filesystem holds on both nodes."""
    _, fstype, options = mount_of(share)
    return (fstype in SHARED_LOCKS + BLOCK_FILESYSTEMS and not set(LOCAL_LOCKS) & set(options)
            and (fstype != "lustre" or "flock" in options))


def lease_time(share):
    """Return L: after how many seconds the share's server gives a silent node's lock away."""
    # NFSv4 tells it (mountstats, lease_time=), but not before Linux 5.3: few servers have less
    # than 30 s. For others LEASE_TIME is what the nodes keep.
    mount, found = mount_of(share)[0], []
    for device in read_text("/proc/self/mountstats").split("\ndevice "):
        place = re.match(r".* mounted on (\S+) with fstype nfs4", device)
        if place and unescaped(place.group(1)) == mount:
            found = [int(time) for time in re.findall(r"\blease_time=(\d+)", device)] or [30]
    return next(filter(None, found), LEASE_TIME)


def unprotected_device(share):
    """Return the device of a block filesystem that two nodes could mount at once, "" for none."""
    if mount_of(share)[1] not in BLOCK_FILESYSTEMS:
        return ""
    number = os.stat(share).st_dev
    device = os.path.realpath("/dev/block/%d:%d" % (os.major(number), os.minor(number)))
    mmp = re.search(r"(?m)^Filesystem features:.*\bmmp\b", output_of(["tune2fs", "-l", device]))
    # DRBD with one primary and ext4 with multi-mount protection (MMP) let only one node mount it.
    return "" if mmp or os.path.basename(device).startswith("drbd") else device


def fstab():
    """[(number, line, mount point, filesystem, at boot or not)] of the lines of /etc/fstab."""
    rows = [(number, line, line.split("#")[0].split())
              for number, line in enumerate(read_text("/etc/fstab").splitlines(), 1)]
    return [(number, line, os.path.normpath(unescaped(words[1])), words[2],
             "noauto" not in words[3].split(",")) for number, line, words in rows if len(words) > 3]


def mounts_at_boot(share, links):
    """(problem, its fix) of fstab's lines that mount over a link or what one node alone may use."""
    for number, line, point, fstype, at_boot in fstab():
        if point in links and at_boot and fstype not in SHARED:
            yield ("%s is mounted at boot: /etc/fstab:%d has `%s`" % (point, number, line),
                   "sed -i '%ds/^/#/' /etc/fstab && systemctl daemon-reload" % number)
    # The share lies on the nearest; what is mounted on a directory above is this node's own.
    above = [entry for entry in fstab() if lies_in(share, entry[2]) and entry[2] != "/"]
    above.sort(key=lambda entry: len(entry[2]), reverse=True)
    for number, _, point, fstype, at_boot in above[:1]:
        if fstype in BLOCK_FILESYSTEMS and at_boot:
            yield ("/etc/fstab mounts %s at boot, be it in use on the other node" % point,
                   r"sed -i -E '%ds/^(\S+\s+\S+\s+\S+\s+)/\1noauto,/' /etc/fstab" % number)


def state_file(share, *names):
    """The path of a file of xcatha's own state on the share."""
    return os.path.join(share, ".xcatha", *names)


# The states of a record: what its host does or (NOBODY) did last. The data on the share are
# complete in all but UNFINISHED; "lease" is the nonce of the one that was released last.
#
#   setting up   the first node's setup is at work        unfinished   it ended before the end
#   trying       a setup tries the complete data          standby      nobody is active
#   activating   -a is at work                            active       -a came to its end
UNFINISHED, NOBODY = ("setting up", "unfinished"), ("unfinished", "standby")


def read_record(share):
    """What the lease holder recorded in cluster.json, in format 2; {} where there is no record."""
    path = state_file(share, "cluster.json")
    text = read_text(path)
    known = parse_object(text, ["format"]).get("format", 2)
    keys = RECORD_KEYS_1 if known == 1 else RECORD_KEYS
    record = parse_object(text, ("format",) + keys)
    if known not in (1, 2):
        refuse("the record %s is of format %s" % (path, known),
               "this version knows formats 1 and 2", "use the newer xcatha.py on both nodes")
    if text and not record:
        refuse("the record %s cannot be read" % path, "it is no JSON object with " +
               ", ".join(keys), "restore it from a backup of the share")
    if known == 1:
        done, released, last = (record.pop(name) for name in ("finished", "released", "active"))
        ended, last = "standby" if done else "unfinished", last or {}
        state = ended if released or not last else last.get("state", "active")
        record.update(host="", since="", lease=record.pop("released_lease", None))
        record.update(last, format=2, state="trying" if done and state == "setting up" else state)
    return record


def parse_object(text, keys):
    """A JSON object that has these keys; {} for any other text."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and set(keys) <= set(found) else {}


def write_record(share, **changes):
    """Change cluster.json; only for the node that holds the lease."""
    record = dict(read_record(share), format=2, **changes)
    write_file(state_file(share, "cluster.json"), json.dumps(record, indent=1) + "\n", 0o600)


def share_has_data(share):
    """True if the share holds a finished set; one of the 2018 script has no record."""
    record = read_record(share)
    return record["state"] not in UNFINISHED if record else os.path.isdir(share + "/etc/xcat")


def recorded_vips(record):
    """[{"vip", "netmask", "host_name"}] of a record, the pair's first; [] without a record."""
    return [record, *record.get("others", [])] if record else []


def read_nodes(share, but=""):
    """{host: what it recorded about itself} of the nodes that were set up, but for one."""
    nodes = {os.path.basename(path)[:-len(".json")]: parse_object(read_text(path), NODE_KEYS)
             for path in sorted(glob.glob(state_file(glob.escape(share), "nodes", "*.json")))}
    return {name: node for name, node in nodes.items() if node and name != but}


def write_node(opts, facts=None):
    """Update this node's own record; facts: its node_facts, where they are known already."""
    share, name = opts.path, physical_host_name()
    make_directory(state_file(share, "nodes"), 0o700)
    node = dict(facts or node_facts(opts), nic=opts.nic,
                set_up=read_nodes(share).get(name, {}).get("set_up", now()))
    if opts.others:
        node["nics"] = {one.vip: one.nic for one in opts.others}
    devices = [device_of(one.nic) for one in opts.others]  # a bond may answer by any of its NICs
    node["macs"] = sorted(mac for nic, mac in hardware_addresses().items() if nic in devices
                          or os.path.exists("/sys/class/net/%s/device" % nic))
    text = json.dumps(node, indent=1, sort_keys=True) + "\n"
    changed = change_file(state_file(share, "nodes", name + ".json"), text, 0o600)
    return "recorded" if changed else "already recorded"


def add_history(share, event):
    """Append one line to the share's history, of which the last thousand are kept."""
    path = state_file(share, "history")
    line = "%s %s %s" % (now(), physical_host_name(), event)
    write_file(path, "\n".join(read_text(path).splitlines()[-999:] + [line]) + "\n", 0o600)


def is_active_record(record):
    """True if the record says that this node is active and complete."""
    return record.get("state") == "active" and record["host"] == physical_host_name()


def active_node(record):
    """The node that a record names as active or at work, "" if none."""
    return "" if record.get("state", "standby") in NOBODY else record["host"]


def save_hosts(share):
    """Save the active node's /etc/hosts on the share, for the node that takes over."""
    text, record = read_text("/etc/hosts"), read_record(share)
    if not is_active_record(record):
        return "left alone: this node is not the active one"
    path = state_file(share, "hosts")
    if record["vip"] not in dict(parse_hosts(text)):  # `makehosts -n` keeps only the nodes' lines
        text = merge_saved_hosts("", text, read_text(path), ())
    if ("may change", "/etc/hosts") in RUN.pretended:
        for name in (path, TAKEN_HOSTS):
            announce("write", name, "if /etc/hosts changes")
        return "depends on xCAT's tables"
    if not text or text == read_text(path) == read_text(TAKEN_HOSTS):
        return "already saved"
    write_file(path, text, 0o600)
    write_file(TAKEN_HOSTS, text)
    return "saved"


def merge_saved_hosts(taken, saved, here, own):
    """This node's hosts file with what changed in the share's since it was taken from there."""
    # Lines that were added, renamed, renumbered or deleted arrive: makedns builds on them. What
    # this node alone has stays, and its own addresses (own) and their names.
    own_names = {(name, ":" in address) for address, names in parse_hosts(here)
                 if address in own or address.startswith("127.") for name in names}
    before, wanted = (dict.fromkeys(
        (address, name) for address, names in parse_hosts(text) for name in names if not (
            address in own or is_loopback(address) or (name, ":" in address) in own_names))
        for text in (taken, saved))
    gone = set(before) - set(wanted)
    return merge_hosts(here, [(place, [name]) for place, name in wanted], gone) if wanted else here


def with_saved_hosts(share):
    """/etc/hosts with the changes of the node that was active before."""
    own = {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values()
           for entry in entries} - {one["vip"] for one in recorded_vips(read_record(share))}
    return merge_saved_hosts(read_text(TAKEN_HOSTS), read_text(state_file(share, "hosts")),
                             read_text("/etc/hosts"), own)


def take_saved_hosts(share):
    """Take into /etc/hosts what has changed in the active node's, as the share keeps it."""
    path = state_file(share, "hosts")
    # The first node that holds the lease gives the share its own.
    first = not read_text(path) and lease_held_here(share)
    if first:
        write_file(path, read_text("/etc/hosts"), 0o600)
    changed = change_file("/etc/hosts", with_saved_hosts(share))
    change_file(TAKEN_HOSTS, read_text(path))
    return ("saved for the other node" if first else
            "the share's changes taken over" if changed else "already complete")


def is_loopback(address):
    """True for addresses that mean this host, and for what is no address."""
    with suppress(ValueError):
        parsed = ipaddress.ip_address(address)
        return parsed.is_loopback or parsed.is_multicast or parsed.is_link_local
    return True


# ---- Lease and guard -----------------------------------------------------------------------
#
# A node takes the lease of a dead one in a run of -a or -s alone, be it Pacemaker's, as follows
# (take_lease, check_lease_is_free, other_holder; L is lease_time, 90 s or what NFSv4 tells). Where
#
#   locks reach both nodes, and
#     the lock is free    at once; with a warning if the other's address answers: that node has
#                         passed its deadline (see below)
#     the lock is held    when it becomes free, within 120 s (Lustre 180 s, CephFS 300 s); refused
#                         at a sign of life (the counter moves), and at the end of that time
#   locks do not reach, or flock is refused, and the other node
#     has stood by        at once
#     has not             when its counter has stood still for L, or a longer deadline that it
#                         promised; refused if it moves. A lock held even so is a dead node's on
#                         NFSv3: its file is set aside
#   in either case        refused while a node answers that neither stood by nor promised a deadline
#   with --peer-is-off    instead of all this: when its counter has stood still that long, even with
#                         the lock held; refused while the other node's recorded address answers
#
# Only the lease's holder may have the VIP: -a and -s take the lease first; hold_lease keeps the VIP
# on its NIC; -d removes the VIP, then releases the lease; where that is lost, the fence removes it.
#
# A node that is silent is off before L is over. Two processes of the active node see to that, each
# in a unit of its own: the lease's holder (xcatha-lease, hold_lease) sends heartbeats to the share
# through the descriptor that it locked; what else could wait is in threads of its own. The fence
# (xcatha-fence), started beforehand and kept in memory, has that descriptor, too, and waits for the
# holder's word. From the start of the last heartbeat that reached the share (for L = 90 s):
#
#   GIVE_UP  45 s  the holder is silent: the fence removes the VIP
#   ANSWER   50 s  the share's last moment to tell that the lease is this node's: then only the
#                  holder died, and services stop in order; else they get SIGKILL now
#   KILL     55 s  what has not stopped in order gets SIGKILL
#   REBOOT   60 s  the node reboots, so that its kernel sends no more of what they had written; not
#                  where the lease is this node's by now, none of them is left, and all is sent
#   L        90 s  the filesystem gives the lock to another node, or its watch of the counter ends
#
# A holder that is killed counts as silent at once. Where the fence is killed, systemd ends the
# lease (BindsTo=), whose ExecStopPost= then does the fence's part.

def read_lease(share):
    """Return what the holder last wrote: host, boot, nonce, counter; {} without a lease."""
    return parse_object(read_text(state_file(share, "lease")), ["host", "boot", "counter"])


def lease_held_here(share):
    """True if this node's lease unit is up, and the lease names this node and this boot."""
    if not is_running(LEASE_UNIT):
        return False
    lease = seen("lease", share, read_lease)
    return lease.get("boot") == boot_id() and lease.get("host") == physical_host_name()


def expect_lease(share):
    """Raise an HAError if the lease is lost: the share is unmounted, or it is another node's."""
    expect(lease_held_here(share), "the lease was lost during this run",
           lambda: "%s is %s, %s names %s" % (LEASE_UNIT, active_state(LEASE_UNIT), state_file(
               share, "lease"), read_lease(share).get("host", "nobody")),
           "see that the share is mounted and who is active, then run the same command again")


def lock_file(descriptor):
    """Try for the lease's lock: "ours", "held", or "refused" where the filesystem has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return "held"
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return "refused"
        raise
    return "ours"


def lock_state(share, keep=None):
    """Try the lease's lock as lock_file does; it is let go at once, or when `keep` closes."""
    with ExitStack() as instant, suppress(FileNotFoundError):
        path, until = state_file(share, "lease"), keep or instant
        return lock_file(until.enter_context(open(path, "r+b", 0)).fileno())
    return "ours"


def lock_decides(share):
    """True if the lock can be trusted: it reaches both nodes, the last holder had it, it works."""
    return (locks_reach(share) and read_lease(share).get("locks", True)
            and lock_state(share) != "refused")


def other_holder(share):
    """Watch the lease, as the table above tells; the evidence of another holder, or ""."""
    lease, path = read_lease(share), state_file(share, "lease")

    def moves():
        """True if the holder has shown life since."""
        return read_lease(share).get("counter") != lease.get("counter")
    if not lock_decides(share):
        # A held lock means nothing then: NFSv3 keeps a dead node's until it boots. But after a
        # clean release: who only looks holds it for less than 2 s, who becomes active for longer.
        if is_let_go(share) and wait_until(lambda: lock_state(share) != "held", 2):
            return ""
        limit = silence_limit(share, lease)
        say("  locks do not reach between the nodes; watching the other's counter for %d s" % limit)
        return "its counter on the share moves" if wait_until(moves, limit, 1) else ""
    if lock_state(share) != "held":
        return ""
    limit = LONG_EXPIRY.get(mount_of(share)[1], LOCK_EXPIRY)
    say("  the lease is held; waiting up to %d s for a sign of life or the lock" % limit)
    wait_until(lambda: moves() or lock_state(share) != "held", limit, 1)
    return "the lock on %s is held" % path if lock_state(share) == "held" else ""


def silence_limit(share, lease):
    """Return how long a holder may be silent before its deadline has surely passed."""
    deadline = lease.get("deadline")
    return max(lease_time(share), deadline if isinstance(deadline, (int, float)) else 0)


def is_let_go(share):
    """True if the last word on the share is that nobody is active, or this node itself."""
    record, lease = read_record(share), read_lease(share)
    return (active_node(record) in ("", physical_host_name()) and (not lease or
            lease["host"] == physical_host_name() or lease.get("nonce") == record.get("lease")))


def check_lease_is_free(share, opts):
    """Refuse while another node holds the lease, having watched it as long as that takes."""
    lease = read_lease(share)
    holder = lease.get("host", active_node(read_record(share)) or "another node")
    evidence = other_holder(share)
    if evidence and active_state(LEASE_UNIT) not in DOWN:  # renamed since, or about to stop
        refuse("this node itself, as %s, has not let go of the lease" % holder, evidence,
               "run xcatha.py -d, then this again")
    if evidence:
        refuse("%s is active" % holder, evidence, "deactivate {0} first: xcatha.py -d there; {1}"
               .format(holder, POWER_OFF.format(holder)))
    # A holder that is silent, but whose address answers, is believed to have kept its deadline,
    # unless it promised none: then it may have lost its storage, and write to it when it is back.
    if not is_let_go(share) and not opts.peer_is_off:
        address = read_nodes(share, but=physical_host_name()).get(holder, {}).get("address")
        answers = address and who_answers(address, opts.nic)
        if answers and "deadline" not in lease:
            refuse("%s may still be active" % holder, "%s answers, and its xcatha.py promises no "
                   "deadline" % address, "run xcatha.py -d there; " + POWER_OFF.format(holder))
        if answers:
            warn("%s was active and did not stand by; %s answers. It has lost its lease and must "
                 "have stopped or rebooted by now: look at it with --status" % (holder, address))
    if not lock_decides(share) and lock_state(share) == "held":
        back_up(state_file(share, "lease"), ".replaced")


def lease_units(share):
    """{unit file: its text} of the holder and the fence of a lease."""
    limit, script = lease_time(share), "%s %s/xcatha.py" % (sys.executable, RUN_DIR)
    # systemd's own limits are longer than the fence's, or come after them.
    common = """Type=notify
OOMScoreAdjust=-1000
Nice=-20
TimeoutStartSec=%d
TimeoutStopSec=%d
WatchdogSignal=SIGKILL
WatchdogSec=%g
""" % (DO_LIMIT, max(SERVICE_LIMIT, 2 * limit), limit * GIVE_UP)
    lease = """[Unit]
Description=xcatha: this node's lease on {share}
RequiresMountsFor={share}
BindsTo={fence}
After=network.target {fence}
StartLimitIntervalSec=0
[Service]
ExecStart={script} --hold-lease {share}
ExecStopPost={script} --lease-lost
FileDescriptorStoreMax=1
""".format(share=share, fence=FENCE_UNIT, script=script)
    fence_text = """[Unit]
Description=xcatha: ends what needs the lease when it is lost
StartLimitIntervalSec=0
[Service]
ExecStart=%s --fence
""" % script
    return {LEASE_UNIT_FILE: lease + common, FENCE_UNIT_FILE: fence_text + common}


def take_lease(share, opts, vips):
    """Take the lease for this node; when it is lost, these VIPs go too."""
    make_directory(state_file(share), 0o700)
    going = "".join(vip + "\n" for vip in vips)
    if lease_held_here(share):  # its units and their copy of the script stay as they are
        changed = change_file(LEASE_VIPS, going)
        return "held by this node" if changed else "already held by this node"
    if active_state(LEASE_UNIT) == "deactivating":
        say("  this node's earlier lease is ending; waiting up to %d s" % lease_time(share))
        wait_until(lambda: active_state(LEASE_UNIT) in DOWN, lease_time(share))
    if not is_running(LEASE_UNIT):
        stop_unit(FENCE_UNIT)  # one that waits for a holder ends at once, else when it is done
    if opts.peer_is_off:  # the lease of a node that is surely off is set aside
        before = read_lease(share)
        for name, node in read_nodes(share, but=physical_host_name()).items():
            if who_answers(node["address"], opts.nic, True, macs_of_off(opts)):
                refuse("--peer-is-off refused: %s is not off" % name,
                       "%s answers" % node["address"], "power it off first")
        if wait_until(lambda: read_lease(share) != before, silence_limit(share, before)):
            refuse("--peer-is-off refused: the other node is not off",
                   "its counter on the share moves", "power it off first")
        back_up(state_file(share, "lease"), ".replaced")
    # What another node at work would change (expect_no_rival).
    was = [read_text(state_file(share, "cluster.json")), read_lease(share), lock_decides(share)]
    if not opts.peer_is_off:
        check_lease_is_free(share, opts)
    on_failure(release_lease, share)
    write_file(RUN_DIR + "/xcatha.py", read_text(os.path.abspath(__file__)))
    for path, text in {LEASE_VIPS: going, **lease_units(share)}.items():
        write_file(path, text)
    do(["systemctl", "daemon-reload"])
    write_file(RUN_DIR + "/ticket", json.dumps(was) + "\n", 0o600)
    # Not by start_unit, whose undo would stop it under a database that does not end.
    do(["systemctl", "start", LEASE_UNIT], DO_LIMIT, may_fail=True)
    pretend("state", LEASE_UNIT, "active")
    if not is_running(LEASE_UNIT):
        check_lease_is_free(share, opts)  # refuses where another node was quicker
    pretend("lease", share, {"boot": boot_id(), "host": physical_host_name()})
    pretend("exists", RUN_DIR + "/ticket", False)
    expect(lease_held_here(share), "the lease was not taken", lambda: journal_of(LEASE_UNIT),
           "see `systemctl status %s`" % LEASE_UNIT)
    return "held by this node"


def has_taken_lease():
    """True if this run took the lease, and its undo will release it."""
    return any(call.func is release_lease for call in UNDO.calls)


def release_lease(share):
    """Free the lease for the other node, unless a database still works on the share."""
    busy = works_on(share)
    expect(not busy, "the lease is kept", "a database server works in %s" % ", ".join(busy),
           "end that server, then run xcatha.py -d")
    remove_file(RUN_DIR + "/ticket")  # nothing here can start it by dependency then
    stopped = stop_unit(LEASE_UNIT)
    if not stopped:
        stop_unit(FENCE_UNIT)  # it would wait for a holder where the lease's start failed
    for path in (LEASE_UNIT_FILE, FENCE_UNIT_FILE, LEASE_VIPS):
        remove_file(path)  # what systemd has of it in memory needs a ticket
    return "released" if stopped else "not held by this node"


def hold_lease(share):
    """The lease unit's main loop: lock, say ready, then write a heartbeat every RENEW of L."""
    expect(psutil, "%s finds no psutil when systemd starts it" % sys.executable)  # PYTHONPATH?
    forget_lease()
    # A ticket allows one start: a dependency that starts the unit later gets no lease.
    ticket = RUN_DIR + "/ticket"
    expect(exists(ticket), "the lease is taken by xcatha.py -a and -s only", ticket + " is missing")
    record, lease, lock_decided = json.loads(read_text(ticket))
    os.unlink(ticket)
    path = state_file(share, "lease")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    # A moment's patience: another node may be looking whether the lock is free.
    wait_until(lambda: lock_file(descriptor) != "held", 2)
    state = lock_file(descriptor)
    if state == "held" or state == "refused" and lock_decided:  # nobody watched the counter then
        raise HAError("the lease %s cannot be locked" % path, "the lock is %s" % state)
    limit, finished = lease_time(share), share_has_data(share)
    life = {"host": physical_host_name(), "boot": boot_id(), "nonce": os.urandom(8).hex(),
            "deadline": limit, "locks": state == "ours" and locks_reach(share)}
    if not lock_decided:
        expect_no_rival(share, record, [lease, {}])
    write_heartbeat(descriptor, life, 0)
    if not lock_decided:
        time.sleep(SETTLE)
        expect_no_rival(share, record, [dict(life, counter=0)])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        expect(wait_until(lambda: channel.connect_ex(FENCE_SOCKET) == 0, ASK_LIMIT),
               "%s does not answer" % FENCE_UNIT)
        # The first heartbeats of a busy share may take long; the fence counts from a quick one.
        for counter in itertools.count(1):
            last = time.monotonic()
            write_heartbeat(descriptor, life, counter)
            if time.monotonic() - last < limit * RENEW:
                break
        text = json.dumps({"share": share, "life": life, "last": last, "limit": limit,
                           "holder": os.getpid(), "vips": vips_of_lease(),
                           "finished": finished, "reboots": mount_of(share)[1] not in UNSHARED})
        write_file(ARMED, text, 0o600)
        send_message(channel, text, descriptor)
        # When this process dies, the lock outlives it until nothing needs it any more.
        notify_systemd("FDSTORE=1\nFDNAME=lease", descriptor)
        notify_systemd("READY=1")
        beside(repeat, limit * RENEW, keep_address, set())  # it and is_idle lock RUN_LOCK
        beside(repeat, limit * RENEW, lambda: wait_until(is_idle, SETTLE) and save_hosts(share))
        # No heartbeat opens a file: a restarted NFS server refuses that, and only that, for 90 s.
        whose = "ours"
        while whose in ("ours", "full"):
            time.sleep(max(0, last + limit * RENEW - time.monotonic()))
            began, limit = time.monotonic(), lease_time(share)
            whose = renew_lease(share, descriptor, life)
            if whose == "full":  # a heartbeat missed; after some of them the fence gives up
                time.sleep(1)
                continue
            last = began
            send_message(channel, json.dumps({"last": last, "limit": limit, "whose": whose}))
            notify_systemd("WATCHDOG=1")
        signal.pause()  # the fence kills the services first, then this process


def write_heartbeat(descriptor, life, counter):
    """Write who holds the lease, with a counter that moves."""
    text = json.dumps(dict(life, counter=counter)).ljust(255) + "\n"
    os.pwrite(descriptor, text.encode(), 0)
    os.fsync(descriptor)


def renew_lease(share, descriptor, life):
    """Write a heartbeat; the lease is "ours", "full" (no room for it), "another's", "unknown"."""
    path = state_file(share, "lease")
    try:  # cached pages are dropped first, so that it is the server that answers
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        lease = parse_object(os.pread(descriptor, 4096, 0).decode(errors="replace"), ["nonce"])
        if not os.path.samestat(os.stat(path), os.fstat(descriptor)):
            return "another's"
        if lease.get("nonce") == life["nonce"]:
            write_heartbeat(descriptor, life, lease["counter"] + 1)
            return "ours"
    except OSError as error:
        say("%s: %s" % (path, error), sys.stderr)
        return "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "unknown"
    return "another's" if lease else "unknown"


def expect_no_rival(share, record, leases):
    """Raise an HAError if another node was at work since record and lease were judged."""
    # Where locks do not reach, two nodes that are activated at the same moment see each other
    # here: whoever finds the other's word before or after its own gives way.
    record_now, lease = read_text(state_file(share, "cluster.json")), read_lease(share)
    expect(record_now == record and lease in leases, "another node is taking the lease, too",
           json.dumps(lease))


def beside(action, *args):
    """Run what may hang in a thread that ends with this process; a future of its error."""
    error = futures.Future()
    thread = threading.Thread(daemon=True, target=lambda: error.set_result(error_of(action, *args)))
    problem = error_of(thread.start)  # the kernel may have no room for one more
    if problem:
        error.set_result(problem)
    return error


def repeat(pause, action, *args):
    """Run an action again and again; a failure is told and changes nothing."""
    while True:
        error = error_of(action, *args)
        if error:
            say("%s (%s)" % (error.what, error.evidence), sys.stderr)
        time.sleep(pause)


def is_idle():
    """True if no run of xcatha.py is at work on this node, which may write the same files."""
    with open(RUN_LOCK, "a") as lock:
        return lock_file(lock.fileno()) == "ours"


def keep_address(away):
    """Restore the active node's VIPs and host name; away: the VIPs whose NIC is or was down."""
    with open(RUN_LOCK, "a") as lock:  # a run of xcatha.py may be about to take them away itself
        kept = wait_until(lambda: lock_file(lock.fileno()) == "ours", 1) and parse_object(
            read_text(KEPT), KEPT_OPTIONS)
        if not kept:
            return
        if host_name() != kept["host_name"]:
            say("the host name was taken away; now " + set_host_name(kept["host_name"]))
        PAIR.vips = vips_of_lease()
        for one in recorded_vips(kept):
            opts = Namespace(**one)
            if not is_up(opts.nic):  # one that is down does not hold up the others
                away.add(opts.vip)
                continue
            if one is not kept and opts.vip in away:  # who has it in that network by now?
                remove_vip(opts.vip)
            away.discard(opts.vip)
            if (opts.nic, opts.vip, opts.netmask) in addresses() or vip_here(opts.vip) and (
                    not vip_amiss(opts.vip, opts.nic, opts.netmask)):
                continue
            other = "" if vip_here(opts.vip) else who_answers(opts.vip, opts.nic)
            say("the VIP was taken away; " + ("left so: %s answers for it" % other if other else
                                              "now " + add_vip(opts)))


def remember_address(opts):
    """Let the lease's holder keep VIP and host name from now on (keep_address)."""
    kept, *others = [{name: getattr(one, name) for name in KEPT_OPTIONS} for one in all_vips(opts)]
    text = json.dumps(dict(kept, others=others) if others else kept) + "\n"
    if read_text(KEPT) != text:
        write_file(KEPT, text)


def fence():
    """The fence unit's main loop: wait for the holder's silence, then end what needs the lease."""
    libc = ctypes.CDLL(None)
    libc.mlockall(7)  # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT: nothing of it is paged out
    with suppress(FileNotFoundError):
        os.unlink(FENCE_SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(FENCE_SOCKET)
        server.listen(1)
        notify_systemd("READY=1")
        if not is_readable(server, time.monotonic() + DO_LIMIT):
            return  # the holder did not get the lock
        channel = server.accept()[0]
    if not is_readable(channel, time.monotonic() + DO_LIMIT):
        return  # no heartbeat of the holder reached the share in time
    text, rights = channel.recvmsg(4096, socket.CMSG_SPACE(4))[:2]
    fcntl.flock(os.open(RUN_DIR, os.O_RDONLY), fcntl.LOCK_EX)  # until this process ends
    if not text or not os.path.exists(ARMED):  # the holder ended, and lose_lease was quicker
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when its work is done
    lease, reason = json.loads(text), ""
    lease["descriptor"] = array.array("i", rights[0][2])[0]
    while not reason:
        if not is_readable(channel, lease["last"] + lease["limit"] * GIVE_UP):
            reason = "%s did not answer for %d s" % (lease["share"], lease["limit"] * GIVE_UP)
            break
        text = channel.recv(4096)
        lease.update(json.loads(text) if text else {"holder": None})
        if not text:
            reason = "its holder has ended"
        elif lease["whose"] != "ours":
            reason = "the file %s is %s" % (state_file(lease["share"], "lease"), lease["whose"])
    end_service(lease, reason, libc)
    os._exit(DONE)  # whatever its threads are doing


def is_readable(channel, deadline):
    """True as soon as the socket has something to read; False if not before the deadline."""
    while True:
        notify_systemd("WATCHDOG=1")
        left = deadline - time.monotonic()
        if select.select([channel], [], [], min(max(left, 0), 1))[0]:
            return True  # be it late: what was said counts
        if left <= 0:
            return False


def lose_lease(*_):
    """Wait for the fence's end; do its part if it was killed. An older unit still names VIPs."""
    fcntl.flock(os.open(RUN_DIR, os.O_RDONLY), fcntl.LOCK_EX)  # until this process ends
    if os.path.exists(ARMED):
        lease = json.loads(read_text(ARMED))
        lease.update(holder=None, last=time.monotonic() - lease["limit"] * GIVE_UP)
        end_service(lease, "its holder and its fence have ended", ctypes.CDLL(None))


def forget_lease():
    """Forget what is to end with the lease (ARMED) and which VIPs are to be kept (KEPT)."""
    for path in (ARMED, KEPT):
        with suppress(FileNotFoundError):
            os.unlink(path)


def end_service(lease, reason, libc):
    """End what must not go on without the lease, or reboot: the chain above, from GIVE_UP on."""
    def look():
        """Ask the share whose the lease is."""
        answer = (renew_lease(share, lease["descriptor"], lease["life"]) if "descriptor" in lease
                  else {lease["life"]["nonce"]: "ours", None: "unknown"}.get(
                      read_lease(share).get("nonce"), "another's"))
        whose.append("ours" if answer == "full" else answer)

    def flush():
        """Send what killed processes left in the kernel, while the lease is this node's."""
        place = lease["descriptor"] if "descriptor" in lease else os.open(share, os.O_RDONLY)
        flushed.append(libc.syncfs(place) == 0 or not lease["reboots"])
    share, PAIR.vips = lease["share"], vips_of_lease() or lease.get("vips") or []
    whose, flushed, started = [], [], time.monotonic()
    # A first setup before its guard never reboots: no other node can use its data yet.
    lease["reboots"] = lease["reboots"] and bool(lease.get("finished") or guarded_here())
    # Where the kernel hangs in getifaddrs(3), no thread of Python gets on: then this child, which
    # has nothing else to do, reboots a moment after the loop should have.
    rebooter = attempt(os.fork)[0] if lease["reboots"] else None  # there may be no room for it
    if rebooter == 0:
        try:
            time.sleep(max(0, lease["last"] + lease["limit"] * REBOOT + 1.5 - time.monotonic()))
            libc.reboot(RB_AUTOBOOT)
        finally:
            os._exit(FAILED)
    notify_systemd("WATCHDOG=1")  # on a busy host what comes before the loop takes its time
    if needing_lease(share) or any(map(vip_here, PAIR.vips)):
        text = "the lease is lost: %s; VIP and services end here" % reason
        futures.wait([beside(log_loss, text)], 1)
    # Nothing is waited for that could hang: neither the share nor a command.
    beside(repeat, 1, look)
    for vip in PAIR.vips:
        beside(repeat, 1, remove_vip, vip)
    wait_until(lambda: whose, (ANSWER - GIVE_UP) * lease["limit"])
    in_order, flushing = whose[:1] == ["ours"], None
    if in_order:
        kill(lease.pop("holder"))
        units = [unit.replace("@.", "@*.") for unit in guarded_here()]
        if units:
            beside(lambda: do(["systemctl", "stop", *units], SERVICE_LIMIT, may_fail=True))
    while True:
        notify_systemd("WATCHDOG=1")
        left, now_is = needing_lease(share), time.monotonic()
        passed = (now_is - lease["last"]) / lease["limit"]  # in parts of L
        if not in_order or passed > KILL or now_is > started + ORDERLY_LIMIT:
            kill(*left)
            in_order = in_order and not left
            # Not before: systemd then stops what depends on the holder, which may hang.
            kill(lease.pop("holder", None))
        # A VIP that cannot be removed does no harm to the data; its step or the log tells of it.
        waits = now_is < started + ORDERLY_LIMIT and any(map(vip_here, PAIR.vips))
        if not left and not waits:
            ours = whose[-1:] == ["ours"]
            if ours and not in_order and not flushing:
                flushing = beside(flush)
            if ours and (in_order or flushed == [True]) or not ours and not lease["reboots"]:
                forget_lease()
                kill(rebooter)
                return
        if lease["reboots"] and (passed > REBOOT or whose[-1:] == ["another's"]):
            text = "the lease is lost: %s; this node reboots and syncs nothing" % reason
            futures.wait([beside(log_loss, text)], 1)
            libc.reboot(RB_AUTOBOOT)
            time.sleep(SETTLE)
        time.sleep(0.2)


def log_loss(text):
    """Say why, in the journal, on the console and in the log; each of them may hang."""
    say("<2>" + text)  # "critical" (sd-daemon(3)), which the journal syncs
    with suppress(OSError):
        console = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(console, ("\r\nxcatha: %s\r\n" % text).encode())
        os.close(console)
    open_log(LOG_FILE)
    handlers, logging.root.handlers = logging.root.handlers, []  # no other thread waits for them
    for handler in handlers:
        handler.handle(log.makeRecord("", logging.CRITICAL, "", 0, "%s", (text,), None))
        os.fsync(handler.stream.fileno())


def kill(*pids):
    """Send SIGKILL to these processes, whether or not they still exist."""
    for pid in filter(None, pids):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def needing_lease(share):
    """Return the processes of the guarded services, and database servers on the share."""
    units, found = set(guarded_here()), []
    kinds = {kind_of(unit) for unit in units} - {"database"}  # in their units or not
    # From /proc alone, and nothing of it that could hang.
    for pid in filter(str.isdigit, os.listdir("/proc")):
        place = "/proc/%s/" % pid
        with suppress(OSError):
            name, groups = read_text(place + "comm"), read_text(place + "cgroup")
            parts = re.split(r"[/\n]", groups)
            needs = (units & {*parts, *(re.sub(r"@.*\.", "@.", part) for part in parts)}
                     or any(re.match(r"(?:%s)\b" % PROCESSES[kind], name) for kind in kinds)
                     or re.match(r"(?:%s)\b" % PROCESSES["database"], name)
                     and lies_in(os.readlink(place + "cwd"), share))
            if needs and is_own_namespace(int(pid)) and not (
                    re.search(r"(?m)^State:\s+Z", read_text(place + "status"))
                    and len(os.listdir(place + "task")) == 1):  # else a thread of it is left
                found.append(int(pid))
    return found


def guarded_here():
    """Return the units that are bound to the lease, as their drop-ins tell; templates as such."""
    return [path.split("/")[-2][:-len(".d")] for path in glob.glob(guard_file("*"))]


def notify_systemd(message, *descriptors):
    """Tell the service manager, if it listens, and hand it descriptors to keep (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(message != "WATCHDOG=1")
        try:
            channel.connect(address)
            send_message(channel, message, *descriptors)
        except OSError:  # one that crashed listens no more, one that hangs reads no more
            if message != "WATCHDOG=1":
                raise


def send_message(channel, message, *descriptors):
    """Send a message through a local socket, and descriptors with it (unix(7))."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    channel.sendmsg([message.encode()], rights if descriptors else [])


def guard_file(unit):
    """The drop-in that binds a unit to the lease; one for all instances, if all are the pair's."""
    if "@" in unit and not pair_cluster():
        unit = re.sub(r"@.*\.", "@.", unit)
    return "/etc/systemd/system/%s.d/xcatha.conf" % unit


def unguarded_units(drop_in=""):
    """The units of a member that must not run without the lease, but lack a (or this) drop-in."""
    shown = units_of(*GUARDED, *(["console"] if drop_in else []))  # older pairs may lack it
    units = sorted(unit for unit in shown if "@" not in unit)
    if any("@" in unit for unit in shown):
        units.append("postgresql@%s.service" % pair_cluster())
    texts = {unit: read_text(guard_file(unit)) for unit in units}
    return [unit for unit in units if not texts[unit] or drop_in and texts[unit] != drop_in]


def guard_services(share):
    """Bind what is GUARDED and the console server to the lease: they cannot start without it."""
    # Not ordered among themselves: a unit that never stops must not hold up the others.
    text = "[Unit]\nBindsTo={0}\nAfter={0}\nRequiresMountsFor={1}\n".format(LEASE_UNIT, share)
    missing = unguarded_units(text)
    on_failure(do, ["systemctl", "daemon-reload"])  # first, so that it comes last in the undo
    for unit in missing:
        make_directory(os.path.dirname(guard_file(unit)))
        change_file(guard_file(unit), text)
    if os.path.isdir(NEEDRESTART):
        change_file(NEEDRESTART + "/xcatha.conf", "push @{$nrconf{blacklist_rc}}, qr(^xcatha-);\n")
    shown = output_of(["systemctl", "show", "--property=NeedDaemonReload", *units_of(*SERVICES)])
    if missing or "yes" in shown:  # a killed run may have made them
        do(["systemctl", "daemon-reload"])
    return "bound to the lease: " + short_names(*missing) if missing else "already bound"


# ---- Linked directories --------------------------------------------------------------------

def all_directories():
    """Every directory that may be a link, whatever the engine."""
    further = []
    with suppress(PermissionError):  # only root may read it
        further = read_text(FURTHER_DIRECTORIES).splitlines()
    # A PostgreSQL cluster is one of its own where others lie beside it.
    below = {"/var/lib/pgsql/": "data*", "/var/lib/postgresql/": "*/*"}
    tops = tuple(top for top in below if not link_target(top[:-1]))  # a share may hang
    found = [path for top in tops for path in glob.glob(top + below[top])]
    clusters = [re.sub(r"\.xcat.*", "", path) for path in found]  # a backup stands for its cluster
    links = [path for kind, path in list(RUN.pretended) if kind == "link" and path.startswith(tops)]
    databases = [path for engine in ENGINES.values() for path in engine["directories"]]
    return list(dict.fromkeys(XCAT_DIRECTORIES + further + databases + clusters + links))


def database_directories(engine):
    """The directories of the engine's server here: PostgreSQL has EL's layout or Debian's."""
    if engine != "postgresql":
        return ENGINES[engine]["directories"]
    if pair_cluster():  # where other clusters lie beside the pair's, its own data alone
        return ["/var/lib/postgresql/" + pair_cluster().replace("-", "/", 1)]
    top, *debian = ENGINES[engine]["directories"]
    if has_debian_layout():
        return debian
    data = top + "/data"
    alone = is_mount_point(data) and mount_of(data)[1] not in SHARED and exists(
        data + "/PG_VERSION")  # data on a filesystem of their own
    if link_target(top) or not link_target(data) and not alone and (  # no look through links
            set(glob.glob(top + "/*/PG_VERSION")) <= {data + "/PG_VERSION"}):
        return [top]
    return [data]


def directories_to_link(opts, record):
    """The directories that are links on the active node: as recorded, else by engine."""
    chosen = record.get("directories") or (
        XCAT_DIRECTORIES + database_directories(opts.dbtype) + opts.also)
    # Less what is itself a mount point of storage that both nodes see.
    return [path for path in dict.fromkeys(as_here(chosen)) if path not in opts.exclude and not (
        mount_of(path)[0] == path and mount_of(path)[1] in SHARED)]


def as_here(directories):
    """Directories to link, with PostgreSQL's as they are on this node, other clusters left out."""
    whole, own = ENGINES["postgresql"]["directories"], database_directories("postgresql")
    if set(whole) & set(own) or not set(whole) & set(directories):
        return directories
    return [path for path in directories if path not in whole] + own


def leads_to(share, path):
    """True if the directory is a link into the share, by whatever path the share is named."""
    target = link_target(path)
    return target == share + path or target.endswith(path) and (
        os.path.realpath(target[:-len(path)]) == os.path.realpath(share))


def linked_into(share):
    """The directories of this node that are links into the share."""
    return [path for path in all_directories() if leads_to(share, path)]


def unmount(path):
    """Unmount what is there; its files stay reachable in RUN_DIR until the next boot."""
    kept = RUN_DIR + "/mounted" + path
    withdraw_exports("")  # an exported filesystem is busy
    on_failure(export_directories)
    make_directory(kept)
    if not is_mount_point(kept) or not os.path.samefile(kept, path):
        on_failure(do, ["umount", kept])
        do(["mount", "--bind", path, kept])
    on_failure(lambda: is_mount_point(path) or do(["mount", "--bind", kept, path]))
    _, out, err = do(["umount", path], may_fail=True)
    expect(not is_mount_point(path), "%s cannot be unmounted" % path, last_line(out, err),
           "end what uses it (fuser -vm %s, or nfs-server), then run the same command again" % path)
    warn("%s is unmounted; until the next boot its files are in %s, too" % (path, kept))


def expect_data(path):
    """Refuse a directory that is not mounted, and /install or /etc/xcat if empty or missing."""
    kept = RUN_DIR + "/mounted" + path
    empty = path in ("/install", "/etc/xcat") and (
        not os.path.isdir(path) or set(os.listdir(path)) <= {"lost+found"})
    away = is_mount_point(kept) or path in [point for _, _, point, *_ in fstab()]
    if not link_target(path) and (empty or away and not is_mount_point(path)):
        refuse("%s is %s" % (path, "empty" if empty else "not mounted"),
               "xCAT is installed, so its data must be elsewhere",
               "mount --bind %s %s" % (kept, path) if is_mount_point(kept) else "restore it, take "
               "a line out of /etc/fstab that is no longer used, or mount it: mount %s" % path)


def unlink_directory(share, path):
    """Remove the directory's link into the share, and bring back what it was before."""
    target = link_target(path)
    signs = guard_file("xcatd.service"), state_file(share), share + "/etc/xcat/ha_mn"
    if target and not (leads_to(share, path) and (backups_of(path) or any(map(exists, signs)))):
        warn("%s is a link to %s, not made by xcatha; left as it is" % (path, target))
        return
    if target:
        # Where a database server still works in it, the link stays and that is an HAError.
        busy = works_on(share + path)  # its real name, which the link may not have
        expect(not busy, "%s stays linked" % path, "a database server works in %s" % " ".join(
            busy), "end that server, then run xcatha.py -d")
        remove_file(path)
    backups = [] if exists(path) else backups_of(path)
    if backups:
        rename(backups[-1], path)


def link_all(share, directories):
    """Make all directories links into the share; what was there is kept."""
    changed = [path for path in directories if not leads_to(share, path)]
    further = [path for path in directories if path not in all_directories()]
    if further:  # before the links: -d could not find them where the share is away
        change_file(FURTHER_DIRECTORIES, read_text(FURTHER_DIRECTORIES) + "".join(
            path + "\n" for path in further))
    for path in changed:
        make_directory(os.path.dirname(path))
        target = share + path
        expect(os.path.isdir(target), "%s is missing on the share" % target,
               hint="restore it from a backup, or copy %s of a standby there" % path)
        if is_mount_point(path):
            unmount(path)
        on_failure(unlink_directory, share, path)
        back_up(path, ".xcatbak")
        make_link(path, target)
    if "/etc/postgresql" in changed:
        do(["systemctl", "daemon-reload"])
    return "linked: " + " ".join(changed) if changed else "already links"


def unlink_all(share):
    """Remove all links into the share, but for a directory in which a database still works."""
    before = {path: link_target(path) for path in all_directories()
              if link_target(path) or not is_mount_point(path)}
    errors = [error_of(unlink_directory, share, path) for path in before]
    changed = [path for path, target in before.items() if link_target(path) != target]
    if "/etc/postgresql" in changed:
        do(["systemctl", "daemon-reload"])
    raise_all(errors)
    for path in itertools.filterfalse(exists, changed):
        warn("nothing local was kept of %s: reinstall xCAT, or make it" % path)
    return "local again: " + " ".join(changed) if changed else "already local"


def copy_directory(share, path, running=False):
    """Make the partial copy equal the directory: links, ACLs, attributes and holes included."""
    expect(os.path.isdir(path), "%s is missing on this node" % path, "no such directory",
           "install xCAT and the database completely, or leave it out with --exclude " + path)
    expect_lease(share)
    status, out, err = do(rsync_line(share, path, running), COPY_LIMIT, may_fail=True,
                          shown=sys.stdout.isatty())
    complaints = [line for line in err.splitlines() if line.startswith(("rsync: ", "ERROR: "))]
    # NFS has neither file capabilities nor POSIX ACLs; rsync has copied the contents even so.
    worse = [line for line in complaints if not re.match(UNSTORABLE, line)]
    if status == 23 and complaints and not worse:
        warn("the share cannot store %d ACLs or extended attributes of %s: its copy lacks them "
             "(the first: %s)" % (len(complaints), path, complaints[0]))
    elif status and not (running and status == 24):  # files may vanish then (rsync(1))
        raise HAError("copying %s to the share failed" % path, "rsync: exit %d, %s" % (status, (
            worse + [last_line(out, err)])[0]), "fix the cause, then run setup again; what earlier "
                      "copies had may fill the share: %s.old*" % (share + path + PARTIAL))


def rsync_line(share, path, running=False):
    """The command that makes the partial copy equal the directory."""
    copy, more = share + path + PARTIAL, ["--info=progress2"] if sys.stdout.isatty() else []
    if running:  # an earlier run's copy may have been linked, and been written into
        more += ["--backup", "--backup-dir=" + backup_name(copy, ".old")]
    # SELinux labels belong to this host; a share that cannot store them fails otherwise.
    return ["rsync", "-aHAXS", "--numeric-ids", "--one-file-system", "--delete",
            "--filter=-x security.selinux", "--filter=-x system.*", *more, path + "/", copy + "/"]


def copy_while_running(share, directories):
    """Copy the bulk while the services still run; copy_all makes it complete."""
    # Every copy gets its partial name; those that copy_all makes start empty.
    for path in directories:
        mark_partial(share, path)
        if not RUN.dryrun:
            expect_data(path)
        if path not in COPIED_WHILE_RUNNING:
            back_up(share + path + PARTIAL, ".old")
        above = os.path.dirname(path)
        make_directory(share + above, stat.S_IMODE(os.stat(above).st_mode))
        make_directory(share + path + PARTIAL)
        if above != "/" and not RUN.dryrun:  # else the database's user may not enter
            os.chown(share + above, os.stat(above).st_uid, os.stat(above).st_gid)
    first = [path for path in directories if path in COPIED_WHILE_RUNNING]
    for path in first:
        copy_directory(share, path, running=True)
    return "copied: " + " ".join(first)


def copy_all(share, directories):
    """Complete all copies and make them durable, then give them their final names."""
    for path in directories:
        copy_directory(share, path)
    do(["sync", "-f", share], COPY_LIMIT)
    for path in directories:
        on_failure(mark_partial, share, path)
        rename(share + path + PARTIAL, share + path)
    return "complete: " + " ".join(directories)


def mark_partial(share, path):
    """Give a copy its partial name again, unless a database server works in it."""
    expect_lease(share)
    expect(not works_on(share + path), "%s keeps its name" % (share + path),
           "a database server works there", "end that server, then run xcatha.py -d")
    if exists(share + path):
        rename(share + path, share + path + PARTIAL)


# ---- Database ------------------------------------------------------------------------------

def read_cfgloc(share=""):
    """xCAT's database string, the first line of /etc/xcat/cfgloc, of this node or on the share."""
    return (read_text(share + "/etc/xcat/cfgloc").splitlines() or [""])[0].strip()


def wrong_cfgloc():
    """The path of this node's own cfgloc, if it names the pair's engine; else ""."""
    # With it, what asks no xcatd (a package's xcatconfig) writes the active node's tables.
    home = "".join(backups_of("/etc/xcat")[-1:]) if link_target("/etc/xcat") else "/etc/xcat"
    path = home + "/cfgloc"
    readable = home and not is_mount_point(home) and os.access(through_links(path), os.R_OK)
    engine = engine_named_in(read_text(path)) if readable else ""
    wrong = ("switched", "") in RUN.pretended or engine in set(pair_engines()) - {"sqlite"}
    return seen("own cfgloc", "", lambda _: path if wrong else "")


def restore_own_cfgloc():
    """Give this node the cfgloc of before the switch, or move its cfgloc aside."""
    path, earlier = wrong_cfgloc(), read_text(OWN_CFGLOC)
    if not path:
        return "already leads elsewhere"
    pretend("own cfgloc", "", "")
    if earlier and engine_named_in(earlier) not in pair_engines():
        on_failure(change_file, path, read_text(path))
        write_file(path, earlier)  # also in a dry run, which has not switched it
        return "says what it said before"
    # There is no earlier text, or it names an engine of the pair, too.
    aside = backup_name(path, ".xcatbak")
    on_failure(lambda: exists(aside) and rename(aside, path))
    rename(path, aside)
    return "moved aside, xCAT has its SQLite files here"


def engine_named_in(cfgloc):
    """The engine of a database string (a mere path is SQLite's), "" for an unknown one."""
    return next((engine for engine, facts in ENGINES.items()
                 if cfgloc.startswith(facts["xcat"] + ":")), "" if ":" in cfgloc else "sqlite")


def current_engine():
    """The engine that xCAT uses on this node; an unknown one is an HAError."""
    cfgloc = read_cfgloc()
    engine = engine_named_in(cfgloc)
    if not engine:
        refuse("/etc/xcat/cfgloc names a database that xcatha cannot share", cfgloc.split("|")[0],
               "move xCAT to postgresql, mysql or sqlite first")
    return engine


def pair_engines():
    """The engines whose servers are the pair's; all others are left alone, unmentioned."""
    # That of this run, those whose directories are links into the share or whose units are bound
    # to the lease; on a node that is no member the one that its xCAT uses.
    share, bound = share_from_links(), guarded_here()
    found = [engine for engine, facts in ENGINES.items() if engine == PAIR.engine
             or share and any(link_target(path) == share + path for path in facts["directories"])
             or any(re.split("[@.]", unit)[0] in facts["units"] for unit in bound)]
    if found or share:  # behind the link, cfgloc may hang
        return found
    return list(filter(None, [engine_named_in(read_cfgloc())]))


def database_names():
    """The pair's database units, Debian's instances before their wrapper, installed or not."""
    units = [unit for engine in pair_engines() for unit in ENGINES[engine]["units"]]
    if "postgresql" in units and has_debian_layout():
        units.insert(0, "postgresql@%s.service" % (pair_cluster() or "*"))
        if pair_cluster():  # the wrapper starts and stops all clusters
            units.remove("postgresql")
    return units


def has_debian_layout():
    """True where PostgreSQL's clusters lie in /var/lib/postgresql; else EL's /var/lib/pgsql."""
    return is_debian() and not exists("/var/lib/pgsql")


def debian_clusters():
    """{cluster: its port} of this node's own PostgreSQL on Debian, `15-main` for one."""
    if not has_debian_layout() or link_target("/etc/postgresql") or not have("pg_lsclusters"):
        return {}
    lines = map(str.split, output_of(["pg_lsclusters", "--no-header"]).splitlines())
    return {"%s-%s" % (version, name): port for version, name, port, *_ in lines}


def pair_cluster(cfgloc=None):
    """The pair's cluster where this node has others too, which must not be touched; else ""."""
    # It is bound to the lease, or xCAT's database string leads to it by its port.
    bound = re.findall(r"^postgresql@(.+)\.service$", "\n".join(guarded_here()), re.MULTILINE)
    if not bound and (cfgloc is not None or PAIR.cluster is None):
        found, PAIR.cluster = debian_clusters(), ""
        if len(found) > 1:
            port = port_of(cfgloc or read_cfgloc())
            PAIR.cluster = next((name for name in found if found[name] == port), "")
    return bound[0] if bound else PAIR.cluster


def port_of(cfgloc):
    """The port of PostgreSQL that a database string names."""
    return (re.findall(r"port=(\d+)", cfgloc) + ["5432"])[0]


def works_on(place):
    """Where database servers of any engine work in this place; "" is no place."""
    return list(processes_of("database", place).values()) if place else []


def database_unit(engine):
    """The unit that starts the engine's server, "" for sqlite or where none is installed."""
    cluster = pair_cluster() if engine == "postgresql" else ""
    names = ["postgresql@" + cluster] if cluster else ENGINES[engine]["units"]
    return next(iter(units_of(*names)), "")


def start_database(share, engine):
    """Start the database server and see that it works on the share."""
    unit = database_unit(engine)
    expect(unit, "no unit of %s is installed, or it is masked" % engine,
           hint="run setup on this node, or unmask it")
    if not is_running(unit):
        on_failure(stop_services, "database")
    started = start_unit(unit)
    expect(RUN.dryrun or wait_until(lambda: works_on(share), ASK_LIMIT),
           "%s does not work on the share" % unit, lambda: "working directories: " + ", ".join(
               works_on("/")), "see its data directory setting")
    if engine == "postgresql":  # Debian's unit is up before it; 1 is "starting up" (pg_isready(1))
        port = port_of(read_cfgloc())
        wait_for_recovery(unit, lambda: ask(["pg_isready", "--port", port])[0] == 1)
    return "%s %s" % (short_names(unit), "started" if started else "already running")


def database_version(engine):
    """The server's major.minor version, "" for sqlite or where it is not installed."""
    client = next(filter(have, {"postgresql": ["psql"], "mysql": MYSQL}.get(engine, [])), "")
    text = output_of([client, "--version"]) if client else ""
    # MariaDB's client names its own version first, then that of its distribution.
    versions = re.findall(r"(\d+\.\d+)[.\d]*-MariaDB", text) + re.findall(r"\d+\.\d+", text)
    return (versions + [""])[0]


def postgres_settings():
    """The directory of this node's pg_hba.conf and postgresql.conf."""
    debian = glob.glob("/etc/postgresql/" + (pair_cluster().replace("-", "/", 1) or "*/*"))
    debian.sort(key=lambda path: [int(part) for part in re.findall(r"\d+", path)], reverse=True)
    places = ["/var/lib/pgsql/data"] + debian
    return next((path for path in places if os.path.exists(path + "/pg_hba.conf")), places[0])


def listeners_file(settings):
    """The file whose listen_addresses counts: the last one with it that PostgreSQL reads."""
    main, pattern = settings + "/postgresql.conf", r"(?m)^[ \t]*(listen_addresses|include_dir)\b"
    names = re.findall(pattern, read_text(main))
    included = sorted(glob.glob(settings + "/conf.d/*.conf")) if "include_dir" in names else []
    places = included + [main] if names[-1:] == ["listen_addresses"] else [main] + included
    # What ALTER SYSTEM has set; Debian has the settings beside the data.
    places.append(settings.replace("/etc/", "/var/lib/", 1) + "/postgresql.auto.conf")
    return ([path for path in places if "listen_addresses" in re.findall(
        pattern, read_text(path))] or [main])[-1]


def with_access(text, allowed):
    """A pg_hba.conf that admits every user from these addresses, with a password."""
    lines, newline = lines_of(text), newline_of(text)
    fields = [line.split()[:4] for line in lines]
    missing = ["host    all          all        %s/32      md5%s" % (address, newline)
               for address in allowed if ["host", "all", "all", address + "/32"] not in fields]
    # The first line that fits a connection decides.
    hosts = [number for number, line in enumerate(lines) if line.startswith("host")]
    titles = [number for number, line in enumerate(lines) if "IPv4 local connections" in line]
    place = min([*hosts, *(number + 1 for number in titles), len(lines)])
    if missing and lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    return "".join(lines[:place] + missing + lines[place:])


def with_listeners(text, wanted):
    """A postgresql.conf whose listen_addresses, the last of which counts, name these too."""
    settings = list(re.finditer(r"(?m)^[ \t]*listen_addresses\s*=?\s*'([^']*)'", text))
    present = settings[-1].group(1) if settings else "localhost"
    listed = [name.strip() for name in present.split(",") if name.strip()]
    if "*" in listed or "0.0.0.0" in listed or set(wanted) <= set(listed):  # nosec: read only
        return text
    line = "listen_addresses = '%s'" % ",".join(dict.fromkeys(listed + wanted))
    if not settings:
        return newline_of(text).join([text.rstrip("\r\n"), line, ""])
    return text[:settings[-1].start()] + line + text[settings[-1].end():]


def admit_node(opts):
    """Let PostgreSQL admit the VIP and this node, and listen there; MariaDB listen everywhere."""
    wanted = [opts.vip, physical_address(opts)]
    if opts.dbtype == "mysql":  # each node has this setting outside the shared directory
        places = list(filter(os.path.isdir, (
            "/etc/mysql/mariadb.conf.d", "/etc/mysql/mysql.conf.d", "/etc/mysql/conf.d",
            "/etc/my.cnf.d")))  # what is read last comes first
        expect(places, "there is no place for MariaDB's settings", "no /etc/my.cnf.d",
               "make /etc/my.cnf.d and include it from /etc/my.cnf")
        # A dry run may be on a host whose package is yet to bring the place.
        place = (places + ["/etc/mysql/mariadb.conf.d" if is_debian() else "/etc/my.cnf.d"])[0]
        changed = change_file(place + "/zz-xcatha.cnf", "[mysqld]\nbind-address = *\n")
        return "bind-address %s" % ("set" if changed else "already set")
    settings = postgres_settings()
    access, listeners = settings + "/pg_hba.conf", listeners_file(settings)
    if ("switched", "") in RUN.pretended:
        for path in (access, listeners):
            announce("write", path, "for what pgsqlsetup leaves out")
        return "%s would be admitted" % " and ".join(wanted)
    changed = change_file(access, with_access(read_text(access), wanted))
    changed |= change_file(listeners, with_listeners(read_text(listeners), wanted))
    if changed and is_running(database_unit("postgresql")):
        do(["systemctl", "restart", database_unit("postgresql")], SERVICE_LIMIT)
    return "%s %s" % (" and ".join(wanted), "admitted" if changed else "already admitted")


def install_database(engine):
    """Install the engine's server and xCAT's driver for it."""
    def lacking():
        """Which of PACKAGES are missing: the server's, the driver's."""
        return [not database_unit(engine), ask(["perl", "-M" + perl, "-e", "1"])[0] != 0]
    perl, manager = "DBD::" + ENGINES[engine]["xcat"], package_manager()
    if not any(lacking()):
        return "already installed"
    if not manager:
        raise HAError("%s is not installed" % engine, "no known package manager",
                      "install its server and Perl's %s" % perl)
    # Only what is missing: no distribution's server beside one of another origin.
    names = list(itertools.compress(PACKAGES[manager][engine], lacking()))
    line = [manager, "install", "-y"] + names
    # What is there counts: zypper exits 106 where it did it all, but skipped some repository.
    status, out, err = do(line, INSTALL_LIMIT, INSTALL_ENV, may_fail=True)
    pretend_installed(ENGINES[engine]["units"][0], database_directories(engine), is_debian())
    expect(not any(lacking()), "%s could not be installed" % engine,
           "%s: exit %d, %s" % (pasted(line), status, last_line(out, err, 4)),
           install_command(names) + ", then run this again")
    return "installed: " + " ".join(names)


def forget_login_rule():
    """Take LOGIN_RULE out of pg_hba.conf, for good: no undo brings it back."""
    path = postgres_settings() + "/pg_hba.conf"
    text = read_text(path)
    if LOGIN_RULE in text:
        write_file(path, text.replace(LOGIN_RULE, ""))
        do(["systemctl", "reload", database_unit("postgresql")], may_fail=True)
    return "taken out of pg_hba.conf" if LOGIN_RULE in text else "already out"


def check_switch(_):
    """No switch was killed whose new tables, perhaps half of them, xcatd may have used since."""
    # The mark is empty while the tool works, which starts xcatd as its last act.
    if exists(SWITCHING) and read_text("/etc/xcat/cfgloc") != read_text(OWN_CFGLOC) and (
            time.time() - os.stat(SWITCHING).st_mtime > INSTALL_LIMIT
            or not read_text(SWITCHING) and is_running("xcatd.service")):
        yield ("setup was killed while it switched the database, and xcatd may have run since",
               SWITCHING, "if all definitions are there (systemctl start xcatd; lsdef), rm {0}; to "
               "drop them touch {0} && systemctl stop xcatd; then run this again".format(SWITCHING))


def undo_switch():
    """Undo a killed switch, whose new tables may be half: login rule out, old cfgloc back."""
    outcome = forget_login_rule()
    if not exists(SWITCHING):
        return outcome
    stop_unit("xcatd.service")  # which keeps the cfgloc that it has read
    change_file("/etc/xcat/cfgloc", read_text(OWN_CFGLOC, None), 0o600)
    change_file(SWITCHING, None)
    return "cfgloc as before; definitions made since then are dropped"


def switch_database(opts):
    """Move xCAT's tables to the wanted engine, at the VIP."""
    before, cfgloc = current_engine(), "/etc/xcat/cfgloc"
    if before == opts.dbtype:
        return "already " + before
    say("  switching the database takes minutes; xcatd is down meanwhile")
    start_xcatd()  # mysqlsetup's dump asks it
    before_keys = table_keys()
    back_up("/root/xcat-dbback", ".xcatbak")  # the tools dump all tables there
    earlier = read_text(cfgloc, None)
    change_file(OWN_CFGLOC, earlier, 0o600)
    change_file(SWITCHING, "")
    on_failure(stop_unit, "xcatd.service")  # so that it starts anew on the old database
    on_failure(change_file, cfgloc, earlier, 0o600)
    if opts.dbtype == "postgresql":
        # pgsqlsetup needs CREATE on schema public, which PostgreSQL 15 took away (its notes, E.1).
        data, as_postgres = "/var/lib/pgsql/data", ["runuser", "-u", "postgres", "--"]
        if data == postgres_settings() and not exists(data + "/PG_VERSION"):
            new = "/var/lib/pgsql/.xcatha-new"  # one that is killed leaves half a cluster
            back_up(new, ".old")
            on_failure(do, ["mv", "-T", new, backup_name(STATE_DIR + "/half-a-cluster", "")],
                       may_fail=True)
            do(["install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", new])
            do(as_postgres + ["initdb", "-D", new, "-E", "UTF8"])
            do(["mv", "-T", new, data])  # in place of the package's empty directory
        admit_node(opts)  # pgsqlsetup leaves 10.0.0.1 out where it finds 10.0.0.10
        access = postgres_settings() + "/pg_hba.conf"
        on_failure(stop_unit, database_unit("postgresql"))  # even if the rule's reload fails
        on_failure(forget_login_rule)
        write_file(access, LOGIN_RULE + read_text(access))  # for pgsqlsetup, which is root on EL
        if not start_unit(database_unit("postgresql")):
            do(["systemctl", "reload", database_unit("postgresql")], may_fail=True)
        psql = as_postgres + ["psql", "-X", "-q", "-d", "template1"]
        do(psql + ["-c", "GRANT ALL ON SCHEMA public TO PUBLIC"])
        secret = password("XCATPGPW")
        if output_of(psql + ["-tc", "SELECT 1 FROM pg_roles WHERE rolname = 'xcatadm'"]).strip():
            do(psql, text="ALTER ROLE xcatadm PASSWORD '%s';\n" % secret)  # pgsqlsetup keeps it
        do(["pgsqlsetup", "-i", "-V", "-a", opts.vip, "-a", physical_address(opts)],
           INSTALL_LIMIT, env={"XCATPGPW": secret})
    else:
        admit_node(opts)  # mysqlsetup looks for a bind-address in few places
        hosts = RUN_DIR + "/hosts"  # the addresses from which connections will come
        write_file(hosts, "%s\n%s\n" % (opts.vip, physical_address(opts)), 0o600)
        do(["mysqlsetup", "-i", "-V", "-f", hosts], INSTALL_LIMIT, env={
            "XCATMYSQLADMIN_PW": password("XCATMYSQLADMIN_PW"),
            "XCATMYSQLROOT_PW": password("XCATMYSQLROOT_PW"), "MYSQL_HISTFILE": "/dev/null"})
    write_file(SWITCHING, "to be compared\n")
    forget_login_rule()
    expect(current_engine() == opts.dbtype, "the switch to %s did not happen" % opts.dbtype,
           "%s still names %s" % (cfgloc, before), "the log has the tool's output")
    start_xcatd()  # the tool exits 0 even where one row is refused, and all of its table with it
    lost = sorted({name for name, _ in before_keys - table_keys()})
    expect(not lost, "the switch has lost rows of " + ", ".join(lost), "tabdump shows fewer",
           "find the row that the new database refuses (an empty one, a long key) in "
           "/root/xcat-dbback, correct it in the old table, then run setup again")
    remove_file(SWITCHING)
    unit = database_unit(opts.dbtype)
    pretend("switched", "", True)
    pretend("state", unit, "active")
    # mysqlsetup enables it by chkconfig or update-rc.d, which not every distribution has.
    pretend("enabled", unit, opts.dbtype == "postgresql" or unit_states(unit)[unit][1] or "perhaps")
    return "%s -> %s" % (before, opts.dbtype)


def table_keys():
    """{(table, first column of a row)}, less tables that are not moved or that xcatd empties."""
    names = set() if RUN.dryrun else set(xcat(["tabdump"]).split())
    return {(name, line.partition(",")[0]) for name in names - {"auditlog", "eventlog", "token"}
            for line in xcat(["tabdump", name]).splitlines() if line.startswith(('"', ","))}


def name_vip_in_cfgloc(opts):
    """Name the VIP as the database's host in cfgloc: the other node must reach it too."""
    text = read_text("/etc/xcat/cfgloc")
    if ("switched", "") in RUN.pretended:
        announce("write", "/etc/xcat/cfgloc", "if it names another address than the VIP")
        return "would name the VIP"
    changed = change_file("/etc/xcat/cfgloc", re.sub(r"host=[^|;\s]*", "host=" + opts.vip, text))
    return "cfgloc now names the VIP" if changed else "already names the VIP"


def password(variable):
    """A database password from the environment; the default is known to everybody."""
    if not os.environ.get(variable):
        warn("%s is not set; the database gets the well-known password `cluster`" % variable)
    return os.environ.get(variable) or "cluster"


def grant_access(opts):
    """Let MariaDB admit xCAT's user from the VIP and this node's address; over the socket."""
    client = next(filter(have, MYSQL), MYSQL[0])
    _, user, secret = (read_cfgloc().split("|") + ["", ""])[:3]
    RUN.secrets += filter(None, [secret])
    if user and ask([client, "--host=" + opts.vip, "--user=" + user, "xcatdb",
                     "--execute=SELECT 1"], env={"MYSQL_PWD": secret})[0] == 0:
        return "already admitted"
    expect(re.match(r"^\w+$", user) and re.match(r"^\w+$", secret),
           "/etc/xcat/cfgloc has no plain user and password", "empty or not alphanumeric",
           "set them with xCAT's mysqlsetup")
    if RUN.dryrun:
        announce("run", "mysql --user=root --batch", "unless this node is admitted already")
        return "depends on the database"
    grant = ("CREATE USER IF NOT EXISTS '{0}'@'{1}' IDENTIFIED BY '{2}';\n"
             "GRANT ALL PRIVILEGES ON xcatdb.* TO '{0}'@'{1}';\n")
    grants = [grant.format(user, one, secret) for one in (opts.vip, physical_address(opts))]
    status, out, err = do([client, "--user=root", "--batch"], text="".join(grants), may_fail=True,
                          env={"MYSQL_PWD": os.environ.get("XCATMYSQLROOT_PW") or "cluster"})
    expect(not status, "the database did not let root grant access", last_line(out, err),
           "give its root password in the environment as XCATMYSQLROOT_PW")
    return "%s admitted" % physical_address(opts)


# ---- xCAT ----------------------------------------------------------------------------------

def xcat_installed():
    """True if xCAT's management node packages are on this host."""
    return os.path.exists("/opt/xcat/sbin/xcatd") and not exists(INSTALLING)


def xcat_version():
    """xCAT's major.minor version, "" where it is not installed."""
    # By the package manager: lsxcatd blocks for minutes where its database does not answer.
    line = (["dpkg-query", "-W", "-f", "${Version}", "xcat-server"] if is_debian() else
            ["rpm", "-q", "--queryformat", "%{VERSION}", "xCAT-server"])
    return (re.findall(r"\d+\.\d+", output_of(line) if xcat_installed() else "") + [""])[0]


def install_xcat(opts):
    """Install xCAT by go-xcat: the given file, or the download of an https address."""
    if is_debian():
        write_file(RUN_DIR + "/apt.conf", 'DPkg::Lock::Timeout "600";\n')
        if output_of(["dpkg", "--audit"]):  # what was unpacked only would look installed
            do(["dpkg", "--configure", "-a"], INSTALL_LIMIT, INSTALL_ENV)
    if xcat_installed():
        return "already installed (%s)" % xcat_version()
    source, remote = opts.go_xcat, opts.go_xcat.startswith("https://")
    script = RUN_DIR + "/go-xcat" if remote else os.path.abspath(source)
    make_directory(RUN_DIR, 0o700)
    if remote and for_real("download", source, {}):
        import urllib.request  # here, because it would take a fifth of each start
        try:
            with open(script, "wb") as stream, urllib.request.urlopen(  # nosec: https only
                    source, timeout=DO_LIMIT) as page:
                stream.write(page.read())
        except (OSError, ValueError) as error:
            raise HAError("go-xcat could not be downloaded", "%s: %s" % (source, error),
                          "give a local copy with --go-xcat FILE") from error
    given = {"core": opts.xcat_core, "dep": opts.xcat_dep, "version": opts.xcat_version}
    sources = ["--xcat-%s=%s" % (name, os.path.abspath(value) if os.path.exists(value) else value)
               for name, value in given.items() if value]
    write_file(INSTALLING, "")
    if os.path.exists("/opt/xcat/sbin/xcatd"):  # go-xcat ends with lsdef, and an undo stops xcatd
        error_of(start_unit, "xcatd.service")
    error = error_of(do, ["bash", script, "--yes", *sources, "install"], INSTALL_LIMIT, INSTALL_ENV)
    if error:
        error.hint += ("; if xCAT is whole (systemctl start xcatd; lsdef), rm %s; then run setup "
                       "again" % INSTALLING)
        raise error
    remove_file(INSTALLING)
    pretend_installed("xcatd", XCAT_DIRECTORIES, True)
    if RUN.dryrun:
        guard = guard_file("UNIT")
        for verb, what in (("run", "systemctl stop UNIT"), ("run", "systemctl disable UNIT"),
                           ("make", os.path.dirname(guard)), ("write", guard)):
            announce(verb, what, "for a DNS, DHCP or console server that the installation brings")
    expect(xcat_installed(), "go-xcat ended without an error, but xCAT is not installed",
           "/opt/xcat/sbin/xcatd is missing", "see /tmp/go-xcat.log")
    return "installed (%s)" % (xcat_version() or "version not known yet")


def xcat(argv, action=ask, hint="see `systemctl status xcatd`", limit=DO_LIMIT):
    """Run an xCAT command; its stdout, or an HAError where it fails."""
    # Not past a daemon that is down (XCATBYPASS): without its database such a command blocks for
    # minutes, and on a standby it may reach the tables of the active node. See activate.
    code, out, err = action(argv, limit)
    if code:
        raise HAError("%s failed" % pasted(argv), "exit %d, %s" % (code, last_line(out, err)), hint)
    return out


def known_site(share):
    """The site table's attributes; None in a dry run that cannot ask for them."""
    if not RUN.dryrun:
        return site_attributes()
    # The first node's tables are those here; later they are those on the share, once it is linked.
    if ("link", "/etc/xcat") in RUN.pretended and share_has_data(share):
        return None
    return attempt(site_attributes)[0] if xcat_installed() else None


def site_attributes():
    """The site table's attributes, as {name: value}; unset ones are absent."""
    return {row["key"]: row["value"] for row in table("site") if row["value"]}


def table(name):
    """The rows in force of an xCAT table, as dictionaries."""
    _, _, text = ("\n" + xcat(["tabdump", name])).partition("\n#")  # complaints may come before
    return [row for row in csv.DictReader(text.splitlines(True))
            if (row.get("disable") or "0").lower() in ("0", "no")]


def start_xcatd():
    """Start xcatd and wait until it answers."""
    started = start_unit("xcatd.service")
    # Seldom: xcatd starts a process and a TLS session for whoever connects.
    expect(RUN.dryrun or wait_until(lambda: ask(XCATD_QUESTION)[0] == 0, SERVICE_LIMIT, 0.5),
           "xcatd does not answer", lambda: last_line(*ask(XCATD_QUESTION)[1:]),
           "see `systemctl status xcatd` and `lsxcatd -a`")
    return "started, answers" if started else "already running"


def verify_xcat(opts):
    """See that xCAT uses the wanted engine at the VIP, and that its tables are not empty."""
    if RUN.dryrun:
        return "would be verified"
    out = xcat(["lsxcatd", "-a"])
    shown = dict(line.strip().split("=", 1) for line in out.splitlines() if "=" in line)
    engine, host = ENGINES[opts.dbtype]["xcat"], shown.get("dbhost", "").split(";")[0]
    expect(shown.get("dbengine") == engine and (engine == "SQLite" or host == opts.vip),
           "xCAT does not use %s at the VIP" % opts.dbtype, "lsxcatd -a: dbengine=%s, dbhost=%s" % (
               shown.get("dbengine"), host), "see /etc/xcat/cfgloc")
    expect(site_attributes().get("master"), "xCAT's tables are empty", "tabdump site shows no "
           "master", "restore a dump, such as a switch's: restorexCATdb -p /root/xcat-dbback")
    return "lsxcatd shows %s%s" % (engine, "" if opts.dbtype == "sqlite" else " at " + opts.vip)


def trust_names(opts):
    """Let xCAT's policy trust xcatd's own certificate, this node and the VIP's host name."""
    out = output_of(["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in",
                     through_links("/etc/xcat/cert/server-cert.pem")])
    names = list(dict.fromkeys(re.findall(r"CN=([^,\s]+)", out)[:1] + [
        physical_host_name(), opts.host_name]))
    if RUN.dryrun and known_site(opts.path) is None:
        for name in names:
            announce("run", "chdef -t policy -o PRIORITY name=%s rule=trusted" % name,
                     "unless xCAT trusts it already")
        return "depends on xCAT's tables"
    rows = table("policy")
    trusted = {row["name"] for row in rows if row["rule"].startswith("trust")}
    missing = [name for name in names if name not in trusted]
    taken = [row["priority"] for row in rows]
    near = ("1.%d" % number for number in range(2, 10000) if number % 10)
    for name, priority in zip(missing, (number for number in near if number not in taken)):
        xcat(["chdef", "-t", "policy", "-o", priority, "name=" + name, "rule=trusted"], do)
    expect(not missing or set(missing) <= {
        row["name"] for row in table("policy") if row["rule"].startswith("trust")},
           "xCAT's policy does not trust %s" % ", ".join(missing),
           "tabdump policy shows no such rows", "add them with chdef -t policy")
    return "trusted: " + ", ".join(missing) if missing else "already trusted"


def set_master(opts, site):
    """Set the site's master and nameservers and the networks' tftpserver to the VIP."""
    if site is None:  # a dry run that cannot ask for it
        for change in ("site -o clustersite master", "site -o clustersite nameservers",
                       "network -o NETWORK tftpserver"):
            announce("run", "chdef -t %s=%s" % (change, opts.vip), "unless it is that already")
        return "depends on xCAT's tables"
    wrong = wrong_masters(opts, site)
    for kind, name, attribute, value in wrong:
        xcat(["chdef", "-t", kind, "-o", name, "%s=%s" % (attribute, value)], do)
    expect(not wrong or not wrong_masters(opts, site_attributes()), "chdef did not change " +
           ", ".join("%s of %s" % (attribute, name) for _, name, attribute, _ in wrong),
           "tabdump shows the old values", "run those chdef lines of the log by hand")
    return "the VIP is now: " + ", ".join(
        attribute for _, _, attribute, _ in wrong) if wrong else "already the VIP"


def wrong_masters(opts, site):
    """[(type, object, attribute, value)] of xCAT's tables that should name the VIP and do not."""
    places = places_of_nodes(opts, site)
    # Name servers that are no node of the pair stay. A tftpserver that is not set would be the
    # address that xCAT finds first on the NIC, this node's own.
    others = [name for name in site.get("nameservers", "").split(",")
              if name and name not in [opts.vip, site.get("master"), *places]]
    # No DNS runs here, or each service node's own is asked: then they are the site's alone.
    left = site.get("externaldns") or "<xcatmaster>" in site.get("nameservers", "")
    right = {"master": [opts.vip], **({} if left else {"nameservers": [opts.vip, *others]})}
    wrong = [("site", "clustersite", name, ",".join(words)) for name, words in right.items()
             if opts.vip not in site.get(name, "").split(",")]
    return wrong + [("network", row["netname"], "tftpserver", vip_of(row, opts) or opts.vip)
                    for row in table("networks") if all(map(row.get, NETWORK_KEYS)) and (
                        row["tftpserver"] in places or (
                            row["tftpserver"] in UNSET and vip_of(row, opts)))]


def vip_near(place, opts, netmask=""):
    """The VIP in one network with an address, by this mask or its own; "" for none, or a name."""
    with suppress(ValueError):  # a name, or a mask that is none
        for one in all_vips(opts):
            if ipaddress.ip_address(place) in network_of(one.vip, netmask or one.netmask):
                return one.vip
    return ""


def vip_of(network, opts):
    """The VIP that nodes of a row of xCAT's networks can ask: its own, else the pair's, or ""."""
    # A network on another NIC may have no route to the pair's VIP, and one of IPv6 has none.
    device = network["mgtifname"].replace("!remote!", "").split(":")[0]
    reachable = ":" not in network["net"] and device in ("", device_of(opts.nic))
    return vip_near(network["net"], opts, network["mask"]) or (opts.vip if reachable else "")


def places_of_nodes(opts, site):
    """{address or host name, short or long: the node of the pair that alone goes by it}."""
    nodes = read_nodes(opts.path)
    places = {node.get("address"): host for host, node in nodes.items()}
    for one in all_vips(opts):
        places.update(dict.fromkeys(own_addresses(one.nic, one.vip), physical_host_name()))
    for host in [physical_host_name(), *nodes]:
        places.update(dict.fromkeys(names_of(host, site.get("domain")), host))
    shared = [None, "", *(one.vip for one in all_vips(opts)),
              *names_of(opts.host_name, site.get("domain"))]
    return {place: host for place, host in places.items() if place not in shared}


def naming(places):
    """A pattern that finds these addresses and host names, not longer ones they are part of."""
    return re.compile(r"(?<![\w.-])(?:%s)(?![\w-]|\.\w)" % "|".join(map(re.escape, places)))


def with_vip(value, places, vip):
    """The value with the VIP in place of what names one node of the pair; "" if nothing does."""
    named = {places[place] for place in naming(places).findall(value)}
    if len(named) != 1:  # a list that names both nodes binds to neither
        return ""
    return ",".join(dict.fromkeys(naming(places).sub(vip, value).split(",")))


def node_facts(opts):
    """What a node records of itself: its address, and what must be alike on both."""
    ids = {"uid": None, "gid": None}
    with suppress(KeyError):
        owner = pwd.getpwnam(ENGINES[opts.dbtype]["user"])
        ids = {"uid": owner.pw_uid, "gid": owner.pw_gid}
    keys = sorted(glob.glob("/root/.ssh/id_*.pub"))
    key = output_of(["ssh-keygen", "-l", "-f", keys[0]]).split() if keys else []
    return dict(ids, address=physical_address(opts), os=os_version(), xcat=xcat_version(),
                mac=hardware_addresses().get(device_of(opts.nic), ""),
                database=database_version(opts.dbtype), ssh_key=key[1] if len(key) > 1 else "")


# ---- Optional services: DNS, DHCP, console; own steps; exports ------------------------------

def run_maker(argv, *addition, env=None):
    """Run one of xCAT's configuration makers; its failure is an HAError with its last line."""
    for original, kept in originals(argv):
        write_file(kept, read_text(original), os.stat(original).st_mode & 0o777)
    if addition:  # a file and what it says before that, which the maker is known to keep
        change_file(*addition)
    limit = RUN.by_pacemaker / 4 or MAKER_LIMIT  # its time for a start has room for three of them
    xcat(argv, partial(do, env=env, may_fail=True),
         "fix the cause, then run `%s` by hand" % " ".join(argv), limit)


def originals(argv):
    """[(file, where to keep a copy)] of what this maker is about to rewrite for the first time."""
    # makedhcp itself renames its file to NAME.xcatbak each time, over the one before.
    for path in MAKER_FILES.get(" ".join(argv), []):
        backup, own = path + ".xcatbak", "-kept" if argv[0] == "makedhcp" else ""
        if not exists(backup + own):
            pairs = [(path, backup + own)] + ([(backup, backup + own + "-older")] if own else [])
            yield from [pair for pair in pairs if os.path.isfile(pair[0])]  # no dangling link


def servers_of(*kinds):
    """units_of these kinds of services, less what only accompanies a server."""
    return {unit: shown for unit, shown in units_of(*kinds).items()
            if unit.split(".")[0] not in DHCP_COMPANIONS}


def running_units(*kinds):
    """The running servers of these kinds of services."""
    return [unit for unit, shown in servers_of(*kinds).items() if shown["ActiveState"] in UP]


def skip_reason(kind, site):
    """Why this node should not serve DNS or DHCP, "" if it should."""
    external = {"DNS": "externaldns", "DHCP": "externaldhcpservers"}[kind]
    if not servers_of(kind):
        return "no %s server is installed, or it is masked" % kind
    if site.get(external):
        return "site.%s is set" % external
    if kind == "DNS":
        return "" if site.get("domain") else "site.domain is not set"
    known = site.get("domain") or all(row["domain"] for row in table("networks"))
    return "" if known else "neither site.domain nor every network's domain is set"


def start_dns_or_dhcp(kind, site, fresh, stale, maker, dns=None):
    """Make DNS or DHCP serve what xCAT's tables and this node's /etc/hosts say."""
    reason, error = skip_reason(kind, site), maker.result() if maker else None  # waits for its end
    if reason:  # a maker that ran ahead, or xcatd, may have started the server
        if (maker or fresh and kind == "DHCP" and is_member()) and running_units(kind):
            stop_services(kind)
        return "skipped: " + reason
    if not (fresh or stale) and running_units(kind):
        return "already running"
    if stale or not maker or error:
        # makedns and makedhcp share one key of OMAPI and must not both create it.
        if dns and not any(row.get("key") == "omapi" for row in table("passwd")):
            dns.result()
        alone = {"XCATBYPASS": "1"} if kind == "DHCP" else None  # a service node may be down
        error = error_of(run_maker, [MAKERS[kind], "-n"], env=alone)
        if not running_units(kind):  # one that complains of a single network has done the rest
            raise_all([error])
    # Of two DHCP servers the one whose file makedhcp has just written.
    files = filter(os.path.isfile, MAKER_FILES["makedhcp -n"])
    kea = "kea" in max(files, key=os.path.getmtime, default="")
    unit = min(servers_of(kind), key=lambda name: ("kea" in name) != kea)
    if RUN.dryrun:
        announce("run", "systemctl start " + unit, "if it is down then")
    elif not running_units(kind):  # the maker's exit status proves nothing about the server
        start_unit(unit)
    raise_all([error, error_of(run_maker, ["makedhcp", "-a", "-l"]) if kind == "DHCP" else None])
    return "running: " + short_names(*(running_units(kind) or ["in a real run"]))


def start_console(opts, fresh, dns):
    """Start the console server that was in use, with the consoles of the database."""
    units = list(units_of("console"))
    if not units:
        return "skipped: no console server is installed"
    used = read_record(opts.path).get("console") if opts.path else None
    if not used and not any(row["cons"] or row.get("serialport") for row in table("nodehm")):
        return "skipped: no console is defined"
    unit = used if used in units else units[0]
    if not fresh and is_running(unit):
        return "already running"
    if unit.startswith("goconserver"):
        start_unit(unit)
        error = error_of(run_maker, ["makegocons"])
        if error and "not get any console" not in error.evidence:
            raise error
        do(["makegocons", "--cleanup"], may_fail=True)  # nodes removed while this one stood by
        return "running: " + short_names(unit)
    dns.result()  # conserver looks its nodes up when it starts, so it waits for the DNS
    conf, debian = MAKER_FILES["makeconservercf"]
    run_maker(["makeconservercf"], *[conf, with_trusted(read_text(conf), opts.vip, [
        node["address"] for node in read_nodes(opts.path).values()])] if opts.path else [])
    error = error_of(start_unit, unit)
    elsewhere = exists(conf) and read_text(conf) != read_text(debian, read_text(conf))
    if error and elsewhere and not used:
        return ("skipped: nobody used it, and {0} reads {2}, not xCAT's {1}: ln -sf {1} {2} && "
                "systemctl start {0}").format(short_names(unit), conf, debian)
    raise_all([error])
    return "running: " + short_names(unit)


def with_trusted(text, vip, hosts):
    """A conserver.cf(5) by which the server at the VIP trusts these hosts, too."""
    # xCAT's own access block trusts the addresses of the node that it is made on; conserver adds
    # up all blocks that are about it, and makeconservercf leaves this one alone.
    block = "access %s {\n  trusted %s;\n}\n" % (vip, ",".join(sorted(hosts)))
    other = re.sub(r"^access %s \{[^}]*\}\n" % re.escape(vip), "", text, flags=re.M)
    return text if block in text else other + block


def begin_makers(pool, kinds):
    """Begin makers, past xcatd (XCATBYPASS); {"DNS" or "DHCP": a future of its maker's error}."""
    def end_makers():
        """End the makers; one that cannot reach the database would be at work for minutes."""
        futures.wait(made.values(), ASK_LIMIT)
        kill_commands(RUN.children)
        futures.wait(made.values())
    # Only for what the pair served when it was last active: then xCAT's tables are fit for it, and
    # the key of OMAPI, which both makers would create, is there.
    made = {}
    on_failure(end_makers)
    for kind in filter(servers_of, kinds):
        made[kind] = pool.submit(error_of, run_maker, [MAKERS[kind], "-n"], env={"XCATBYPASS": "1"})
    return made


def start_optional(opts, site, fresh, stale=False, made=None):
    """Start DNS, DHCP and console side by side; the titles of those that are not up."""
    # made is begin_makers' futures; stale: hosts file or tables have changed since they began.
    down, made = [], made or {}
    if site is None:  # a dry run that cannot ask xCAT's tables
        for kind, makers in (("DNS", ["makedns -n"]), ("DHCP", ["makedhcp -n", "makedhcp -a -l"]),
                ("console", ["makegocons", "makegocons --cleanup", "makeconservercf"])):
            for maker in makers if units_of(kind) else []:
                for _, kept in originals(maker.split()):
                    announce("write", kept, "if xCAT's tables ask for it")
                announce("run", maker, "if xCAT's tables ask for it")
                if maker == "makeconservercf":
                    announce("write", MAKER_FILES[maker][0], "if it does not trust both nodes")
            for unit in units_of(kind):
                announce("run", "systemctl start " + unit, "if it is down then")
        return down
    with ThreadPoolExecutor(1 if RUN.dryrun else 3) as pool:
        dns = pool.submit(step, "DNS", start_dns_or_dhcp, "DNS", site, fresh, stale,
                          made.get("DNS"), failed=down)
        pool.submit(step, "DHCP", start_dns_or_dhcp, "DHCP", site, fresh, stale,
                    made.get("DHCP"), dns, failed=down)
        pool.submit(step, "Console server", start_console, opts, fresh, dns, failed=down)
    return sorted(down, reverse=True)  # in one order, however the threads ended


def own_steps(when, top=OWN_STEPS):
    """{executable: why it is not run, "" if it is} of own steps; when is a regular expression."""
    found, place = {}, through_links(top)
    for name in sorted(os.listdir(place) if exists(place) else ()):
        if re.match(when + r"-[\w-]+\Z", name, re.ASCII):
            looked = [os.lstat(through_links(path)) for path in (top, os.path.join(top, name))]
            found[os.path.join(top, name)] = (
                "it is no plain file" if not stat.S_ISREG(looked[1].st_mode) else
                "others than root may write it" if any(
                    look.st_uid or look.st_mode & 0o022 for look in looked) else
                "it is not executable" if not looked[1].st_mode & stat.S_IXUSR else "")
    return found


def fix_of_step(path):
    """The line that makes an own step one that is run."""
    return "look into it, then: chown root {0} {1} && chmod go-w {0} && chmod 755 {1}".format(
        os.path.dirname(path), path)


def run_own_steps(when, opts):
    """Run each of the site's own steps for this moment, also after one that failed."""
    steps, values = own_steps(when), {
        "XCATHA_VIP": opts.vip, "XCATHA_HOST_NAME": opts.host_name, "XCATHA_SHARE": opts.path}
    given = {name: value for name, value in values.items() if value}
    raise_all([HAError("%s was not run" % path, wrong, fix_of_step(path)) if wrong else
               error_of(do, [path], DO_LIMIT, given) for path, wrong in steps.items()])
    return "run: " + " ".join(map(os.path.basename, steps)) if steps else ""


def export_directories(share=""):
    """Export what /etc/exports names; an NFS share often cannot be, which is only a note."""
    if not have("exportfs"):
        return "skipped: no NFS server is installed"
    # The server that boot starts runs, also where the administrator stopped it for a failover.
    for unit, state in units_of("nfs-server", "nfsserver").items():
        if state["UnitFileState"] in STARTS_AT_BOOT and error_of(start_unit, unit):
            return "%s does not start; see `systemctl status %s`" % (short_names(unit), unit)
    if share:  # what of it leaves this node again if the run fails
        on_failure(withdraw_exports, share)
    status, out, err = do(["exportfs", "-r", "-a"], may_fail=True)
    hint = "; give its line fsid=NUMBER, alike on both nodes" if "fsid" in out + err else ""
    return "not all exported: %s%s" % (last_line(out, err), hint) if status else "exported"


def withdraw_exports(share):
    """Withdraw all exports of the share, which would keep it busy."""
    # The server knows an export by its real path, one that became a link since by the old one.
    gone = exports_of(share)
    for client, path, resolved in gone:
        client = "[%s]%s%s" % client.partition("/") if ":" in client else client  # IPv6
        status, *_ = do(["exportfs", "-u", "%s:%s" % (client, resolved)], may_fail=True)
        if status and path != resolved:
            do(["exportfs", "-u", "%s:%s" % (client, path)], may_fail=True)
    left = " ".join("%s:%s" % entry[:2] for entry in exports_of(share))
    expect(not left, "still exported: " + left, "/var/lib/nfs/etab lists them",
           "withdraw all exports with `exportfs -u -a`, then run xcatha.py -d")
    return "withdrawn: " + " ".join(dict.fromkeys(path for _, path, _ in gone)) if gone else "none"


def exports_of(share):
    """[(client, path, the path without links)] of what the NFS server exports of the share."""
    # Without a share: of the directories that would be linked.
    roots, linked = ([os.path.realpath(share)], linked_into(share)) if share else (
        all_directories(), [])
    found = []
    for line in filter(str.strip, lines_of(read_text("/var/lib/nfs/etab"))):
        path, *clients = map(unescaped, line.split())
        is_linked = any(lies_in(path, directory) for directory in linked)
        resolved = os.path.realpath(share + path if is_linked else path)
        if any(lies_in(resolved, root) for root in roots):
            found += [(client.split("(")[0], path, resolved) for client in clients]
    return found


# ---- Checks --------------------------------------------------------------------------------
# Each yields what is against the run: (what, the evidence, what to do next).

def check_host(opts):
    """This host has a NIC that is up, an address of its own, the tools and a share to write to."""
    nics = psutil.net_if_stats()
    # A further network that is away does not keep a pair from failing over (check_vip_is_free).
    for one in all_vips(opts) if opts.command == "setup" else [opts]:
        device = one.nic.split(":")[0]  # a label that names no NIC could not be given back
        if device not in nics:
            yield ("there is no NIC %s" % device, "NICs here: %s" % ", ".join(sorted(nics)),
                   "give the right one with -i")
        elif not is_up(one.nic) and not vip_here(one.vip):
            yield ("the NIC %s is down" % device, "its link or its setting is down",
                   "bring it up: ip link set %s up" % device)
    packages = {"systemctl": "systemd", "ping": "iputils-ping", "arping": "iputils-arping",
                "hostname": "hostname", "rsync": "rsync", "runuser": "util-linux"}
    missing = [name for name in packages if not have(name)]
    if missing:
        yield ("not installed: " + ", ".join(missing), "not found in the PATH",
               install_command([packages[name] for name in missing]))
    elif "iputils" not in "".join(ask(["arping", "-V"])[1:]):
        yield ("arping is not that of iputils", "arping -V", install_command(["iputils-arping"]))
    # The share is a directory on a mount of its own, not read-only.
    if share_state(opts.path, True) == "silent":
        yield ("the share %s does not answer" % opts.path, "stat: no end within %d s" %
               SHARE_LIMIT, "bring its server or network back")
    elif not os.path.isdir(opts.path):
        yield ("the share %s is not there" % opts.path, "no such directory",
               "is it mounted? Give its path with -p")
    else:
        share = os.path.realpath(opts.path)
        mount, _, options = mount_of(share)
        if unmounted(share):
            yield ("%s is not on a mount of its own" % share, "it lies on " + mount,
                   "is it mounted? mount " + unmounted(share))
        elif "ro" in options:
            yield ("%s is mounted read-only" % share, "mount options of %s" % mount,
                   "mount -o remount,rw %s" % mount)
    for name in PASSWORD_VARIABLES:
        if not re.match(r"^[A-Za-z0-9]*$", os.environ.get(name, "")):
            yield ("%s is not alphanumeric" % name, "xCAT's tools accept letters and digits only",
                   "choose another password")
    if device_of(opts.nic) in nics:
        physical_address(opts)  # refuses where there is none


def check_recorded(opts, *names):
    """These options, where they were given, are as the share records them."""
    record = read_record(opts.path)
    for name in names:
        given, recorded = getattr(opts, name), record.get(name)
        if given and recorded not in (None, given):
            yield ("%s %s differs from the pair's %s" % (FLAGS[name], given, recorded),
                   "recorded in %s" % state_file(opts.path, "cluster.json"),
                   "use %s %s, or leave it out" % (FLAGS[name], recorded))


def check_pair(opts):
    """The share's record and data, the options and this node's links agree."""
    record, cfgloc = read_record(opts.path), read_cfgloc(opts.path)
    yield from check_recorded(opts, "vip", "netmask", "dbtype", "host_name")
    for path in glob.glob(state_file(glob.escape(opts.path), "nodes", "*.json")):
        if not parse_object(read_text(path), NODE_KEYS):
            yield ("%s cannot be read" % path, "it is no JSON object with " + ", ".join(NODE_KEYS),
                   "mv {0} {0}.bad, then run -s on that node, which writes it anew".format(path))
    recorded = [one["vip"] for one in recorded_vips(record)]
    further = [(one["vip"], one["netmask"], one["host_name"]) for one in record.get("others", [])]
    if further != [(one.vip, one.netmask, one.host_name) for one in opts.others][:len(further)]:
        yield ("the further VIPs differ from the pair's", "recorded: " + ", ".join(
            "-v %s -m %s%s" % (vip, mask, " -n " + name if name else "")
            for vip, mask, name in further),
               "give each so, with its -i, or none; see the README, Several networks")
    for one in opts.others:
        if one.nic.split(":")[0] not in psutil.net_if_stats():
            yield ("the NIC of the further VIP %s is not known" % one.vip,
                   "recorded of this node: %s" % (one.nic or "nothing"),
                   "give it: -v %s -i %s -v %s -i NIC" % (opts.vip, opts.nic, one.vip))
    for name, node in read_nodes(opts.path).items():
        if node.get("address") in PAIR.vips:
            yield ("the VIP %s is %s's physical address" % (node["address"], name),
                   "recorded on the share", "choose an address that no node has")
        lost = name == physical_host_name() and node["address"] not in {
            address for _, address, _ in addresses()}
        if lost and who_answers(node["address"], opts.nic):
            yield ("another machine has this node's name, %s" % name,
                   "%s, which the share records of it, answers" % node["address"],
                   "give each its own in /etc/hostname; if that one is no member, move away " +
                   state_file(opts.path, "nodes", name + ".json"))
    bound = exists(guard_file("xcatd.service"))  # is_member counts hand-made links, too
    if bound and not record and not share_has_data(opts.path):
        yield ("%s holds nothing of this node's pair" % opts.path, "this node is a member of one",
               "mount the pair's share; for a new pair see the README, Dismantling a pair, first")
    for one in all_vips(opts):
        taken = [name for name in [physical_host_name(), *read_nodes(opts.path)]
                 if name.split(".")[0] == (one.host_name or "").split(".")[0]]
        if taken and one.vip not in recorded:
            yield ("the VIP's host name %s is a node's own" % one.host_name,
                   "%s boots with it" % taken[0], "choose a name for the VIP alone with -n, or "
                   "give that node another: hostnamectl set-hostname NAME")
    for path in opts.also:
        others = [other for other in directories_to_link(opts, record) if other != path]
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        places = (*NEVER_LINKED, opts.path, *others)
        inside = [place for place in places if lies_in(place, real)]
        around = [place for place in places if lies_in(real, place)]  # as /var/run/x in /run
        if path not in record.get("directories", [path]):
            yield ("%s is none of the pair's directories" % path, "recorded: " + " ".join(
                record["directories"]), "leave out --also %s; to add it see the README, Your own "
                   "services and directories" % path)
        elif inside or around:
            yield ("%s cannot be linked" % path, "%s lies in %s" % (
                (inside[0], path) if inside else (path, around[0])), "leave out --also " + path)
        elif not os.path.isdir(path) and not os.path.isdir(opts.path + path):
            yield "there is no directory %s" % path, "given with --also", "make it: mkdir " + path
    for path in directories_to_link(opts, record):
        target = link_target(path)
        if target and not leads_to(opts.path, path):
            kept = backups_of(path)[-1:] if target.endswith(path) else []  # xcatha's link ends so
            line = "rm {0} && mv {1} {0}" if kept else "rm {0} && mkdir {0} && mount --bind {1} {0}"
            yield ("%s is a link to %s" % (path, target), "it should point to " + opts.path + path,
                   (line + "; or add --exclude {0}").format(path, *kept, os.path.realpath(path)))
    for path in [path for path in database_directories(opts.dbtype) if path[:5] != "/etc/"]:
        if not directories_to_link(opts, {"directories": [path]}):
            yield ("%s would not be on the share" % path, "it is excluded, or a mount of its own",
                   "no --exclude, no mount there: its files belong in " + opts.path + path)
    if share_has_data(opts.path) and engine_named_in(cfgloc) != opts.dbtype:
        yield ("%s/etc/xcat/cfgloc does not name %s" % (opts.path, opts.dbtype),
               cfgloc.split("|")[0] or "it is empty", "restore its first line from a backup")
    # On data of the 2018 script, which has no lease, no other node of its list may answer.
    if record or is_serving(opts):
        return
    network, mine = network_of(opts.vip, opts.netmask), {entry[1] for entry in addresses()}
    # Lines `ADDRESS NAME` often run together there: in host110.5.106.5 is 10.5.106.5.
    found = re.findall(r"(?=((?:\d{1,3}\.){3}\d{1,3}))", read_text(opts.path + "/etc/xcat/ha_mn"))
    listed = {address for address in found if all(
        part == str(int(part)) and int(part) < 256 for part in address.split("."))}
    for address in sorted(listed - mine):
        answer = ipaddress.ip_address(address) in network and who_answers(address, opts.nic)
        if answer:
            yield ("%s, a node of the 2018 script, may be active" % address, "%s answers" % answer,
                   "run xcatha.py -a on it if it serves, else -d; or power it off")


def check_finished(opts):
    """The share holds finished data and this node has what it takes to serve it."""
    if not share_has_data(opts.path):
        yield ("the share %s holds no finished setup" % opts.path, "no record says so",
               "run setup first: xcatha.py -s")
    if not xcat_installed():
        yield ("xCAT is not installed on this node", "no xcatd, or not finished: " + INSTALLING,
               "run setup on this node: xcatha.py -s")


def check_storage(opts):
    """The share has mount options fit for a database, may be entered, and root may write."""
    share = opts.path
    mount, _, options = mount_of(share)
    for option in {"soft", "softerr", "nocto"}.intersection(options):
        harm, right = ("loses writes", "hard") if option != "nocto" else ("reads old data", "cto")
        yield ("%s is mounted %s, which %s" % (share, option, harm), "mount options of %s" % mount,
               "write `{0}` instead in /etc/fstab; umount {1}; mount {1}".format(right, mount))
    above = itertools.accumulate(["/"] + share.split("/")[1:], os.path.join)
    closed = [path for path in above if not os.stat(path).st_mode & stat.S_IXOTH]
    if closed:
        yield ("only root may enter %s" % closed[0], "its mode is %o" % stat.S_IMODE(
            os.stat(closed[0]).st_mode), "database, web and tftp server must: chmod o+x %s" %
            " ".join(closed))
    device = unprotected_device(share)
    if device:
        warn("nothing keeps the other node from mounting %s as well, which would ruin the data: "
             "see the README, Which storage, mounted by whom" % device)
    if read_text("/sys/fs/selinux/enforce") == "1":  # xCAT turns it off before 2.20
        warn("SELinux is enforcing; where no policy of yours lets database and web server work on "
             "%s, run: for domain in postgresql_t mysqld_t httpd_t; do semanage permissive -a "
             "$domain; done" % share)
    # Root's files there are root's: an NFS server must not squash root.
    if RUN.dryrun:
        say("  would be tried: a file of root's on the share")
        return
    try:
        with tempfile.TemporaryFile(dir=share) as probe:
            owner = os.fstat(probe.fileno()).st_uid
        if owner != 0:
            yield ("%s squashes root" % share, "a new file belongs to uid %d" % owner, "export it "
                   "with no_root_squash; on NFSv4 both sides need one id domain (nfsidmap -d)")
    except OSError as error:
        yield "root cannot write to %s" % share, str(error), "export it with no_root_squash"


def check_software(opts):
    """xCAT's database can be shared, or switched, and xCAT installed, where that is to be done."""
    pgdg = [path for place in ("/usr/lib", "/lib", "/etc")
            for path in glob.glob(place + "/systemd/system/postgresql-[0-9]*.service")]
    if opts.dbtype == "postgresql" and pgdg:
        yield ("PGDG's PostgreSQL is installed", pgdg[0] + " works where xCAT's tools do not look",
               "move its databases to the distribution's postgresql.service and remove PGDG's "
               "packages, or use -t mysql or -t sqlite")
    clusters = debian_clusters() if opts.dbtype == "postgresql" else {}
    if len(clusters) > 1 and not pair_cluster():
        yield ("no PostgreSQL cluster is that of xCAT's database string",
               "pg_lsclusters: " + ", ".join("%s at port %s" % pair for pair in clusters.items()),
               "make one at its port: pg_createcluster --port %s VERSION NAME" % port_of(
                   read_cfgloc(opts.path) or read_cfgloc()))
    rules = "\n".join(map(read_text, glob.glob("/etc/apparmor.d/**/*m[ay]*d", recursive=True)))
    denied = re.search(r"^((?:\S*/)?(mysqld|mariadbd)) \(enforce\)", read_text(
        "/sys/kernel/security/apparmor/profiles"), re.MULTILINE)
    if opts.dbtype == "mysql" and denied and not re.search(
            r"^\s*\"?%s/" % re.escape(opts.path), rules, re.MULTILINE):
        name = denied.group(1).lstrip("/").replace("/", ".")
        yield ("AppArmor keeps the database server out of the share",
               "%s is enforced, and no rule names %s" % (denied.group(1), opts.path),
               "echo '{0}/var/lib/mysql/ r, {0}/var/lib/mysql/** rwk,' >>/etc/apparmor.d/local/{1} "
               "&& apparmor_parser -r /etc/apparmor.d/{1}".format(opts.path, name))
    if opts.path.startswith(("/home/", "/root/")) and "=no" not in output_of(
            ["systemctl", "show", "--property=ProtectHome", database_unit(opts.dbtype) or "none"]):
        yield ("%s is hidden from the database server" % opts.path,
               "its unit has ProtectHome= (systemd.exec(5))", "mount the share elsewhere")
    if not xcat_installed() and not (
            opts.go_xcat.startswith("https://") or os.path.isfile(opts.go_xcat)):
        yield ("there is no go-xcat at %s" % opts.go_xcat, "no such file, no https address",
               "give a local copy with --go-xcat FILE")
    # The engine that xCAT uses is on this node, or can be switched.
    engine = current_engine()
    if share_has_data(opts.path):
        return
    if engine == opts.dbtype:
        place = read_cfgloc().rpartition(":")[2] or "/opt/xcat/cfg"  # xCAT's default, if it exists
        if engine == "sqlite" and exists(place + "/site.sqlite") and not any(
                lies_in(place, path) for path in XCAT_DIRECTORIES + opts.also):
            yield ("xCAT's tables are in %s, which is not shared" % place, "the other lacks them",
                   "systemctl stop xcatd && mv {0}/*.sqlite /etc/xcat/ && echo SQLite:/etc/xcat >"
                   "/etc/xcat/cfgloc, then run this again".format(shlex.quote(place)))
        host = (re.findall(r"host=([^|;\s]+)", read_cfgloc()) + [opts.vip])[0]
        found = output_of(["getent", "ahostsv4", host], SHARE_LIMIT).split()
        if found and not {opts.vip, *(address for _, address, _ in addresses())} & set(found):
            yield ("xCAT's database is on another host", "/etc/xcat/cfgloc: host=" + host,
                   "move it to a server on this node first; xcatha shares a server's directory")
    elif opts.dbtype == "sqlite":
        yield ("xCAT already uses %s on this node" % engine, read_cfgloc().split("|")[0],
               "run setup with -t %s" % engine)
    elif opts.dbtype == "postgresql" and has_debian_layout() and not os.path.exists(
            "/usr/lib/postgresql/9.1/bin/initdb"):
        yield ("xCAT's pgsqlsetup cannot work on this distribution",
               "it looks for PostgreSQL 9.1 in /usr/lib/postgresql/9.1/bin",
               "switch by hand (a Pg: line in /etc/xcat/cfgloc), or use -t mysql or -t sqlite")


def check_alike(opts, mine=None):
    """OS, xCAT, database and its user's ids (node_facts) are as the other nodes recorded theirs."""
    mine = mine or node_facts(opts)
    for name, node in read_nodes(opts.path, but=physical_host_name()).items():
        command = "-a" if active_node(read_record(opts.path)) == name else "-s"
        for fact in ("os", "xcat", "database", "uid", "gid"):
            if mine[fact] and node.get(fact) and mine[fact] != node[fact]:
                yield ("%s differs from %s" % (fact, name),
                       "%s here, %s there" % (mine[fact], node[fact]),
                       "make them alike; if {0} was upgraded, run xcatha.py {1} on {0} first (-a "
                       "where -s is refused, too); if it is gone for good, move away {2}".format(
                           name, command, state_file(opts.path, "nodes", name + ".json")))


def check_data(opts):
    """No other setup is at work; the first node's data can be copied: nothing in the way, room."""
    record = read_record(opts.path)
    if (record and record["state"] in UNFINISHED and record["host"] != physical_host_name()
            and not opts.peer_is_off):
        yield ("setup on %s is not finished" % record["host"], "recorded on the share",
               "run setup there again; if it is dead, power it off, then add --peer-is-off here")
    yield from check_switch(opts)
    if share_has_data(opts.path):
        return
    # xCAT's own data is where the links will be, as far as xCAT can be asked now.
    site = is_running("xcatd.service") and attempt(site_attributes)[0] or {}
    for name, usual in (("installdir", "/install"), ("tftpdir", "/tftpboot")):
        if site.get(name, usual).rstrip("/") != usual:
            yield ("xCAT's %s is %s" % (name, site[name]), "xcatha shares %s" % usual,
                   "move its files to {1}, then chdef -t site -o clustersite {0}={1}".format(
                       name, usual))
    unit, places = database_unit(opts.dbtype), database_directories(opts.dbtype)
    working = works_on("/")
    if unit and is_running(unit) and working and current_engine() == opts.dbtype and not any(
            works_on(os.path.realpath(path)) for path in places):
        yield ("the database is not in %s" % " or ".join(places), "a server works in %s" %
               ", ".join(working), "move its data there, then run this again")
    wanted, needed = directories_to_link(opts, {}), 0
    for path in wanted + opts.exclude:
        if leads_to(opts.path, path) and not (backups_of(path) and exists(state_file(opts.path))):
            line = "systemctl stop xcatd {2}; rm {0} && mv {1} {0}"
            yield ("%s is a link that xcatha has not made" % path, "to " + link_target(path),
                   line.format(path, opts.path + path, unit))
    for path in wanted:
        if link_target(path):  # an earlier run's, which ends before this one copies
            continue
        if xcat_installed():
            expect_data(path)
        if exists(opts.path + path) and not record:
            yield ("%s is in the way" % (opts.path + path), "the share holds no complete set",
                   "move it away")
        nested = [point for point, *_ in mounts() if point.startswith(path + "/")]
        if mount_of(path)[1] == "btrfs":  # rsync stays out of subvolumes, which no table lists
            devices = {place: os.lstat(place).st_dev for place, *_ in os.walk(path)}
            nested += [place for place in devices if devices[place] != devices[path]]
        if nested:
            yield ("filesystems are mounted below %s" % path, ", ".join(nested),
                   "unmount them; make plain directories of subvolumes")
        links = output_of(["find", path + "/", "-type", "l"]) if path in places else ""
        outside = [link for link in links.splitlines() if not any(
            lies_in(os.path.realpath(link), place) for place in [*wanted, "/etc", "/usr"])]
        if outside:
            yield ("data of the database lie outside %s" % path, ", ".join(outside),
                   "move them there: the other node has none of them")
    reused = [opts.path + path + PARTIAL for path in wanted if path in COPIED_WHILE_RUNNING]
    for path in wanted + reused:
        if not link_target(path) and os.path.isdir(path):
            # What vanishes meanwhile makes it exit 1, with a total all the same.
            out = ask(["du", "-s", "-x", "--block-size=1", path], INSTALL_LIMIT)[1]
            size = int((out.split() or ["0"])[0])
            needed += -size if path in reused else size
    free = psutil.disk_usage(opts.path).free
    if needed > free:
        yield ("the share is too small", "%d MB to copy, %d MB free" % (
               needed >> 20, free >> 20), "make room on %s" % opts.path)


def run_checks(opts, *checks):
    """Refuse with all that these checks have against the run."""
    errors = []
    for check in checks:  # what one yields before an error of its own counts, too
        found = (HAError(*words, code=REFUSED) for words in check(opts))
        errors.append(error_of(errors.extend, found))
    raise_all(errors)


def nic_of_further(one, node):
    """The NIC of a recorded further VIP here: as the node recorded it, else on its very network."""
    return node.get("nics", {}).get(one["vip"]) or next((
        device_of(label) for label, _, mask in towards(one["vip"]) if mask == one["netmask"]), "")


def fill_in_from_share(opts):
    """Fill in what was not given: from the record, shared cfgloc, /etc/hosts, or by default."""
    opts.path = os.path.realpath(opts.path)
    record, me = read_record(opts.path), read_nodes(opts.path).get(physical_host_name(), {})
    opts.vip, opts.nic = opts.vip or record.get("vip"), opts.nic or me.get("nic")
    further = {one["vip"]: one for one in record.get("others", [])}
    opts.others = opts.others or [Namespace(vip=vip, nic=nic_of_further(one, me),
        netmask=None, host_name=None) for vip, one in further.items()]
    PAIR.vips = [one.vip for one in all_vips(opts) if one.vip]
    for one in all_vips(opts):
        known = record if one is opts else further.get(one.vip, {})
        near = [mask for label, _, mask in (towards(one.vip) if one.vip else [])
                if not one.nic or device_of(label) == device_of(one.nic)]
        one.netmask = one.netmask or known.get("netmask") or (near + ["255.255.255.0"])[0]
        one.host_name = one.host_name or known.get("host_name")
    cfgloc = read_cfgloc(opts.path)
    found = engine_named_in(cfgloc) if cfgloc or share_has_data(opts.path) else "postgresql"
    opts.dbtype = opts.dbtype or record.get("dbtype") or found or "sqlite"
    PAIR.engine = opts.dbtype
    pair_cluster(cfgloc)  # which remembers it
    names = [names[0] for place, names in parse_hosts(read_text("/etc/hosts")) if place == opts.vip]
    opts.host_name = opts.host_name or next(iter(names), None)


# ---- Status --------------------------------------------------------------------------------

def look_around(opts):
    """All that status shows, the form of --json; "unseen" names what cannot be seen. No lock."""
    share, states = find_share(opts), {}
    view = {"format": 3, "host": physical_host_name(), "time": now(), "unseen": [], "record": {},
            "nodes": {}, "history": [], "lease": {"held_here": False}, "problems": [], "notes": [],
            "own_steps": {}, "share": {"path": share, "answers": False}}
    with ThreadPoolExecutor(3) as pool:  # silence is waited for once
        services, pacemaker = pool.submit(unit_states), pool.submit(managed_resource)
        try:
            state = share_state(share) if share else ""
            if not share:
                view["unseen"].append("the share: %s knows no path of it" % (
                    "this node" if os.geteuid() == 0 else "whoever is not root"))
            elif state != "answers":
                fix = "mount " + (unmounted(share) or share) if state == "missing" else (
                    "bring its server or network back; if the other node is to take over, run %s "
                    "here and power this node off" % line_to_paste(view, "-d"))
                view["problems"] += [{"problem": "the share %s is %s" % (share, state), "fix": fix}]
                view["unseen"].append("the share: %s is %s" % (share, state))
            else:
                mount, fstype, _ = mount_of(share)
                room = psutil.disk_usage(share)
                view["share"].update(answers=True, mount=mount, filesystem=fstype,
                                     free_bytes=room.free, free_percent=100 - room.percent)
                view["record"], view["nodes"] = read_record(share), read_nodes(share)
                view["history"] = read_text(state_file(share, "history")).splitlines()[-5:]
                view["lease"] = dict(read_lease(share), held_here=False)
                view["own_steps"] = attempt(
                    own_steps, "(activated|deactivate)", share + OWN_STEPS)[0] or {}
        except PermissionError:
            view["unseen"].append("the record and the lease: only root may read them")
        except HAError as error:
            view["problems"].append({"problem": error.what, "fix": error.hint})
            view["unseen"].append("the share: %s (%s)" % (error.what, error.evidence))
        PAIR.vips = [one["vip"] for one in recorded_vips(view["record"])] or vips_of_lease()
        vip = opts.vip or next(iter(PAIR.vips), "")
        answer = pool.submit(neighbour, vip) if vip and not vip_here(vip) else None
    view["pacemaker"] = pacemaker.result()
    try:
        states = services.result()
        view["lease"]["held_here"] = "host" in view["lease"] and lease_held_here(share)
    except HAError as error:
        view["unseen"].append("the services: %s (%s)" % (error.what, error.evidence))
    view.update(observe(vip, states))
    view["vip"]["answered_by"] = answer.result() if answer else ""
    view["member"] = is_member() or view["host"] in [*view["nodes"], active_node(view["record"])]
    for name, look in (("problem", problems), ("note", notes)):
        found, error = attempt(list, look(view) if view["member"] or look is notes else ())
        if error and not RUN.unanswered:  # else it follows from what is listed as unseen
            raise error
        view[name + "s"] += [{name: text, "fix": fix} for text, fix in found or ()]
    view["unseen"] += ["%s: only root may read it" % path for path, _ in network_settings()
                       if not os.access(path, os.R_OK)]
    view["unseen"] += ["no answer in time: " + line for line in RUN.unanswered]
    known = view["record"] and view["services"] and view["member"]
    view["role"] = ("unknown" if not known else "inconsistent" if view["problems"] else
                    "unknown" if RUN.unanswered else
                    "active" if active_node(view["record"]) == view["host"] else "standby")
    return view


def vips_of_lease():
    """The VIPs that go when the lease of this boot is lost; an older xcatha.py's unit has them."""
    return read_text(LEASE_VIPS).split() or re.findall(r" -v (\S+)", read_text(LEASE_UNIT_FILE))


def neighbour(address):
    """The MAC that answers for an address, "" for nobody; a ping fills the neighbour table."""
    # Not by ask: silence is an answer here. EL 8's ping takes whole seconds only.
    answers = run(["ping", "-n", "-c", "1", "-W", "1", address], 0.5)[0] == 0
    # As text: iproute2 4.15 knows -json, but not here. An older entry may be of one that is gone.
    shown = output_of(["ip", "neighbour", "show", address])
    return next((mac for mac, state in re.findall(r"lladdr (\S+)(.*)", shown)
                 if answers or "REACHABLE" in state), "")


def line_to_paste(view, command):
    """The line to paste here for a command; for -a, Pacemaker's where it is in charge."""
    if view.get("pacemaker") and command == "-a":
        return "crm_resource --cleanup --resource " + view["pacemaker"]
    record, nodes = view["record"], view["nodes"]
    vip = record.get("vip") or next(iter(vips_of_lease()), None)
    # Another node's NIC may have another name: it comes last.
    nics = [nodes.get(view["host"], {}).get("nic"), *(device_of(label) for label, _, _ in (
        towards(vip) if vip else [])), *(node.get("nic") for node in nodes.values())]
    known = {"-p": view["share"]["path"], "-v": vip, "-i": next(filter(None, nics), None),
             "-n": record.get("host_name"), "-m": record.get("netmask"), "-t": record.get("dbtype")}
    wanted = {"-s": "-p -v -i -n -m -t", "-a": "-p -v -i", "-d": "-v"}[command].split()
    words = [word for flag in wanted if known[flag] for word in (flag, known[flag])]
    return pasted([sys.executable, os.path.abspath(__file__), command] + words)


def problems(view):
    """(problem, what to do about it) of every inconsistency."""
    share, record = view["share"]["path"], view["record"]
    active = active_node(record) == view["host"]  # or about to be
    for path, wrong in view["own_steps"].items():
        if wrong:
            yield "%s will not be run: %s" % (path, wrong), fix_of_step(path)
    if record and view["services"]:
        yield from (active_problems if active else standby_problems)(view)
        if is_active_record(record) and os.geteuid() == 0:
            yield from xcat_problems(view)  # its tables are root's
        # What is wrong on the share, and with this node's membership.
        finished = record["state"] not in UNFINISHED
        join = line_to_paste(dict(view, pacemaker=""), "-a" if active and finished else "-s")
        for path in all_directories():
            half = share + path + PARTIAL
            if finished and exists(half):
                yield "a half copy is left: %s" % half, "mv {0} {0}.old".format(shlex.quote(half))
        if view["host"] not in view["nodes"]:
            yield "this node is not set up", join
        elif finished:
            for unit in unguarded_units():
                yield "%s is not bound to the lease" % short_names(unit), join
        if view["share"]["free_percent"] < 5:
            yield "the share is nearly full: %d MB free" % (view["share"]["free_bytes"] >> 20), (
                "make room there; what is big: du -xhd2 %s | sort -h | tail -20" % (
                    shlex.quote(share)))
        # A record of this node's that is out of date, and versions that differ.
        mine = {"os": os_version(), "xcat": xcat_version(),
                "database": database_version(record["dbtype"])}
        for fact, value in mine.items():
            known = {name: node[fact] for name, node in sorted(view["nodes"].items())
                     if value and node.get(fact) not in (None, "", value)}
            recorded = known.pop(view["host"], None)
            if recorded and (active or not known):
                yield "%s is %s here, recorded as %s" % (fact, value, recorded), line_to_paste(
                    view, "-a" if active else "-s")
            elif known:
                yield "%s differs: %s here, %s" % (fact, value, ", ".join(
                    "%s on %s" % (there, name) for name, there in known.items())), (
                        "upgrade the older node; if that is done, run what its --status says, or "
                        "xcatha.py -a there if it says this, too")
        if finished and wrong_cfgloc():
            yield "%s of this node's own leads to the pair's database" % wrong_cfgloc(), (
                line_to_paste(view, "-a" if active else "-d"))
    yield from mounts_at_boot(share, as_here(record.get("directories", [])))
    for unit, state in view["services"].items():
        if state["enabled"]:
            yield "%s starts at boot" % short_names(unit), "systemctl disable " + unit
    for vip in filter(None, [view["vip"]["address"], *view["further_vips"]]):
        yield from persistent_vip(vip)


def active_problems(view):
    """What the node that the record names as active lacks."""
    record, again = view["record"], line_to_paste(view, "-a")
    if record["state"] != "active":
        yield "an earlier run did not finish (%s)" % record["state"], (
            line_to_paste(view, "-s") if record["state"] in UNFINISHED else again)
        return
    if not view["lease"]["held_here"]:
        yield "the record says active, but the lease is not held: %s (see %s)" % (
            "it was lost" if view["lease"].get("boot") == boot_id() else
            "this node has rebooted since", LOG_FILE), again
    me = view["nodes"].get(view["host"], {})
    nics = dict(me.get("nics", {}), **{record["vip"]: me.get("nic")})
    for vip, mask in [(one["vip"], one["netmask"]) for one in recorded_vips(record)]:
        amiss = vip_amiss(vip, nics[vip], mask) if nics.get(vip) else ""
        if not vip_here(vip):
            yield "the VIP %s is not here" % vip, again
        elif amiss:
            yield "the VIP is %s, not /%d on %s" % (
                amiss, network_of(vip, mask).prefixlen, nics[vip]), again
    if view["host_name"]["running"] != record["host_name"]:
        yield "the host name is %s, not %s" % (view["host_name"]["running"],
                                               record["host_name"]), again
    if record["vip"] not in dict(parse_hosts(read_text("/etc/hosts"))):
        yield "/etc/hosts lacks the VIP", line_to_paste(dict(view, pacemaker=""), "-a")
    lost = [path for path in as_here(record.get("directories", [])) if path not in view["links"]]
    if lost:
        yield "not linked into the share: " + " ".join(lost), again
    running = {state["kind"] for state in view["services"].values() if state["running"]}
    for kind in ["xcatd"] + (["database"] if record["dbtype"] != "sqlite" else []):
        if kind not in running:
            yield "%s is down" % kind, again
    # Root alone may see where a server works.
    if os.geteuid() == 0 and "database" in running and not works_on(
            os.path.realpath(view["share"]["path"])):
        yield "the database does not work on the share", again


def xcat_problems(view):
    """Services that are down, tables and boot files that bind compute nodes to one of the pair."""
    running = {state["kind"] for state in view["services"].values() if state["running"]}
    if "xcatd" not in running:
        return
    opts = opts_of(view)
    cfgloc = re.search(r"host=([^|;\s]*)", read_cfgloc())
    if cfgloc and cfgloc.group(1) != opts.vip:
        yield "cfgloc names %s, not the VIP" % cfgloc.group(1), ("sed -i 's/host=[^|;]*/host=%s/' "
            "/etc/xcat/cfgloc && systemctl restart xcatd" % opts.vip)
    try:
        site = site_attributes()
        complete = line_to_paste(dict(view, pacemaker=""), "-a")  # it does not watch these
        for what in optional_down(view["record"], site):
            yield "%s is down" % what, complete
        # Attributes that name one node of the pair, and those that should name the VIP.
        places, rows = places_of_nodes(opts, site), [("site", "clustersite", site)]
        rows += [("network", row["netname"], row) for row in table("networks")
                 if all(map(row.get, NETWORK_KEYS))]
        rows += [("node", row["node"], row) for row in table("noderes") + table("nodehm")]
        wrong, alike, groups = {}, {}, set()  # {(kind, name, attribute): (value shown, right one)}
        for kind, name, row in rows:
            for attribute in [key for key in row if row[key] and key not in NEVER_SERVERS]:
                near = kind == "network" and vip_of(row, opts) or vip_near(row[attribute], opts)
                # `host1|eth1` in dhcpinterfaces: where no name is this host's, DHCP uses all NICs.
                nics, value = attribute.endswith("interfaces"), row[attribute]
                right = with_vip(value, places, opts.host_name if nics else near or opts.vip)
                why = ", not the VIP" if right else ", an alias, where no server listens"
                if not right and (nics or attribute == "mgtifname"):
                    right = re.sub(ALIAS, "", value)
                if right not in ("", value):
                    wrong[kind, name, attribute] = value + why, right
        wrong.update((tuple(key), ("not the VIP", one)) for *key, one in wrong_masters(opts, site))
        anew = " && makedhcp -n && makedhcp -a" if "DHCP" in running else ""
        if any(kind == "node" for kind, _, _ in wrong):
            groups = {row.get("groupname") for row in table("nodegroup")}.union(
                *(row["groups"].split(",") for row in table("nodelist")))
        for (kind, name, attribute), (value, right) in wrong.items():
            kind, words = "group" if kind == "node" and name in groups else kind, right.split(",")
            if attribute == "forwarders":  # a name server that asks itself asks for ever
                words = [word for word in words if word != opts.vip]
            alike.setdefault((kind, attribute, value, ",".join(words)), []).append(name)
        for (kind, attribute, value, right), names in alike.items():  # be it a thousand nodes
            shown = ", ".join(names[:3]) + (" and %d more" % len(names[3:]) if names[3:] else "")
            makers = " && makedns -n" if attribute == "dnsinterfaces" else anew if (
                kind == "network" or attribute == "dhcpinterfaces") else ""
            yield "%s of %s is %s" % (attribute, shown, value), pasted(
                ["chdef", "-t", kind, "-o", ",".join(names), attribute + "=" + right]) + makers
        yield from boot_file_problems(opts, places)
    except HAError as error:
        if not RUN.unanswered:
            yield "%s (%s)" % (error.what, error.evidence), error.hint


def opts_of(view):
    """The active node's options, as far as the look at it shows them ("-" is no NIC)."""
    first, *others = [Namespace(**dict(one, nic=vip_here(one["vip"]) or "-"))
                      for one in recorded_vips(view["record"])]
    vars(first).update(others=others, path=view["share"]["path"])
    return first


def boot_file_problems(opts, places):
    """Files that nodes boot from and that name one node of the pair, as nodeset makes them."""
    known, enough, found = naming(places), time.monotonic() + BOOT_FILES_LIMIT, {}
    files = (path for names in BOOT_FILES for path in glob.iglob("/tftpboot/" + names))
    for path in itertools.islice(files, BOOT_FILES_LOOKED_AT):
        with suppress(OSError), open(path, errors="replace") as stream:
            found[path] = stream.read(1 << 16)
            if time.monotonic() > enough:
                break
    found = {path: text for path, text in found.items() if known.search(text)}
    nodes, fixes = {row["node"] for row in table("nodelist")} if found else (), {}
    for path, text in found.items():
        name = os.path.basename(path)
        node = next((node for node in (name, name.rpartition(".")[0]) if node in nodes), None)
        if node:
            state = (re.findall(r"^#(\w\S*)", text, re.M) + ["osimage"])[0]
            state = re.sub("install|netboot|statelite", "osimage", state)
            fixes.setdefault("chdef -t node -o {0} xcatmaster=%s && nodeset {0} %s" % (
                vip_near(known.search(text).group(), opts) or opts.vip, state), {})[node] = path
        elif os.path.exists(path) and os.stat(path).st_nlink == 1:  # else it is a node's, too
            arch = (re.findall(r"genesis\.\w+\.(\w+)", text) + ["x86_64"])[0]
            fixes["mknb " + arch] = {name: path}
    for fix, paths in fixes.items():
        yield "boot files name one node of the pair (%s)" % " ".join(list(paths.values())[:3]), (
            fix.format(",".join(paths)))


def standby_problems(view):
    """What is wrong on a standby."""
    clean = line_to_paste(view, "-d")
    into_share = linked_into(view["share"]["path"])
    if into_share:
        yield "links into the share on a standby: " + " ".join(into_share), clean
    lost = [path for path in all_directories() if not exists(path) and backups_of(path)]
    if lost:
        yield "local directories that are not back in place: " + " ".join(lost), clean
    for nic in filter(None, [view["vip"]["nic"], *view["further_vips"].values()]):
        yield "the VIP is on %s of a standby" % nic, clean
    for one in recorded_vips(view["record"])[1:]:
        if not nic_of_further(one, view["nodes"].get(view["host"], {})):
            yield "no NIC is known here for the further VIP %s" % one["vip"], (
                "run -s with all VIPs: see the README, Several networks")
    if view["host_name"]["running"] != view["host_name"]["physical"]:
        yield "the host name is still %s" % view["host_name"]["running"], clean
    running = [unit for unit, state in view["services"].items() if state["running"]]
    for kind in set(SERVICES) - {view["services"][unit]["kind"] for unit in running}:
        running += ["%s (pid %d)" % (process.name(), process.pid)  # outside any unit
                    for process in processes_of(kind)]
    for what in map(short_names, running):
        yield "%s runs on a standby" % what, clean
    asked, maker = resolv_conf()
    if view["vip"]["address"] in asked and not maker:
        yield "/etc/resolv.conf of a standby asks the VIP", clean
    if view["lease"]["held_here"]:
        yield "a standby holds the lease", clean
    # Another NIC of the node may answer for it on the same network, too.
    macs = {mac for one in view["nodes"].values() for mac in [one.get("mac"), *one.get("macs", [])]}
    if view["vip"]["answered_by"] and not macs & {None, view["vip"]["answered_by"]}:
        active = active_node(view["record"])
        yield "the VIP answers at %s, which is no node of the pair" % view["vip"]["answered_by"], (
            "if that is a NIC of %s's by now, run xcatha.py -a there, which records it; else " %
            active if active else "") + "find that machine and take the address off it"


def notes(view):
    """(what is worth knowing, what to do about it); a pair with notes still works."""
    for path in all_directories():
        newest_is_needed = path in view["links"] or not exists(path)
        for older in backups_of(path)[:-1] if newest_is_needed else backups_of(path):
            yield "%s is left over from an earlier run; look into it" % older, (
                "mv {0} {0}.old".format(shlex.quote(older)))
    share = view["share"]["path"]
    device = view["share"]["answers"] and unprotected_device(share)
    if device:
        yield "nothing keeps the other node from mounting %s as well" % device, (
            "see the README, Which storage, mounted by whom")
    for path in all_directories() if view["share"]["answers"] else []:
        for older in backups_of(share + path + PARTIAL, ".old"):
            yield "%s is left over from an earlier setup" % older, "look into it, then remove it"
    for path in view["record"] and glob.glob(glob.escape(share) + OWN_STEPS + "/*") or ():
        if path not in view["own_steps"] and re.search(r"/\w*activate[\w-]*(\.\w\w)?\Z", path):
            yield "%s is not run: its name is no own step's" % path, (
                "name it activated-NAME or deactivate-NAME, NAME of letters, digits, - and _")
    active = active_node(view["record"])
    if view["record"] and active != view["host"] and (
            with_saved_hosts(share) != read_text("/etc/hosts")):
        yield "/etc/hosts lacks changes of the active node's; -s or -a takes them", (
            line_to_paste(view, "-s"))
    if active == view["host"]:
        if view["record"].get("not_done"):
            yield "the last activate did not do all: %s" % ", ".join(view["record"]["not_done"]), (
                line_to_paste(dict(view, pacemaker=""), "-a"))
        kept = "".join(backups_of("/install")[-1:])  # packages wrote there while it stood by
        for path in glob.glob("/install/postscripts/*") if kept else ():
            own = kept + path[len("/install"):]
            if os.path.isfile(own) and int(os.path.getmtime(own)) > int(os.path.getmtime(path)):
                line = REINSTALL.get(package_manager(), "reinstall the package xCAT") + " && mknb "
                yield "%s is older than this node's xCAT, which was upgraded on the standby" % (
                    path), line + os.uname().machine.replace("ppc64le", "ppc64")
                break
    nodes = view["nodes"]
    keys = {name: node["ssh_key"] for name, node in nodes.items() if node.get("ssh_key")}
    if len(set(keys.values())) > 1:  # the active node's counts, else that of the node set up first
        holder = active if active in keys else min(keys, key=lambda name: nodes[name]["set_up"])
        yield "root's ssh key differs between the nodes; compute nodes trust only one", (
            "on the other node, run what its --status says of this" if holder == view["host"] else
            "rsync -a --backup --suffix=.xcatbak '%s:/root/.ssh/id_*' /root/.ssh/ && %s" % (
                holder, line_to_paste(view, "-s")))
    vip, nic = view["vip"]["address"], view["vip"]["nic"]
    if active == view["host"] and nic:
        # If xCAT or systemd fails here, the problems say so.
        running = os.geteuid() == 0 and view["services"].get("xcatd.service", {}).get("running")
        site = running and attempt(site_attributes)[0] or {}
        yield from delivery_notes(vip, site)
        serves = site and attempt(skip_reason, "DHCP", site)[0] == ""
        forwards = read_text("/proc/sys/net/ipv4/ip_forward") == "1\n"  # else it names no gateway
        for row in serves and attempt(table, "networks")[0] or ():
            near = all(map(row.get, NETWORK_KEYS)) and vip_of(row, opts_of(view))
            unset = ["gateway"] if near and forwards and row["gateway"] == "<xcatmaster>" else []
            unset += [name for name in ("logservers", "ntpservers") if near
                      and row.get(name) in UNSET and site.get(name, "") in UNSET]
            if unset:
                line = ["chdef", "-t", "network", "-o", row["netname"]]
                yield "DHCP names this node's own address as %s of %s" % (
                    " and ".join(unset), row["netname"]), pasted(line + [
                        name + "=" + near for name in unset]) + " && makedhcp -n && makedhcp -a"


def delivery_notes(vip, site):
    """What the web or the TFTP server does not deliver of the linked directories, and why."""
    readable = [first_public_file(directory) for directory in ("/install", "/tftpboot")]
    refused, error, answers = [], "", False
    for path in filter(None, readable):
        with suppress(OSError, ValueError, IndexError), socket.create_connection(
                (vip, int(site.get("httpport") or 80)), ANSWER_LIMIT) as web:
            answers = True
            web.sendall(("HEAD %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, vip)).encode())
            if int(web.recv(64).split()[1]) in (401, 403, 404):
                refused.append(path)
    for unit, shown in () if answers else units_of("httpd", "apache2").items():
        if shown["ActiveState"] in DOWN and any(readable):
            yield "the web server is down; nodes install from it", "systemctl enable --now " + unit
    servers = (one for one in WEB_CONFIGURATION if os.path.isdir(one[0]) and units_of(one[1]))
    place, unit = next(servers, ("", "")) if refused else ("", "")  # xCAT brings both directories
    if place:
        yield "the web server does not deliver " + " ".join(refused), (
            "printf '%%s\\n' %s >%s/xcatha.conf && systemctl reload %s" % (
                pasted(WEB_LINES), place, unit))
    if readable[1]:
        name = readable[1][len("/tftpboot"):].encode()
        with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(ANSWER_LIMIT)
            client.sendto(b"\0\1%s\0octet\0" % name, (vip, 69))  # a request (RFC 1350)
            answer, server = client.recvfrom(1024)
            client.sendto(b"\0\5\0\0enough\0", server)  # else it would send the block again
            error = answer[4:].strip(b"\0").decode("utf-8", "replace") if answer[1] == 5 else ""
    if error:  # of another server perhaps, in place of the one that xcatd starts
        yield "the TFTP server does not deliver %s (%s)" % (readable[1], error), (
            "for unit in tftp.socket tftp tftpd-hpa atftpd; do systemctl stop $unit; systemctl "
            "disable $unit; done; systemctl restart xcatd")


def first_public_file(directory):
    """A file below the directory that anybody may read, "" if a short look shows none."""
    plain = "(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*"  # Not by ask: silence is an answer here.
    return run(["find", directory + "/", "-mindepth", "1", "-regextype", "posix-extended", "(",
                "-not", "-perm", "-o=r", "-o", "-not", "-regex", plain, ")", "-prune", "-o",
                "-type", "f", "-print", "-quit"], ANSWER_LIMIT)[1].rstrip("\n")


def status(opts):
    """Show this node and the pair; exit code 0 active, 3 standby, 1 inconsistent, 4 unknown."""
    RUN.patience = STATUS_PATIENCE
    view = look_around(opts)
    if opts.json:
        say(json.dumps(view, indent=1, sort_keys=True))
        return STATUS_CODES[view["role"]]

    # For people; what matters most comes last.
    vip, record, lease, resource = (view[key] for key in ("vip", "record", "lease", "pacemaker"))
    running = [unit for unit, state in view["services"].items() if state["running"]]
    rows = [("VIP", "%s %s" % (vip["address"] or "unknown", "on " + vip["nic"] if vip["nic"] else
                               "at " + vip["answered_by"] if vip["answered_by"] else "not here")),
            *(("", "%s %s" % (further, "on " + nic if nic else "not here"))
              for further, nic in view["further_vips"].items()),
            ("host name", "%(running)s (physical: %(physical)s)" % view["host_name"]),
            ("share", view["share"]["path"] or "unknown"),
            ("links", " ".join(view["links"]) or "none"),
            ("services", short_names(*running) + " running" if running else
             "none running" if view["services"] else "none seen"),
            ("database", ", ".join(view["database"]["working_directories"]) or (
                "none running" if os.geteuid() == 0 else "none seen")),
            ("lease", "held by this node" if lease["held_here"] else
             "last taken by %s" % lease["host"] if lease.get("host") else "none seen"),
            ("pacemaker", "in charge: resource " + resource if resource else "not in charge"),
            ("the share says", "%(state)s: %(host)s since %(since)s" % record if (
                active_node(record)) else "nobody is active" if record else "no record seen")]
    if record and view["member"] and active_node(record) != view["host"] and not resource:
        rows.append(("to activate", line_to_paste(view, "-a")))
    rows += [("node " + name, "%(address)s, %(os)s, xCAT %(xcat)s, database %(database)s, "
              "ssh key %(ssh_key)s" % {key: value or "none" for key, value in node.items()})
             for name, node in sorted(view["nodes"].items())]
    for title, key in (("own step", "own_steps"), ("history", "history"), ("not seen", "unseen")):
        rows += [(title, text) for text in view[key]]
    lines = ["%-16s %s" % row for row in rows]
    for fix, items in itertools.groupby(view["problems"], lambda item: item["fix"]):
        lines += ["PROBLEM: " + item["problem"] for item in items] + ["  fix: " + fix]
    for item in view["notes"]:
        lines += ["note: " + item["note"], "  fix: " + item["fix"]]
    if not view["member"]:
        lines.append("This node is no member of a pair; xcatha.py -s makes it one.")
    for line in lines + ["%s: %s" % (view["host"], view["role"])]:
        say(line)
    return STATUS_CODES[view["role"]]


# ---- Guided mode ---------------------------------------------------------------------------

def guide(opts):
    """Supply what -a or -d was not told, and ask; the function to run, None if the answer is no."""
    check_not_managed(opts)
    command = {"setup": setup, "activate": activate, "deactivate": deactivate}[opts.command]
    needed = {"activate": ["path", "vip", "nic"], "deactivate": ["vip"]}.get(opts.command, [])
    # xCAT's own test of a pair may give -a a path that only the other node has.
    if opts.command == "activate" and opts.path and share_state(opts.path) == "missing":
        given, opts.path = opts.path, opts.path if os.path.isdir(opts.path) else find_share(opts)
        if opts.path != given:
            warn("%s is not there; this node's share is %s" % (given, opts.path))
    missing = [name for name in needed if not getattr(opts, name)]
    if not missing:
        return command
    opts.path = opts.path or find_share(opts)
    if opts.path and share_state(opts.path, opts.command == "activate") == "answers":
        report(error_of(fill_in_from_share, opts))
    opts.vip = opts.vip or next(iter(vips_of_lease()), None)
    if opts.path or missing != needed:
        require(opts, *needed)
    if not opts.yes and not sys.stdin.isatty():
        raise HAError("missing: " + " ".join(FLAGS[name] for name in missing), "no terminal to ask "
                      "on", "give them, or --yes to take what is recorded", USAGE)
    if not opts.path:
        command = by_hand
        shared = [path for path in XCAT_DIRECTORIES if is_mount_point(path) or link_target(path)]
        say("This node has no record of a pair: VIP and mounts are yours to move.")
        say("  addresses here: " + ", ".join(address for _, address, _ in addresses()))
        say("  mounted or linked: " + (" ".join(shared) or "none"))
        starting, units = opts.command == "activate", list(units_of(*SERVICES))
        say("Is the VIP up and the shared data mounted? Services to be started:" if starting else
            "Services to be stopped and disabled at boot:")
        for unit in units[::-1 if starting else 1]:
            say("... " + short_names(unit))
    else:
        say("%s with:" % opts.command)
        for name in dict.fromkeys(["path"] + needed):
            say("  %s %s" % (FLAGS[name], getattr(opts, name)))
        for one in opts.others:
            say("  -v " + one.vip)
    answer = "y" if opts.yes else ""
    for _ in range(0 if opts.yes else 5):  # what is no answer by then counts as no
        say("Continue? [[Y]es/[N]o/[D]ryrun]:")
        while not select.select([sys.stdin], [], [], 0.2)[0]:
            stop_if_asked()
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if not line or answer in ("y", "yes", "n", "no", "d", "dryrun"):
            break
    RUN.dryrun |= answer in ("d", "dryrun")
    return command if answer in ("y", "yes", "d", "dryrun") else None


def by_hand(opts):
    """Start or stop the services of a node whose VIP and mounts the administrator moves."""
    failed = []
    if opts.command == "deactivate":
        for kind in SERVICES:
            step("Stop " + kind, stop_services, kind, failed=failed)
        if not failed:
            say("Now take the VIP down and unmount the shared data.")
    else:
        on_failure(restore_units, unit_states())
        unit = database_unit(current_engine())
        if unit:
            step("Database", lambda: "started" if start_unit(unit) else "already running")
        step("xcatd", start_xcatd)
        failed = start_optional(opts, known_site(""), True)
        step("Boot", disable_services)
    point_of_no_return()
    return finish(opts, failed)


# ---- Pacemaker -----------------------------------------------------------------------------

# Exit codes of a resource agent (OCF resource agent API 1.1).
(OCF_SUCCESS, OCF_ERR_GENERIC, OCF_ERR_ARGS, OCF_ERR_UNIMPLEMENTED, OCF_ERR_PERM,
 OCF_ERR_INSTALLED, OCF_ERR_CONFIGURED, OCF_NOT_RUNNING) = range(8)
AGENT_REQUIRED = ("path", "vip", "nic")
# {action: the least time limit in seconds}; systemd gives xcatd's start 600.
AGENT_ACTIONS = {"start": 900, "stop": 300, "monitor": 60, "validate-all": 60, "meta-data": 10}
# What the cluster manager and its tools need to know of the agent.
META_DATA = """<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="xcatha" version="%s">
<version>1.1</version>
<longdesc lang="en">Makes this node the active one of two xCAT management nodes that share their
data, or a standby. Needs fencing: two active nodes would ruin the database.</longdesc>
<shortdesc lang="en">Active xCAT management node</shortdesc>
<parameters>%s
</parameters>
<actions>%s
</actions>
</resource-agent>""" % (
    VERSION, "".join(
        '\n<parameter name="{0}" required="{1:d}"><longdesc lang="en">{2}</longdesc><shortdesc '
        'lang="en">{0}</shortdesc><content type="string"/></parameter>'.format(
            name, name in AGENT_REQUIRED, text) for name, (_, _, text) in PAIR_OPTIONS.items()),
    "".join('\n<action name="%s" timeout="%ds"%s/>' % (
        name, limit, ' interval="10s" depth="0"' if name == "monitor" else "")
            for name, limit in AGENT_ACTIONS.items()))


def run_agent(action):
    """Do what Pacemaker asks for; the OCF exit code."""
    if action not in AGENT_ACTIONS:
        return OCF_ERR_UNIMPLEMENTED
    if action == "meta-data":
        say(META_DATA)
        return OCF_SUCCESS
    if psutil is None:
        main(["--status"])  # which says so; where nothing was started, nothing is to be fenced
        return OCF_ERR_INSTALLED if action != "stop" or exists(LEASE_UNIT_FILE) else OCF_SUCCESS
    if os.geteuid() != 0:
        return OCF_ERR_PERM
    given = {name: os.environ.get("OCF_RESKEY_" + name) for name in PAIR_OPTIONS}
    missing = [name for name in AGENT_REQUIRED if not given[name]]
    if missing:
        say(EXIT_REASON + "not configured: " + ", ".join(missing), sys.stderr)
        return OCF_ERR_CONFIGURED
    # vip="A B" nic="a b" becomes -v A -i a -v B -i b.
    rows = itertools.zip_longest(*[(value or "").split() for value in given.values()])
    options = [word for row in rows for name, value in zip(given, row) if value
               for word in (FLAGS[name], value)]
    # The parser requires a command; a wrong parameter ends in its exit code 2, OCF_ERR_ARGS.
    opts = parse(["--status"] + options)
    RUN.by_pacemaker = int(os.environ.get("OCF_RESKEY_" + "CRM_meta_timeout") or 900000) / 1000
    if action == "start":  # a DNS, DHCP or console server that is down is no reason to move
        return OCF_SUCCESS if main(["-a"] + options) in (DONE, DEGRADED) else OCF_ERR_GENERIC
    if action == "validate-all":
        RUN.dryrun = True
        refusal = (error_of(run_checks, opts, check_host) or error_of(fill_in_from_share, opts)
                   or error_of(run_checks, opts, check_pair, check_finished))
        report(refusal)
        return OCF_ERR_ARGS if refusal else OCF_SUCCESS
    if action == "stop" and is_member():  # else the services are the node's own
        main(["-d"] + options)
    down, left = active_parts(opts)
    if action == "monitor" and down and left:  # somebody may be restarting xcatd: no reason to move
        wait_until(lambda: not active_parts(opts)[0], AGENT_PATIENCE, 1)
        down, left = active_parts(opts)
    if action == "stop":  # while anything is left it has failed, and the node gets fenced
        reason, wrong = "not stopped: ", left
    elif not left:
        return OCF_NOT_RUNNING
    else:
        reason, wrong = "not up: ", down
        if not wrong and os.environ.get("OCF_CHECK_LEVEL", "0") != "0" and not wait_until(
                lambda: ask(XCATD_QUESTION)[0] == 0, AGENT_PATIENCE, 1):  # it may be busy
            wrong = ["xcatd's answer"]
    if wrong:
        say(EXIT_REASON + reason + ", ".join(wrong), sys.stderr)
    return OCF_ERR_GENERIC if wrong else OCF_SUCCESS


def active_parts(opts):
    """What of an active node is not up here, and what is left of it; looks at no share."""
    share, kept = share_from_links() or opts.path or "", parse_object(read_text(KEPT), KEPT_OPTIONS)
    # While -a adds a VIP to an active node, that one is not missing yet.
    vips = [one.vip for one in all_vips(opts) if one.vip]
    wanted = [one["vip"] for one in recorded_vips(kept)] or vips
    working, left = works_on(share), {*vips, *wanted, *vips_of_lease()}
    needs_server = any(exists(guard_file(unit)) for unit in units_of("database"))
    xcatd_is_left = active_state("xcatd.service") not in DOWN or processes_of("xcatd")
    parts = [("the lease", is_running(LEASE_UNIT), active_state(LEASE_UNIT) not in DOWN),
             ("the VIP", wanted and all(map(vip_here, wanted)), any(map(vip_here, left))),
             ("the database", working or not needs_server, working),
             ("xcatd", is_running("xcatd.service"), xcatd_is_left and is_member())]
    return [part for part, up, _ in parts if not up], [part for part, _, left in parts if left]


def is_member():
    """True if this node was set up, as this host alone can tell."""
    return exists(guard_file("xcatd.service")) or bool(share_from_links())


def managed_resource():
    """The resource by which Pacemaker manages the pair, "" where it is not in charge."""
    out = output_of(["crm_mon", "--one-shot", "--inactive", "--output-as=xml"], SHARE_LIMIT) if (
        have("crm_mon")) else ""
    shown = re.findall(r'<resource id="([^"]+)" resource_agent="ocf::?xcat:xcatha"([^>]*)>', out)
    return next((name for name, state in shown if 'managed="true"' in state), "")


def check_not_managed(opts):
    """Refuse where Pacemaker is in charge, unless -a only completes or -d only tidies up."""
    starts = opts.command == "activate"
    concerned = (starts or opts.command == "deactivate") and not RUN.by_pacemaker
    resource = managed_resource() if concerned else ""
    down, left = active_parts(opts) if resource else ([], [])
    if not (down if starts else left):
        return
    tool, start, stop = ("pcs", "enable", "disable") if have("pcs") else ("crm", "start", "stop")
    line = "{0} resource {1} {3}, or {0} resource move {3} {4}" if starts else (
        "{0} node standby {4}, or {0} resource {2} {3}")
    refuse("Pacemaker is in charge of this pair", "crm_mon: resource %s is managed" % resource,
           line.format(tool, start, stop, resource, physical_host_name()))


# ---- Steps of the commands ------------------------------------------------------------------

def stop_all_services():
    """Stop every managed service, in the order of deactivate; see stop_services."""
    outcomes = [stop_services(kind) for kind in SERVICES]
    stopped = [outcome.split(": ")[1] for outcome in outcomes if ": " in outcome]
    return "stopped: " + ", ".join(stopped) if stopped else "already stopped"


def begin_record(opts, state):
    """Name this node in the record as the one at work, and the pair; undone as a whole."""
    share, path = opts.path, state_file(opts.path, "cluster.json")

    def restore_record(before):
        """Put the record back as it was, unless not all of the run could be undone."""
        expect_lease(share)  # another node may have written its own by now
        expect(not UNDO.failed, "the record keeps this node's name",
               "not everything was put back", "run xcatha.py -d, or the same command again")
        record = parse_object(before or "", RECORD_KEYS)  # {}: none, or one of an older format
        if record and has_taken_lease():  # which is released next
            before = json.dumps(dict(record, lease=read_lease(share).get("nonce")), indent=1) + "\n"
        change_file(path, before)
    on_failure(restore_record, read_text(path, None))
    pair, *others = [{name: getattr(one, name) for name in ("vip", "netmask", "host_name")}
                     for one in all_vips(opts)]
    pair.update({"others": others} if others else {}, dbtype=opts.dbtype,
                lease=read_record(share).get("lease"), console=services_in_use(share)["console"])
    write_record(share, state=state, host=physical_host_name(), since=now(), **pair)


def services_in_use(share):
    """What the record keeps: which of DNS and DHCP run here, and the console server last in use."""
    running = {kind_of(unit): unit for unit in running_units("console", *MAKERS)}
    return {"console": running.get("console", read_record(share).get("console")),
            "served": [kind for kind in MAKERS if kind in running]}


def remember_share(share):
    """Remember here where the share is mounted; deactivate and status look there."""
    hint = STATE_DIR + "/share"
    if link_target(hint) == share:
        return "already in %s" % hint
    make_directory(STATE_DIR, 0o700)
    if exists(hint):
        on_failure(make_link, hint, link_target(hint))
        remove_file(hint)
    make_link(hint, share)
    on_failure(remove_file, hint)
    return "in %s" % hint


def amiss(opts, states, problems_of):
    """What keeps this node from being a whole standby or active node, by these problems_of."""
    share, me = opts.path, physical_host_name()
    view = dict(observe(opts.vip, states), record=read_record(share), share={"path": share},
                lease={"held_here": lease_held_here(share)}, nodes={me: {
                    "nic": opts.nic, "nics": {one.vip: one.nic for one in opts.others}}})
    return [*problems_of(view), *unguarded_units(), *filter(None, [wrong_cfgloc()]),
            *(unit for unit, (_, enabled) in states.items() if enabled)]


def is_serving(opts):
    """True if this node has VIP, links, database and xcatd up, be it without the lease."""
    needed = set(XCAT_DIRECTORIES) & set(directories_to_link(opts, read_record(opts.path)))
    return (bool(vip_here(opts.vip)) and needed <= set(linked_into(opts.path))
            and (opts.dbtype == "sqlite" or bool(works_on(opts.path)))
            and is_running("xcatd.service"))


def site_if_active(opts):
    """The site table's attributes if activate has nothing to do on this node, {} if it has."""
    share, record = opts.path, read_record(opts.path)
    if (not is_active_record(record) or record.get("not_done")
            or PAIR.vips != [one["vip"] for one in recorded_vips(record)]
            or set(directories_to_link(opts, record)) - set(linked_into(share))
            or amiss(opts, unit_states(), active_problems)):
        return {}
    with suppress(HAError, OSError):
        site = site_attributes()  # only now: without its database, xCAT does not answer for minutes
        return {} if optional_down(record, site) or wrong_masters(opts, site) else site
    return {}


def optional_down(record, site):
    """What of DNS, DHCP and the console server in use should be up and is not."""
    down = [kind for kind in MAKERS if not (skip_reason(kind, site) or running_units(kind))]
    console = record.get("console")
    unused = console not in units_of("console") or is_running(console)
    return down + ([] if unused else [short_names(console)])


def observe(vip, states):
    """This node as it is now, in the form of --json; states is unit_states', None if unknown."""
    return {"host": physical_host_name(),
            "host_name": {"running": host_name(), "physical": physical_host_name()},
            "vip": {"address": vip, "nic": vip_here(vip) if vip else "", "answered_by": ""},
            "further_vips": {further: vip_here(further) for further in PAIR.vips if further != vip},
            "links": {path: link_target(path) for path in all_directories() if link_target(path)},
            "database": {"working_directories": sorted(set(processes_of("database").values()))},
            "services": states and {unit: {"kind": kind_of(unit), "running": up, "enabled": boots}
                                    for unit, (up, boots) in states.items()}}


def summary(opts):
    """What activate and deactivate change, as [(what, how it is now)]."""
    share, view = opts.path, observe(opts.vip, attempt(unit_states)[0])
    rows = [("VIP", view["vip"]["nic"] or "not here"),
            *(("VIP " + vip, nic or "not here") for vip, nic in view["further_vips"].items()),
            ("host name", view["host_name"]["running"]), ("links", str(len(linked_into(share)))),
            ("database in", " ".join(view["database"]["working_directories"]) or "-")]
    for kind in SERVICES:
        units = [unit for unit, state in (view["services"] or {}).items()
                 if state["kind"] == kind and state["running"]]
        rows += [(kind, "unknown" if view["services"] is None else short_names(*units) or "down")]
    with suppress(HAError, OSError):  # the other node cannot be seen from here
        record = read_record(share)
        rows += [(name, (record["state"] if active_node(record) == name else "not active") +
                  ", by the share's record") for name in read_nodes(share, but=view["host"])]
    return rows


def show_change(before, after):
    """Print the table of what was and what is; return what is different."""
    if not RUN.dryrun:
        say("%-16s %-36s %s" % (physical_host_name(), "before", "now"))
        for (what, was), (_, is_now) in zip(before, after):
            say("  %-14s %-36s %s" % (what, was, is_now))
    return [what for (what, was), (_, is_now) in zip(before, after) if was != is_now]


def save_for_other_node(opts):
    """Leave on the share what the node that takes over needs, if this node is active."""
    share, adopted = opts.path, not read_record(opts.path) and is_serving(opts)
    if adopted:  # data of the 2018 script get a record of this node, which is about to stand by
        make_directory(state_file(share), 0o700)
        begin_record(opts, "active")
        write_record(share, directories=linked_into(share))
    if adopted or is_active_record(read_record(share)) and lease_held_here(share):
        save_hosts(share)
        in_use, record = services_in_use(share), read_record(share)
        if in_use != {name: record.get(name) for name in in_use}:
            write_record(share, **in_use)
    return "record written for data of an older script" if adopted else "already there"


def release_record(share, started):
    """Take this node out of the record as the active one; leave another's word alone."""
    expect(exists(state_file(share)) or not is_running(LEASE_UNIT), "the record cannot be reached",
           "%s is gone" % state_file(share), "mount the share again, then run xcatha.py -d")
    record, lease, me = read_record(share), read_lease(share), physical_host_name()
    nonce = lease.get("nonce") if lease.get("host") == me else record.get("lease")
    if active_node(record) not in ("", me):
        return "names %s, left alone" % active_node(record)
    if not active_node(record) and (not record or record["lease"] == nonce):
        return "already released"
    with ExitStack() as stack:
        if not lease_held_here(share) and lock_state(share, stack) == "held":
            return "another node is at work, left alone"
        write_record(share, lease=nonce, state="standby" if share_has_data(share) else "unfinished")
        add_history(share, "standby (%.0f s)" % (time.monotonic() - started))
    return "released"


def finish(opts, failed, not_done=(), site=None):
    """Say the closing lines of a command, what matters most at the end; exit code."""
    # What failed keeps a node from being a standby, what was not_done does not.
    active, lacking = opts.command == "activate", [*failed, *not_done]
    code = DEGRADED if lacking else DONE
    if failed and not active:
        raise HAError("this node is not a clean standby yet: %s" % ", ".join(failed),
                      "see the errors above", "fix them, then run: xcatha.py -d", INCOMPLETE)
    if RUN.dryrun:
        say("Dry run: nothing was changed.")
    else:
        for note, fix in site and attempt(list, delivery_notes(opts.vip, site))[0] or ():
            say("note: %s\n  fix: %s" % (note, fix))
        if lacking:
            say("%s, but not done or not up: %s. See the errors above." % (
                "Active" if active else "Standby", ", ".join(lacking)), sys.stderr)
        say("This machine is set to primary management node successfully..." if active else
            "This machine is set to standby management node successfully...")
    if opts.command == "setup":  # what is left for the administrator
        for problem, change in itertools.chain(mounts_at_boot("", directories_to_link(
                opts, read_record(opts.path))), *map(persistent_vip, PAIR.vips)):
            warn("%s; change it: %s" % (problem, change))
    return code


# ---- The commands --------------------------------------------------------------------------

def setup(opts):
    """Set this node up as a member of the pair, which then stands by; exit code.

    The first node's data go to the share and its services run once from there. A further node
    runs them once, too, or is only prepared for them while the other node is active.
    """
    require(opts, "path", "vip", "nic", "host_name")
    run_checks(opts, check_host)
    fill_in_from_share(opts)
    run_checks(opts, check_pair, check_software, check_data, check_alike, check_storage)
    share, me = opts.path, physical_host_name()
    record = read_record(share)
    active = is_active_record(record)
    if (active or not record) and is_serving(opts) or active and lease_held_here(share):
        say("%s is the active node; nothing was changed." % me)
        if not record:
            say("The 2018 script set it up; xcatha.py -a adds its lease and record.")
        return DONE
    states, member = unit_states(), record and share_has_data(share) and me in read_nodes(share)
    if (member and active_node(record) != me and xcat_installed()
            and not amiss(opts, states, standby_problems)):
        step("Node record", write_node, opts, books=True)
        step("Saved hosts file", take_saved_hosts, share, books=True)
        say("%s is set up already." % me)
        return finish(opts, [])

    # The lease, so that nobody else changes the share. Only a node that joins while the other one
    # is active takes neither lease nor VIP, because it touches nothing that is in use.
    on_failure(restore_units, states)
    joining = active_node(read_record(share)) not in ("", me) and bool(other_holder(share))
    if not joining:
        check_vip_is_free(opts)  # before the first change; asked again under the lease
        # An address of this node's own that becomes the VIP stays, even if the lease is lost now.
        step("Lease", take_lease, share, opts, [
            one.vip for one in all_vips(opts) if not vip_here(one.vip)])
        begin_record(opts, "trying" if share_has_data(share) else "setting up")
    first = not joining and not share_has_data(share)  # no other setup can change that any more

    # What an earlier, unfinished run linked is local again, and undo does not link it anew.
    if share_from_links():
        UNDO.tidied = True
        step("Earlier services", stop_all_services)
    step("Earlier links", unlink_all, share, books=True)
    step("Killed switch", undo_switch, books=True)

    # xCAT's installer writes the address and name that the node has while it runs into its tables.
    if not joining:
        step("Is the VIP free?", check_vip_is_free, opts)
        for one in all_vips(opts):
            step("Virtual IP", add_vip, one, True)
        step("Host name", set_host_name, opts.host_name)
        step("/etc/hosts", write_hosts, opts, {})
        step("/etc/resolv.conf", set_nameserver, opts.vip, True, failed=[])  # setup does without

    # Before the links exist, because packages must not write to the share.
    step("xCAT", install_xcat, opts)
    if opts.dbtype != "sqlite":
        step("Database packages", install_database, opts.dbtype)
    run_checks(opts, check_software, check_alike)  # again: packages may have come only now
    directories = directories_to_link(opts, read_record(share))
    if first:
        step("Database switch", switch_database, opts)
        step("Copy while running", copy_while_running, share, directories)
    step("Services", stop_all_services)
    if first:
        step("Copy", copy_all, share, directories)
    step("Share's path", remember_share, share, books=True)

    # Database and xcatd run once on the share's data: only what works is recorded as finished.
    if not joining:
        if not first:  # whose data others have served
            step("Guard", guard_services, share)
        step("Linked directories", link_all, share, directories)
        if opts.dbtype != "sqlite":  # which has no server
            step("Database address", name_vip_in_cfgloc, opts, books=True)
            step("Database access", admit_node, opts)
            step("Database", start_database, share, opts.dbtype)
        if opts.dbtype == "mysql":
            step("Database grants", grant_access, opts)
        step("xcatd", start_xcatd)
        step("xCAT's database", verify_xcat, opts)
        step("Policy", trust_names, opts)
        step("Master and nameservers", lambda: set_master(opts, known_site(share)))

    # From here on what is GUARDED needs the lease to start, and the share knows this node.
    step("Guard", guard_services, share, books=True)
    step("Node record", write_node, opts, books=True)
    step("Own cfgloc", restore_own_cfgloc, books=True)
    step("Saved hosts file", take_saved_hosts, share, books=True)
    if joining:
        point_of_no_return()
        say("%s is active and was not disturbed." % active_node(read_record(share)))
        say("The data were not tried here: fail over once when it suits you.")
        say("This node's first -a adds its access to the database and its policy row.")
        return finish(opts, [])
    expect_lease(share)
    write_record(share, state="trying", directories=directories)
    point_of_no_return()
    return finish(opts, stand_by(opts, "answers"))


def activate(opts):
    """Make this node the active one; exit code; undone if it fails before xcatd is up."""
    run_checks(opts, check_host)
    fill_in_from_share(opts)
    run_checks(opts, check_pair, check_finished)
    require(opts, "host_name")
    share, me, started = opts.path, physical_host_name(), time.monotonic()
    site = site_if_active(opts)
    if site:
        say("%s is the active node already." % me)
        step("Node record", write_node, opts, books=True)
        step("Kept address", remember_address, opts, books=True)
        return finish(opts, [], site=site)
    record = read_record(share)  # as it was before this run
    planned, repair = not active_node(record), is_active_record(record) and lease_held_here(share)
    down = []  # the titles of steps that failed and did not end the run
    pool = ThreadPoolExecutor(3)  # for what takes a second or more; the steps go on meanwhile
    facts = pool.submit(node_facts, opts)
    fresh, before = not is_serving(opts), summary(opts)

    # The lease first: until this node holds it, the other one may write to the share.
    on_failure(restore_units, unit_states())
    step("Lease", take_lease, share, opts, [one.vip for one in all_vips(opts)])
    directories = directories_to_link(opts, read_record(share))
    begin_record(opts, "activating")

    # The VIP before the services: a database that starts without it never listens on it.
    step("Is the VIP free?", check_vip_is_free, opts)
    on_failure(lambda: error_of(add_history, share, "activate failed, %s (%.0f s)" % (
        "not all put back" if UNDO.failed else "put back", time.monotonic() - started)))
    for one in all_vips(opts):
        step("Virtual IP", add_vip, one)
    step("Host name", set_host_name, opts.host_name)
    step("Saved hosts file", take_saved_hosts, share, failed=down, books=True)
    step("/etc/hosts", write_hosts, opts, {})
    step("/etc/resolv.conf", set_nameserver, opts.vip, True, failed=down)
    for what, evidence, _ in check_alike(opts, facts.result()):  # no time for upgrades now
        warn("%s: %s" % (what, evidence))

    # Links before the database, or it would start on this node's old files; xcatd needs both.
    if fresh:
        step("Services", stop_all_services)
    expect_lease(share)
    step("Share's path", remember_share, share, failed=down, books=True)
    step("Linked directories", link_all, share, directories)
    step("Guard", guard_services, share, books=True)
    if opts.dbtype != "sqlite":  # which has no server
        step("Database address", name_vip_in_cfgloc, opts, books=True)
        step("Database access", admit_node, opts)
        step("Database", start_database, share, opts.dbtype)
    if opts.dbtype == "mysql":
        step("Database grants", grant_access, opts)

    # DNS and DHCP need the database and the complete /etc/hosts, not xcatd: where this pair has
    # served them before, they begin beside it. SQLite's file is not shared with a starting xcatd.
    ahead = fresh and opts.dbtype != "sqlite" and not RUN.dryrun
    served = record.get("served", []) if ahead else []
    hosts, made = read_text("/etc/hosts"), begin_makers(pool, served)
    step("xcatd", start_xcatd)

    # Database and xcatd are up: what fails from here on is reported (exit 4). Only SIGINT, SIGTERM
    # and a lost lease still undo the run, until "Record" is written.
    answer = pool.submit(attempt, known_site, share)
    step("Policy", trust_names, opts, failed=down)
    site, error = answer.result()
    if error:
        report(error)
        down.append("DNS, DHCP and console server (xCAT did not answer)")
        futures.wait(made.values())
    else:
        step("Long host name", write_hosts, opts, site, failed=down)
        master = step("Master and networks", set_master, opts, site, failed=down, books=True)
        # Where these steps changed what the makers have read, they run again.
        stale = read_text("/etc/hosts") != hosts or not master.startswith("already")
        again = record.get("not_done") or record.get("state") == "activating"  # a killed run
        down += start_optional(opts, site, fresh or again, stale, made)
    step("NFS exports", export_directories, share if fresh else "", failed=down)
    step("Boot", disable_services, failed=down, books=True)
    if fresh and not RUN.signal:
        on_failure(lambda: report(error_of(run_own_steps, "deactivate", opts)))
    step("Own steps", run_own_steps, "activated", opts, failed=down, books=True)
    step("Node record", write_node, opts, facts.result(), failed=down, books=True)
    step("Own cfgloc", restore_own_cfgloc, failed=down, books=True)

    # The record last: after a kill before this line the next -a does all steps again.
    expect_lease(share)
    step("Record", lambda: write_record(
        share, state="active", since=record["since"] if repair else now(),
        directories=directories, not_done=down, **services_in_use(share)), failed=down, books=True)
    stop_if_asked()
    point_of_no_return()
    step("Kept address", remember_address, opts, failed=down, books=True)
    step("Hosts file", save_hosts, share, failed=down, books=True)
    changed = show_change(before, summary(opts))
    what = "active (planned, " if planned else "active (unplanned, "
    what = "completed: %s (" % (", ".join(changed) or "settings") if repair else what
    what += "%.0f s)" % (time.monotonic() - started)
    step("History", add_history, share, what + (", not up: " + ", ".join(down) if down else ""),
         failed=down, books=True)
    return finish(opts, down, site=site)


def deactivate(opts):
    """Make this node a standby, as far as that is safe; exit code."""
    opts.path = find_share(opts)
    state = share_state(opts.path) if opts.path else "unknown"
    if state == "answers":
        broken = error_of(fill_in_from_share, opts)
        if broken:
            report(broken)
            state = "unreadable"
        else:  # a VIP that is not the pair's is refused before anything is taken down
            run_checks(opts, lambda opts: check_recorded(opts, "vip"))
    if state == "silent":
        return stand_by(opts, state)  # what this host alone can do, then always an error
    started, before, not_done = time.monotonic(), attempt(summary, opts)[0] or [], []
    # While the services run and /etc/xcat, where they lie, is linked; not beside an active node.
    if state == "answers" and leads_to(opts.path, "/etc/xcat") and active_node(
            attempt(read_record, opts.path)[0] or {}) in ("", physical_host_name()):
        step("Own steps", run_own_steps, "deactivate", opts, failed=not_done, books=True)
    failed = stand_by(opts, state)
    if failed and state == "answers" and not RUN.dryrun:
        error_of(add_history, opts.path, "standby failed: %s (%.0f s)" % (
            ", ".join(failed), time.monotonic() - started))
    attempt(lambda: show_change(before, summary(opts)))
    if state in ("missing", "unreadable"):
        report(HAError("the record on the share %s was not released" % opts.path,
                       "the share is %s" % state, "mount or fix it, then run this again"))
        failed.append("Record")
    return finish(opts, failed, not_done)


def stand_by(opts, state):
    """Take all steps of deactivate, with which setup ends, too; the titles of those that failed.

    Every step that is still safe is taken, and nothing is rolled back. state is share_state's,
    else "unreadable" (its record) or "unknown" (no path): where the share cannot be read, the
    record stays as it is; where it is silent, only this host is touched, and that is an error.
    """
    failed, started = [], time.monotonic()
    used = error_of(run_checks, opts, check_switch)
    if used and not RUN.dryrun:  # it asks xcatd, which ends below: from now on the mark says so
        os.utime(SWITCHING, (0, 0))
    step("Kept address", remove_file, KEPT, failed=failed, books=True)

    # What the node that takes over needs to know.
    if state == "answers":
        step("Word to the other node", save_for_other_node, opts, failed=failed, books=True)

    # Who uses the database stops before it.
    for kind in SERVICES:
        step("Stop " + kind, stop_services, kind, failed=failed)

    # Exports keep the share busy. A directory in which a database still works stays linked.
    if state != "silent":
        step("NFS exports", withdraw_exports, opts.path, failed=failed)
        if is_member():
            step("Own cfgloc", restore_own_cfgloc, failed=failed, books=True)
        step("Linked directories", unlink_all, opts.path, failed=failed)
        step("Killed switch", forget_login_rule if used else undo_switch, failed=failed, books=True)

    # The VIP late: until here it still led administrators and clients to this node.
    for vip in sorted({*(one.vip for one in opts.others), *vips_of_lease()} - {opts.vip}):
        step("Virtual IP", remove_vip, vip, failed=failed)
    step("Virtual IP", remove_vip, opts.vip, True, failed=failed)
    # A lambda, so that an empty /etc/hostname is an error of this step alone.
    step("Host name", lambda: set_host_name(physical_host_name()), failed=failed)
    step("/etc/resolv.conf", set_nameserver, opts.vip, False, failed=failed)

    # The lease last, and not at all while a service may still work on the share.
    if {"Stop xcatd", "Stop database", "Linked directories"} & set(failed):
        failed.append("Lease (kept: a service may still work on the share)")
    elif state != "silent":
        if state == "answers":
            step("Record", release_record, opts.path, started, failed=failed)
        step("Lease", release_lease, opts.path, failed=failed)
    point_of_no_return()
    if state == "silent":  # what this host alone can do is done
        raise HAError("the share %s does not answer: links, record and lease are as they were" %
                      opts.path, "stat: no end within %d s" % SHARE_LIMIT,
                      "power this node off before activating the other", INCOMPLETE)
    return failed


# ---- Command line --------------------------------------------------------------------------

HOST_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"  # RFC 1123, 2.1
# {kind of an option's value: (its pattern, its greatest length, what it is)}
VALUES = {
    "address": (r"(?!(0|127|22[4-9]|2[3-5]\d)\.).*", 15, "an IPv4 address of a host"),  # RFC 6890
    "netmask": (".*", 15, "a netmask"),
    "NIC": (r"[A-Za-z0-9][A-Za-z0-9_.-]*(:[A-Za-z0-9_.-]+)?", 15, "the name of a NIC"),
    # Linux keeps 64 characters of it (uname(2)); localhost is every host's own.
    "host": (r"(?i)(?!localhost(\.|\Z)){0}(\.{0})*".format(HOST_LABEL), 64, "a host name"),
    "directory": (r"(?!.*/\.\.(/|\Z))/[A-Za-z0-9/._+@:=,-]*", 1024,
                  "an absolute path of plain characters"),
    "engine": ("postgresql|mysql|mariadb|sqlite", 10, "postgresql, mysql, mariadb or sqlite"),
    "text": ("(?s).*", 1024, "a text"),
}


def option_value(kind, text):
    """The value of an option of this kind, in the form that is used; else a usage error."""
    pattern, most, what = VALUES[kind]
    fits = re.fullmatch(pattern, text)
    if fits and kind in ("address", "netmask"):
        fits = False
        with suppress(ValueError):
            network = ipaddress.IPv4Network("0.0.0.0/" + text if kind == "netmask" else text)
            fits = text in (str(network.netmask), str(network.network_address))
    # A name in a directory needs room for what is appended to it.
    too_long = len(text) > most or kind == "directory" and max(map(len, text.split("/"))) > 200
    if too_long or not fits:
        raise argparse.ArgumentTypeError("%r is %s" % (
            text[:70], "too long" if too_long else "not " + what))
    if kind == "directory":  # doubled slashes go; links are left: see fill_in_from_share
        return "/" + os.path.normpath(text).lstrip("/")
    return "mysql" if (kind, text) == ("engine", "mariadb") else text


def build_parser():
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="xcatha.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s (-s | -a | -d | --status) [options]",
        description=__doc__.split("\n\nWhat it changes")[0],
        epilog="A pair on several networks has -v, -i, -n and -m again for each further VIP.\n"
               "exit: 0 done, 1 failed and undone, 2 usage, 3 refused, 4 done, but a part\n"
               "      of it failed, 5 stopped part-way. Log: " + LOG_FILE)
    check = {kind: partial(option_value, kind) for kind in VALUES}
    command = parser.add_mutually_exclusive_group(required=True)
    for flags, words in ((("-s", "--setup"), "set this node up as a member of the pair"),
                         (("-a", "--activate"), "make this node the active one"),
                         (("-d", "--deactivate"), "make this node a standby"),
                         (("--status",), "look; 0 active, 3 standby, 1 inconsistent, 4 unknown")):
        command.add_argument(*flags, dest="command", action="store_const",
                             const=flags[-1].strip("-"), help=words)
    for name, (flags, kind, words) in PAIR_OPTIONS.items():
        if name in KEPT_OPTIONS:  # those of a VIP, of which there may be several: see parse
            parser.add_argument(*flags, dest="given", action="append", metavar=name.upper(),
                                help=words, type=lambda text, name=name, kind=kind: (
                                    name, option_value(kind, text)))
        else:
            parser.add_argument(*flags, type=check[kind], metavar=name.upper(), help=words)
    parser.add_argument("--dryrun", action="store_true", help="check and say, change nothing")
    parser.add_argument("--verbose", action="store_true", help="show each command as it runs")
    parser.add_argument("--yes", action="store_true", help="do not ask in guided mode")
    parser.add_argument("--json", action="store_true", help="print --status as JSON, for programs")
    parser.add_argument("--peer-is-off", action="store_true", help="you have powered the other "
                        "node off; its lease is watched (90 s on most shares), then taken")
    parser.add_argument("--exclude", type=check["directory"], action="append", default=[],
                        metavar="DIR", help="a directory that is shared otherwise and not linked")
    parser.add_argument("--also", type=check["directory"], action="append", default=[],
                        metavar="DIR", help="with the first setup: a further directory to share")
    parser.add_argument("--go-xcat", type=check["text"], default=GO_XCAT, metavar="URL|FILE",
                        help="where to get xCAT's installer, go-xcat")
    parser.add_argument("--xcat-dep", type=check["text"], metavar="URL|DIR",
                        help="for go-xcat: where to get what xCAT depends on")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--xcat-core", type=check["text"], metavar="URL|DIR",
                        help="for go-xcat: where to get xCAT itself")
    source.add_argument("--xcat-version", type=check["text"], metavar="VERSION",
                        help="for go-xcat: the version to install, such as 2.18")
    parser.add_argument("--log", type=check["text"], default=LOG_FILE, metavar="FILE",
                        help="the log to append to")
    parser.add_argument("--version", action="version", version="xcatha " + VERSION)
    return parser


def parse(argv):
    """Parse a command line; -d takes any -i, because it finds the VIP where it is."""
    # The next VIP begins where one of its options comes that the VIP before it has already.
    parser = build_parser()
    opts = parser.parse_args(argv)
    found = [{}]
    for name, value in opts.given or []:
        found += [{}] if name in found[-1] else []
        found[-1][name] = value
    found = [dict(dict.fromkeys(KEPT_OPTIONS), **one) for one in found]
    try:
        for one in found:
            one["nic"] = option_value("NIC", one["nic"]) if (
                one["nic"] and opts.command != "deactivate") else None
    except argparse.ArgumentTypeError as error:
        parser.error("argument -i/--nic: %s" % error)
    vips, nics = ([one[name] for one in found] for name in ("vip", "nic"))
    if len(found) > 1 and opts.command in ("setup", "activate") and (
            None in vips + nics or len(set(vips)) + len(set(nics)) < 2 * len(found)):
        parser.error("of several VIPs, each needs its own -v and -i")
    # -d takes away what the pair has recorded, and no other address that a line may name.
    vars(opts).update(found[0], others=[] if opts.command == "deactivate" else [
        Namespace(**one) for one in found[1:]])
    return opts


def require(opts, *names):
    """End with the usage exit code when an option is missing that nothing else could supply."""
    missing = [FLAGS[name] for name in names if not getattr(opts, name)]
    if missing:
        raise HAError("missing: " + " ".join(missing), "neither given nor recorded",
                      "see the examples in xcatha.py --help", USAGE)


def note_signal(number, frame):
    """Note SIGINT or SIGTERM and end the command at work; the run stops at its next command."""
    again, RUN.signal = RUN.signal, RUN.signal or number
    # Half a transaction is worse than a wait; bash runs go-xcat.
    spared = [child for child in RUN.children
              if not again and child.args[0] in ("bash", "dpkg", *PACKAGES)]
    kill_commands(child for child in list(RUN.children) if child not in spared)
    with suppress(OSError):  # a terminal or pipe that is gone, or that nobody reads
        if spared and select.select([], [2], [], 0)[1]:  # not by say, which this may interrupt
            os.write(2, b"waiting for the installer's end; again to kill it\n")


def rollback(error, opts):
    """Undo a failed run in reverse order; its exit code, or INCOMPLETE where that failed too."""
    report(error)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    RUN.signal, UNDO.at_work = None, True
    if not UNDO.changed and error.code != USAGE:
        say("Nothing was changed.", sys.stderr)
    if not (UNDO.changed and UNDO.calls):  # before the first change, or past the point of no return
        return INCOMPLETE if UNDO.past_return and error.code == FAILED else error.code
    say("Putting this node back as it was found ...", sys.stderr)
    # Where the share is silent, or the lease lost (or systemd does not say), what uses the share
    # must end. Without links the services use this node's own data and are put back as usual.
    silent = bool(opts.path) and share_state(opts.path) == "silent"
    lost = not silent and has_taken_lease() and not attempt(lease_held_here, opts.path)[0]
    if (silent or lost) and share_from_links():
        kill_commands(RUN.children)  # xCAT's makers, without a database, would be long
        report(error_of(stand_by, opts, "silent" if silent else "answers"))
        if lost:
            report(HAError("the lease was lost during this run; this node stands by",
                           "%s does not hold it" % LEASE_UNIT,
                           "see who is active with --status, then run the same command again"))
        return INCOMPLETE
    while UNDO.calls:  # where one change cannot be put back, the others are tried all the same
        try:
            obstacle = beside(UNDO.calls.pop()).result(SERVICE_LIMIT if silent else None)
        except futures.TimeoutError:
            obstacle = HAError("the share %s does not answer" % opts.path, "no end within %d s" %
                               SERVICE_LIMIT, "bring its server or network back")
        report(obstacle)
        UNDO.failed |= obstacle is not None
    if UNDO.failed:
        say("This node is NOT as it was found; next: xcatha.py -d", sys.stderr)
        return INCOMPLETE
    say("This node is as it was found%s." % (
        ", less what an earlier run had left" if UNDO.tidied else ""), sys.stderr)
    return error.code


def run_command(opts):
    """Guide, then run the command alone on this node, and undo it if it fails; exit code."""
    patience = SERVICE_LIMIT if RUN.by_pacemaker else LOCK_PATIENCE
    with open(os.devnull if RUN.dryrun else RUN_LOCK, "a") as lock:  # a dry run may look on
        if not RUN.dryrun and not wait_until(lambda: lock_file(lock.fileno()) == "ours", patience):
            refuse("another run of xcatha.py is at work on this node",
                   RUN_LOCK + " is locked", "wait for its end")
        command, error = attempt(guide, opts)
        name = COMMANDS if command and not RUN.dryrun else os.devnull
        if name == COMMANDS and exists(name):
            end_orphans()  # they would work beside this run, and after it
        with open(name, "w") as commands:
            code, RUN.inherited = DONE, [commands.fileno()]
            if command:
                open_log(opts.log)  # not before: a dry run, which may be the answer, keeps none
                log.info("%s", pasted(sys.argv))
                code, error = attempt(command, opts)
            elif not error:
                say("Nothing was changed.")
            futures.wait(RUN.arpings)
            if error:
                code, error = attempt(rollback, error, opts)
            RUN.inherited = ()
        if name == COMMANDS:
            os.unlink(name)
        report(error)  # of the undo itself
        return INCOMPLETE if error else code


def main(argv=None):
    """Parse the command line and run; exit code."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed by the caller; no file of ours takes its place
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
    argv = sys.argv[1:] if argv is None else argv
    # Pacemaker calls with an action, not an option.
    named = os.path.basename(sys.argv[0]) == "xcatha" or "OCF_ROOT" in os.environ
    if named and argv and not argv[0].startswith("-"):
        code, error = attempt(run_agent, argv[0])
        report(error)
        return OCF_ERR_GENERIC if error else code
    units = {"--hold-lease": hold_lease, "--fence": fence, "--lease-lost": lose_lease}
    if argv and argv[0] in units:  # the units of the lease
        error = error_of(units[argv[0]], *argv[1:])
        report(error)
        return FAILED if error else DONE
    opts = parse(argv)
    RUN.verbose = opts.verbose
    if psutil is None:
        say("xcatha.py needs the Python library psutil for %s; next: %s" % (
            sys.executable, install_command(["python3-psutil"])), sys.stderr)
        return USAGE
    if opts.command == "status":  # needs neither root nor a log
        code, error = attempt(status, opts)
        report(error)
        return STATUS_CODES["unknown"] if error else code
    if os.geteuid() != 0:
        say("xcatha.py must run as root; next: sudo xcatha.py ...", sys.stderr)
        return USAGE
    RUN.dryrun = opts.dryrun
    os.umask(0o022)
    RUN.secrets = [os.environ[name] for name in PASSWORD_VARIABLES if os.environ.get(name)]
    # A closed terminal or pipe does not stop a run: the administrator may be logged in at the VIP.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note_signal)
    code, error = attempt(run_command, opts)
    report(error)
    return error.code if error else code


if __name__ == "__main__":
    sys.exit(main())
