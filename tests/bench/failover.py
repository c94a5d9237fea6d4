"""Failovers of the lab's pair, as planned and after a power loss: their cost, what clients miss.
"""
import datetime
import json
import pathlib
import statistics
import sys
import time

from tests.bench import timeline
from tests.lab.host import Machine
from tests.lab.image import wait_for
from tests.lab.network import mac
from tests.lab.pair import ACTIVATE, DEACTIVATE, VIP, Pair, address_of, cluster_lab, mac_of
from tests.lab.watch import REPOSITORY, Watch

MEASURED = pathlib.Path(__file__).with_name("measured.py").read_text()
SERVICES = ("vip", "xcatd", "dns", "dhcp")
ENGINE = "postgresql"
ONLOOKER = "10.5.106.10"
LOG = "/root/bench.log"
STARTS = 10


class Onlooker(Machine):
    """A second client: it has spoken to the VIP once and is silent since."""

    name = "onlooker"

    def __init__(self, lab):
        self.cgroup = lab.client.cgroup
        self.namespace = lab.network.namespace(self.name)
        lab.network.plug(self.name, ONLOOKER)
        self.succeed("ip", "address", "add", f"{ONLOOKER}/8", "dev", "eth0")
        self.succeed("ip", "link", "set", "eth0", "up")

    def entry(self):
        """The command that enters its network."""
        return ["ip", "netns", "exec", self.namespace]


class Sight(Watch):
    """What the client misses, DHCP included."""

    def __init__(self, client, address):
        super().__init__(client, address)
        self.logs["dhcp"] = client.directory / "dhcp.log"
        asker = (sys.executable, "-m", "tests.bench.dhcp", "eth0", mac_of(1), address_of(1))
        with open(self.logs["dhcp"], "w") as log:
            self.watchers.append(client.popen(*asker, cwd=REPOSITORY, stdout=log, stderr=log))

    def wait_for_all(self, timeout=60):
        """Wait until everything answers anew."""
        now = time.time()
        for service in SERVICES:
            wait_for(lambda service=service: self.answers(service)[-1:] > [now], timeout,
                     f"answer of {service}")

    def blackout(self, service, since):
        """The longest time without an answer: {"began", "ended"} by the answers around it."""
        times = [since, *(answer for answer in self.answers(service) if answer > since)]
        return max(({"began": before, "ended": after} for before, after in zip(times, times[1:])),
                   key=lambda gap: gap["ended"] - gap["began"])


class Ears:
    """From now on: when a host gets the VIP, and when each client knows where it is."""

    def __init__(self, lab, onlooker, host):
        self.host, self.directory, self.listeners = host, lab.client.directory, []
        self.hear("added", host, "ip", "-tshort", "monitor", "address")
        self.hear("asking client", lab.client, "ip", "-tshort", "monitor", "neigh")
        self.hear("silent client", onlooker, "ip", "-tshort", "monitor", "neigh")
        self.hear("client of replies only", onlooker, sys.executable, "-m",
                  "tests.bench.announcements", "eth0", VIP)

    def hear(self, name, machine, *command):
        """Have a command on a machine write down what it hears."""
        with open(self.directory / name, "w") as log:
            self.listeners.append(machine.popen(*command, cwd=REPOSITORY, stdout=log, stderr=log))

    def heard(self):
        """{what: the time at which the VIP was first seen there with the host's MAC}."""
        theirs = mac(self.host.address)
        words = {"added": VIP, "asking client": f"{VIP} dev eth0 lladdr {theirs}",
                 "silent client": f"{VIP} dev eth0 lladdr {theirs}",
                 "client of replies only": f"reply {theirs}"}
        for name, text in words.items():
            wait_for(lambda name=name, text=text: text in (self.directory / name).read_text(), 30,
                     f"{name}: {text}")
        for listener in self.listeners:
            listener.kill_group()
        return {name: first_time((self.directory / name).read_text(), text)
                for name, text in words.items()}


def first_time(log, text):
    """The time of the first line with this text: [seconds] or, by ip(8), [date and local time]."""
    line = next(line for line in log.splitlines() if text in line and line.startswith("["))
    stamp = line[1:].split("]")[0]
    return datetime.datetime.fromisoformat(stamp).timestamp() if "T" in stamp else float(stamp)


def run(host, line):
    """Run the script on a host: what it cost."""
    words = [*line.format(path="/HA", engine=ENGINE).split(), "--log", LOG]
    return json.loads(host.succeed("python", "-c", MEASURED, *words).splitlines()[-1])


def told(host, cost):
    """A run's cost, and what the host's log says of it."""
    log = host.succeed("cat", LOG)
    assert cost["code"] == 0, log
    return {**cost, "host": host.name, "steps": timeline.steps(log),
            "commands": timeline.commands(log), "services": timeline.services(log),
            "probes": timeline.probes(log)}


def let_go(host, kind):
    """The active host goes, as planned or by a power loss; what the script cost there, if run."""
    if kind == "planned":
        return [(host, run(host, DEACTIVATE))]
    host.power_off()
    return []


def fail_over(lab, onlooker, sight, kind, old, new):
    """One transition: the runs, what the client missed and when the neighbours knew."""
    sight.wait_for_all()
    assert onlooker.run("ping", "-n", "-c", "1", "-W", "1", VIP).returncode == 0
    for host in lab.hosts:
        host.succeed("rm", "-f", LOG)
    ears, began = Ears(lab, onlooker, new), time.time()
    costs = [*let_go(old, kind), (new, run(new, ACTIVATE))]
    sight.wait_for_all()
    runs = [told(host, cost) for host, cost in costs]
    return {"kind": kind, "began": began, "runs": runs, "heard": ears.heard(),
            "blackouts": {service: sight.blackout(service, began) for service in SERVICES}}


def seconds_of(host, *words):
    """The median time that a command takes on a host."""
    costs = [json.loads(host.succeed("python", "-c", MEASURED, *words).splitlines()[-1])
             for _ in range(STARTS)]
    return statistics.median(cost["ended"] - cost["began"] for cost in costs)


def start_up(host):
    """The script's start, beside that of Python itself."""
    return {"help": seconds_of(host, "python", "xcatha.py", "--help"),
            "python": seconds_of(host, "python", "-c", "pass")}


def measure(rounds):
    """So many planned failovers, and as many after a power loss."""
    with cluster_lab(ENGINE) as lab:
        pair, found = Pair(lab, ENGINE), []
        old, new = lab.hosts
        pair.activate(old)
        onlooker, sight = Onlooker(lab), Sight(lab.client, VIP)
        for kind in ["planned"] * rounds + ["unplanned"] * rounds:
            found.append(fail_over(lab, onlooker, sight, kind, old, new))
            if kind == "unplanned":
                old.boot()
                pair.deactivate(old)
            old, new = new, old
        start = start_up(old)
        sight.stop()
    return {"transitions": found, "start": start}
