"""What a dry run announced against what a real run then did, change by change.

The real run's changes are read from its log, and the log is held against two witnesses: the calls
that the stand-ins recorded, and the difference between two pictures of the node and its share.
"""

import re
import shlex

# Calls that begin like this only look; every other one is a change.
LOOKS = [line.split() for line in """
    arping -D
    arping -V
    dpkg --audit
    ip -4 route show
    ip -json
    ip -o -4 address show
    ip neighbour show
    mysql --host=10.5.106.50
    mysql --version
    systemctl is-enabled
    systemctl list-units
    runuser -u postgres -- psql -X -q -d template1 -tc
    systemctl show
""".strip().splitlines()]
LOOKING_TOOLS = """
    crm_mon dpkg-query du find getent journalctl lsattr lsdef lsxcatd openssl perl pg_isready
    pg_lsclusters ping psql rpm ssh-keygen stat tabdump tune2fs
""".split()

VERBS = "write|make|rename|link|remove|download"
ANNOUNCED = re.compile(r"^  would (run|" + VERBS + r")(, [^:]+)?: (.+)$")
LOGGED_CALL = re.compile(r" - INFO - (.+) \(\d+\.\d+ s\) \[(Passed|Failed, OK to ignore)\]$")
LOGGED_FILE = re.compile(r" - INFO - ((?:" + VERBS + r") .+)$")
PLACEHOLDER = re.compile(r"\b(NETWORK|PRIORITY|UNITS|UNIT)\b")
VARIES = {"UNITS": r"\S+( \S+)*"}

# What a command that was announced may change by itself, as names of the picture.
EFFECTS = {
    "bash": "etc/ home/ install opt/ root/ tftpboot usr/ tmp/",
    "chdef": "HA/ etc/xcat/ var/lib/pgsql",
    "dnf": "usr/ var/lib/pgsql",
    "exportfs": "var/lib/nfs",
    "hostname": "host name",
    "install": "var/lib/pgsql",
    "ip": "addresses routes",
    "makedhcp": "etc/dhcp etc/systemd/system/multi-user.target.wants run/fakes/",
    "makedns": "etc/named.conf etc/systemd/system/multi-user.target.wants run/fakes/",
    "mv": "var/lib/pgsql",
    "pgsqlsetup": "etc/ run/fakes/ var/lib/pgsql",
    "rsync": "HA/",
    "runuser": "var/lib/pgsql",
    "systemctl": "addresses etc/systemd/system/multi-user.target.wants routes run/ "
    "HA/install HA/tftpboot HA/var/lib/pgsql",
}


def looks_only(call):
    return call[0] in LOOKING_TOOLS or any(call[: len(look)] == look for look in LOOKS)


def plain(change):
    """A change without the times, which differ between two runs."""
    return re.sub(r"\d{8}-\d{6}", "TIME", change)


def announced(said):
    """(the changes that would be made, those that would on a condition), from a dry run."""
    found = [match.groups() for match in map(ANNOUNCED.match, said.splitlines()) if match]
    certain = [f"{verb} {what}" for verb, condition, what in found if not condition]
    return list(map(plain, certain)), [f"{verb} {what}" for verb, cond, what in found if cond]


def logged(log):
    """The changes that a real run made, from its log."""
    found = []
    for line in log.splitlines():
        call, file = LOGGED_CALL.search(line), LOGGED_FILE.search(line)
        if call and not looks_only(shlex.split(call[1])):
            found.append("run " + call[1])
        elif file:
            found.append(file[1])
    return list(map(plain, found))


def matches(pattern, change):
    """True if a change is the one announced on a condition; words in capitals vary."""
    parts = PLACEHOLDER.split(pattern)
    regex = "".join(VARIES.get(part, r"\S+") if number % 2 else re.escape(part)
                    for number, part in enumerate(parts))
    return re.fullmatch(regex, change) is not None


def compare(said, log):
    """(announced and not done, done and not announced)."""
    certain, conditional = announced(said)
    surplus = logged(log)
    missing = [change for change in certain if change not in surplus or surplus.remove(change)]
    return missing, [change for change in surplus
                     if not any(matches(pattern, change) for pattern in conditional)]


def misplaced(said, log):
    """The first announced change that was not done in its turn, and all after it.

    Announcements of the VIP and xCAT's makers run beside other steps, in no certain order.
    """
    turn = iter(logged(log))
    certain = [change for change in announced(said)[0]
               if not change.startswith(("run arping", "run make"))]
    return [change for change in certain if change not in turn]


def unexplained(changed, log):
    """The names of a picture's difference that no logged change accounts for."""
    places = []
    for change in logged(log):
        verb, _, what = change.partition(" ")
        if verb == "run":
            places += EFFECTS.get(what.split()[0], "").split(" ")
        else:
            places += [name.lstrip("/") for name in what.split(" -> ")]
    places = [place for place in places if place]
    return [name for name in changed if not any(plain(name).startswith(p) for p in places)]
