"""What a run that went wrong may not do: lose, spoil or misname a file, or say what is not so.

Judged by the nodes' disks and the share as this machine sees them, never by the script's word.
"""

import hashlib
import os
import re

DIRECTORIES = ("install", "etc/xcat", "root/.xcat", "tftpboot", "var/lib/pgsql")
UNITS = "xcatd postgresql named dhcpd conserver xcatha-lease".split()
VIP = "10.5.106.50"
# What xCAT and its database rewrite whenever they run.
REWRITTEN = ("tables.json", "cfgloc", "pg_hba.conf", "postgresql.conf")
# What may differ on a node that was put back: the promise's exceptions, own notes, what
# a new xCAT lays down in directories that get linked, and directories that are left empty.
MAY_DIFFER = re.compile(
    r"(run|usr|opt|tmp|var/lib/xcatha|var/lib/pgsql/data|etc/dhcp)(/|$)|etc/named.conf$"
    r"|HA/(\.xcatha|etc|root|var|var/lib)$|HA/\.xcatha/|HA/.*\.xcatha-partial|.*/tables.json$"
    r"|etc/xcat/cert(/|$)|install/postscripts$|tftpboot/xcat$"
    r"|etc/systemd/system/[^/]*(\.service\.d|\.target\.wants)$"
)
GONE = ["c"]  # a character device is how overlayfs marks what is not there
TIDIED = "less what an earlier run had left"
PRIMARY, STANDBY = "set to primary management node", "set to standby management node"


# ---- Files -----------------------------------------------------------------------------------


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def tree(top):
    """{path below top: digest} of the files in a tree."""
    found = [os.path.join(parent, name) for parent, _, names in os.walk(top) for name in names]
    return {
        os.path.relpath(path, top): digest(path)
        for path in found
        if os.path.isfile(path)
        and not os.path.islink(path)
        and os.path.basename(path) not in REWRITTEN
    }


def names_of(disk, directory):
    """Every name under which a disk keeps this directory: itself, backups, partial copies."""
    parent, name = os.path.split(os.path.join(disk, directory))
    there = os.listdir(parent) if os.path.isdir(parent) else []
    places = [os.path.join(parent, one) for one in there if re.match(rf"{name}(\.|$)", one)]
    return [place for place in places if os.path.isdir(place) and not os.path.islink(place)]


def disks(node):
    return [node.upper, node.share]


class Census:
    """The files of all linked directories, on the node's disk and on the share."""

    def __init__(self, node):
        self.trees = {
            place: tree(place)
            for disk in disks(node)
            for directory in DIRECTORIES
            for place in names_of(disk, directory)
        }

    def contents(self):
        return {content for files in self.trees.values() for content in files.values()}

    def lost(self, later):
        """The files that are nowhere any more."""
        kept = later.contents()
        return [
            f"lost {place}/{name}"
            for place, files in self.trees.items()
            for name, content in files.items()
            if content not in kept and "/stale" not in f"/{name}"
        ]

    def spoiled(self, later, node):
        """The final names whose directory is not complete, as this census knows it."""
        found = []
        for directory in DIRECTORIES:
            local, shared = (os.path.join(disk, directory) for disk in disks(node))
            wanted = {local: self.trees.get(local, {})}
            wanted[shared] = self.trees.get(shared) or wanted[local]
            for place, files in wanted.items():
                there = later.trees.get(place)
                if there is not None:
                    found += [f"{place} lacks {n}" for n in files if there.get(n) != files[n]]
                    found += [f"{place} holds {n}" for n in there if n.startswith("stale")]
        return found


# ---- The node --------------------------------------------------------------------------------


def units(node):
    """Which of the managed units are up."""
    states = node.run("systemctl", "is-active", *UNITS).stdout.split()
    return [unit for unit, state in zip(UNITS, states) if state == "active"]


def links(node):
    return [name for name in DIRECTORIES if (node.upper / name).is_symlink()]


def left_on_standby(node):
    """What a standby should not have."""
    name = node.succeed("hostname").strip()
    vip = [address for address in node.addresses() if address == VIP]
    return units(node) + links(node) + vip + ([name] if name != node.name else [])


def is_standby(node):
    return not left_on_standby(node)


def is_active(node):
    return (
        {"xcatd", "postgresql"} <= set(units(node))
        and VIP in node.addresses()
        and (links(node) == list(DIRECTORIES))
    )


class Before:
    """A node just before a run that will go wrong, and what is wrong with it afterwards."""

    def __init__(self, node):
        self.node, self.picture = node, node.picture()
        self.units, self.links, self.census = units(node), links(node), Census(node)

    def differences(self):
        """What is not as it was found."""
        names = self.node.changes_since(self.picture, rewritten=False)
        # A new xCAT and a new database make their directories.
        new = [one for one in DIRECTORIES if self.picture.get(one, GONE)[0].startswith("c")]
        changed = [name for name in names if not MAY_DIFFER.match(name) and name not in new]
        changed += [f"link {name}" for name in links(self.node) if name not in self.links]
        now = units(self.node)
        return changed + ([f"units {self.units} -> {now}"] if now != self.units else [])

    def losses(self):
        """What was lost, and what is half or old under a name that promises the whole."""
        now = Census(self.node)
        return self.census.lost(now) + self.census.spoiled(now, self.node)

    def lies(self, done):
        """What the exit code and the output claim and the node belies."""
        said, found = done.stdout + done.stderr, []
        if "Traceback" in said:
            found.append("a traceback")
        if done.returncode not in (0, 1, 3, 4, 5, -9):
            found.append(f"exit {done.returncode}")
        put_back = done.returncode in (1, 3) or "This node is as it was found" in said
        if (put_back or "Nothing was changed" in said) and TIDIED not in said:
            found += self.differences()
        if PRIMARY in said and not is_active(self.node):
            found.append("says primary")
        if STANDBY in said and not is_standby(self.node):
            found.append("says standby")
        return found
