"""What the script itself takes on fakes: for each command, and for an activate on a large site."""
import json
import pathlib
import sys

from tests.bench.copying import directory
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import cluster, freeze

MEASURED = pathlib.Path(__file__).with_name("measured.py").read_text()
TABLES = "/HA/var/lib/pgsql/data/tables.json"
IP = "/usr/local/lib/fakes/real/ip"
PARTS, ROUNDS = (0, 0.5, 1), 3


# ---- What is large ---------------------------------------------------------------------------

def hosts_lines(count):
    """So many lines of a hosts file."""
    return "".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255} cn{n} cn{n}.cluster.test\n"
                   for n in range(count))


def define_nodes(node, count):
    """So many nodes with consoles in xCAT's tables."""
    tables = json.loads(node.succeed("cat", TABLES))
    tables["nodehm"] = {f"cn{n}": {"mgt": "ipmi", "cons": "ipmi"} for n in range(count)}
    node.succeed("tee", TABLES, input=json.dumps(tables))


def add_addresses(node, count):
    """So many addresses on the NIC, every hundredth with a label."""
    lines = [f"address add 10.7.{n >> 8}.{n & 255}/32 dev eth0"
             + f" label eth0:s{n}" * (n % 100 == 0) for n in range(count)]
    node.succeed(IP, "-batch", "-", input="\n".join(lines))


def mount_filesystems(node, count):
    """So many mounts."""
    script = "for n in $(seq $1); do mkdir /mnt/$n; mount -t tmpfs none /mnt/$n; done"
    node.succeed("sh", "-c", script, "sh", count)


def know_hosts(node, count):
    """So many lines in /etc/hosts."""
    node.succeed("tee", "-a", "/etc/hosts", input=hosts_lines(count))


def know_hosts_elsewhere(node, count):
    """So many lines in the hosts file that the other node left on the share."""
    node.succeed("tee", "/HA/.xcatha/hosts", input=hosts_lines(count))


DIMENSIONS = {"10 000 node definitions": (define_nodes, 10000),
              "2000 addresses on the NIC": (add_addresses, 2000),
              "500 mounts": (mount_filesystems, 500),
              "/etc/hosts of 50 000 lines": (know_hosts, 50000),
              "50 000 lines from the other node": (know_hosts_elsewhere, 50000)}


# ---- What it costs ---------------------------------------------------------------------------

def cost(node, *arguments):
    """Run the script on a node: its time, memory and processor time, the commands it started."""
    before = len(node.calls())
    words = [sys.executable, "-c", MEASURED, *node.script(*arguments)]
    done = node.run(*words, timeout=600)
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "started": len(node.calls()) - before}


def commands(nodes):
    """What each command costs on a small pair, in the order of its life."""
    one, two = nodes
    life = (("setup of the first node", one, SETUP), ("setup of the second node", two, SETUP),
            ("activate", one, ACTIVATE), ("activate, already active", one, ACTIVATE),
            ("status of the active node", one, ["--status"]),
            ("deactivate", one, DEACTIVATE), ("deactivate, already standby", one, DEACTIVATE),
            ("status of a standby", one, ["--status"]))
    return {title: cost(node, *arguments) for title, node, arguments in life}


def cheapest(node):
    """The cost of that activate of a few that took the least processor time."""
    found = []
    for _ in range(ROUNDS):
        found.append(cost(node, *ACTIVATE))
        assert found[-1]["code"] == 0
        node.xcatha(*DEACTIVATE, timeout=600)
    return min(found, key=lambda one: one["cpu"])


def activations(frozen, enlarge, full):
    """The cost of an activate by the part of the full size, each on a node of its own."""
    found = []
    for part in PARTS:
        with directory() as home, cluster(home / "nodes", ("host1",), frozen) as (node,):
            enlarge(node, int(part * full))
            found.append({"size": int(part * full), **cheapest(node)})
    return found


def measure(size):
    """All of it; size 1 is that of the goals."""
    with directory() as kept:
        with cluster(kept / "work", ("host1", "host2")) as nodes:
            costs = commands(nodes)
            freeze(nodes, kept / "set up")
        grown = {title: activations(kept / "set up", enlarge, size * full)
                 for title, (enlarge, full) in DIMENSIONS.items()}
    return {"size": size, "commands": costs, "scale": grown}
