"""The lab's pair as a cluster: Corosync and Pacemaker as the README configures them."""
import contextlib
import json
import pathlib
import re
from xml.etree import ElementTree

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.lab import frozen
from tests.lab.pacemaker.power import PowerSwitch
from tests.lab.pair import VIP, Pair, watch_no_pid_file, xcat
from tests.watcher import Watcher, server_without_lock, servers_on_two_hosts

README = pathlib.Path(__file__).parents[3] / "README.rst"
FENCE_AGENT = pathlib.Path(__file__).with_name("fence_lab")
AGENT = "/usr/lib/ocf/resource.d/xcat/xcatha"
SCRIPT = "/usr/local/sbin/xcatha.py"
# What the README has for real machines, each of which has a switch of its own.
IPMI = re.compile(r"fence_ipmilan [^|]*?(?=pcmk_host_list)")
# A stop that waits for all its limits, a fence and a start, on a busy machine.
LIMIT = 240


# ---- The README's configuration ----------------------------------------------------------------

def readme_block(first_line):
    """The literal block of the README that begins with this line, without its indentation."""
    text, start = README.read_text(), f"::\n\n    {first_line}\n"
    assert text.count(start) == 1, first_line
    rest = text[text.index(start) + len("::\n\n"):]
    return re.sub(r"(?m)^    ", "", re.match(r"(?: {4}.*\n|\n(?= {4}))+", rest).group())


def preparation():
    """The README's lines for each node, less the one that installs the packages."""
    text = README.read_text()
    start = text.index("    install -m 755 xcatha.py")
    return re.sub(r"(?m)^    ", "", text[start:text.index("\n\n", start) + 1])


def configuration_lines():
    """The README's lines that tell Pacemaker what to manage."""
    return readme_block("pcs property set stonith-enabled=true stonith-action=off")


def for_the_lab(lines):
    """The same lines with the lab's fence agent."""
    text, count = IPMI.subn("fence_lab ", lines)
    assert count == 2, lines
    return text


def build(lab):
    """The pair is set up and has what the README has each node of a cluster get."""
    for host in lab.hosts:
        watch_no_pid_file(host)
        Pair(lab, "postgresql").setup(host)
        host.succeed("sh", "-e", "-c", "cd /root\n" + preparation())
        host.succeed("install", "/dev/stdin", "/usr/sbin/fence_lab", input=FENCE_AGENT.read_text())
    # The hosts have no ssh: the share takes the place of the README's scp.
    lines = readme_block("cd /etc/corosync && corosync-keygen && "
                         "pcs cluster setup xcat --overwrite \\")
    here, there = "scp -p authkey corosync.conf host2:/etc/corosync/", "authkey corosync.conf"
    assert lines.count(here) == 1
    lab.host1.succeed("sh", "-e", "-c", lines.replace(here, f"mv {there} /HA/"))
    for host in lab.hosts:
        host.succeed("sh", "-e", "-c", f"cd /HA && cp -p {there} /etc/corosync/")


def pacemaker_lab():
    """A lab whose hosts are set up and ready to form a cluster."""
    return frozen("pacemaker", build, flavour="pacemaker")


# ---- The running cluster -----------------------------------------------------------------------

class Cluster:
    """The two hosts under Pacemaker, and the power switch; use it as a context manager."""

    def __init__(self, lab):
        self.lab, self.switch = lab, PowerSwitch(lab)
        self.active = self.standby = None

    def __enter__(self):
        self.switch.__enter__()
        for host in self.lab.hosts:
            host.succeed("systemctl", "enable", "--now", "corosync", "pacemaker")
        wait_for(lambda: self.online() == {"host1", "host2"}, LIMIT, "both nodes of the cluster")
        self.lab.host1.succeed("sh", "-e", "-s", input=for_the_lab(configuration_lines()))
        return self

    def __exit__(self, *_):
        self.switch.__exit__()

    def settle(self):
        """Both hosts are up and in the cluster, one of them is active."""
        for host in self.lab.hosts:
            self.switch.turn_on(host)
            host.heal()
        wait_for(lambda: self.online() == {"host1", "host2"}, LIMIT, "both nodes of the cluster")
        wait_for(self.is_settled, LIMIT, "a settled cluster")
        place = self.place()
        self.active, self.standby = sorted(self.lab.hosts, key=lambda host: host.name != place)
        self.assert_serves(self.active)
        self.switch.turned_off.clear()
        self.switch.asked_for.clear()

    def pcs(self, *words):
        """Run a command of pcs and wait until the cluster has done what follows from it."""
        self.lab.host1.succeed("pcs", *words)
        self.lab.host1.succeed("crm_resource", "--wait", "--timeout", str(LIMIT))

    def online(self):
        """The nodes that are in the cluster, as host2 has it."""
        nodes = view(self.lab.host2).findall("nodes/node")
        return {node.get("name") for node in nodes
                if (node.get("online"), node.get("pending")) == ("true", "false")}

    def is_settled(self):
        """True if everything is started, once."""
        return all(is_started for is_started, _ in roles(self.lab.host2).values())

    def place(self, seen_by=None):
        """The node on which the resource is started, None while it is on its way."""
        is_started, nodes = roles(seen_by or self.lab.host2).get("xcat", (False, []))
        return nodes[0] if is_started else None

    def wait_for_move(self):
        """Wait until the resource is started on the standby, which then serves alone."""
        name = self.standby.name
        wait_for(lambda: self.place(self.standby) == name, LIMIT, f"xcat on {name}")
        self.assert_serves(self.standby)

    def assert_serves(self, host):
        """The host, and it alone, has the VIP; its database and xcatd work on the share."""
        found = holders(self.lab)
        assert found == [host.name], f"the VIP is on {found}, the resource on {host.name}"
        assert judge.database_directories(host) == {"/HA/var/lib/pgsql/data"}
        assert "clustersite" in xcat(host, "lsdef", "-t", "site")
        assert self.lab.client.connects(VIP, 3001)

    def counter(self):
        """What the holder of the lease last wrote of its life."""
        return json.loads((self.lab.share / ".xcatha/lease").read_text())["counter"]

    def never_two(self):
        """A watcher of all that must not be on two hosts at once."""
        data, lease = self.lab.share / "var/lib/pgsql/data", self.lab.share / ".xcatha/lease"
        return Watcher(lambda: servers_on_two_hosts(data), lambda: two_holders(self.lab),
                       lambda: server_without_lock(data, lease))

    def was_fenced(self, host):
        """True if the power switch turned the host off since the cluster was settled."""
        return host.name in [name for name, _ in self.switch.turned_off]


def view(host):
    """What Pacemaker on a host says, as XML without content while it does not run."""
    done = host.run("crm_mon", "--one-shot", "--inactive", "--output-as=xml")
    return ElementTree.fromstring(done.stdout) if done.returncode == 0 else ElementTree.Element("-")


def roles(host):
    """{resource: (True if it is started, once, its nodes)} as Pacemaker on a host has it."""
    found = {}
    for one in view(host).findall("resources/resource"):
        nodes = [node.get("name") for node in one]
        state = one.get("role"), one.get("pending"), len(nodes)
        found[one.get("id")] = state == ("Started", None, 1), nodes
    return found


def holders(lab):
    """The hosts that have the VIP, one of which may lose its power during the look."""
    found = []
    for host in lab.hosts:
        with contextlib.suppress(RuntimeError):
            if VIP in [address for _, address, *_ in judge.addresses(host)]:
                found.append(host.name)
    return found


def two_holders(lab):
    """Both hosts if both have the VIP, seen twice; "" if not."""
    both = len(holders(lab)) == 2 and len(holders(lab)) == 2
    return f"{VIP} is on both hosts" if both else ""


def moments(host, since):
    """{what: when} of a failover, from the log of the host that took over."""
    phrases = {"lost": "Members left", "asked": "execution of start operation for xcat",
               "active": "Result of start operation for xcat"}
    lines = host.succeed("journalctl", "--quiet", "--unit=corosync", "--unit=pacemaker",
                         "--output=short-unix", f"--since=@{int(since)}").splitlines()
    found = {}
    for line in lines:
        moment = float(line.split()[0])
        for what, phrase in phrases.items():
            if phrase in line and moment > since:
                found.setdefault(what, moment)
    return found
