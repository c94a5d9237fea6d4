"""The main job on two lab hosts: set up, activate, fail over as planned and after a power loss."""
import sys
import time

from tests.lab.lab import Lab
from tests.lab.watch import NAME, SERVICES, Watch

VIP = "10.5.106.50"
SETUP = f"-s -p /HA -v {VIP} -i eth0:0 -n hamn -m 255.0.0.0 -t postgresql"
ACTIVATE = f"-a -p /HA -v {VIP} -i eth0:0 -m 255.0.0.0 -t postgresql"
DEACTIVATE = f"-d -v {VIP} -i eth0:0"


class Demo:
    """The steps, each timed and with what the client missed meanwhile."""

    def __init__(self, lab):
        self.lab, self.watch, self.rows = lab, None, []

    def xcatha(self, host, arguments):
        """Run the script on a host, showing the command line and how long it took."""
        print(f"  {host.name}# python xcatha.py {arguments:<82}", end="", flush=True)
        began = time.monotonic()
        host.succeed("python", "/root/xcatha.py", *arguments.split())
        print(f"{time.monotonic() - began:6.1f} s", flush=True)

    def step(self, title, *commands, active=None):
        """Do what the commands say, in order; the client must see the VIP on host `active`."""
        print(title, flush=True)
        began, watch = time.time(), self.watch
        for command, *arguments in commands:
            command(*arguments)
        took, missed = time.time() - began, {}
        if watch:
            watch.wait_for_all()
            missed = watch.longest_gaps(began)
        seen = self.lab.client.holder(VIP)
        assert seen == active, f"the client sees the VIP on {seen}, not on {active}"
        self.rows.append((title, took, seen or "nowhere", missed))

    def define_cluster(self, host):
        """A domain and a compute node, as an administrator would after the first activation."""
        host.xcat("chdef", "-t", "site", f"domain={NAME.partition('.')[2]}")
        host.xcat("chdef", "-t", "node", "cn1", "groups=compute", "ip=10.5.106.101",
                  "mac=52:54:00:00:00:01", "netboot=xnba")
        host.xcat("makehosts")
        host.xcat("makedns", "-n")
        self.watch = Watch(self.lab.client, VIP)
        self.watch.wait_for_all()

    def power_off(self, host):
        """Pull the plug, and say so."""
        print(f"  {host.name} loses power", flush=True)
        host.power_off()

    def table(self):
        """What took how long."""
        heads = ("VIP", "xcatd", "DNS")
        lines = [f"{'':<44}{'':>18}   the client missed",
                 f"{'step':<44}{'time':>8}{'VIP is on':>12}" + "".join(f"{h:>9}" for h in heads)]
        for title, took, seen, missed in self.rows:
            gaps = (f"{missed[service]:7.2f} s" if missed else f"{'-':>9}" for service in SERVICES)
            lines.append(f"{title:<44}{took:6.1f} s{seen:>12}{''.join(gaps)}")
        return "\n".join(lines)


def play(lab):
    """The whole story; the table."""
    demo, one, two = Demo(lab), lab.host1, lab.host2
    demo.step("set up host1 (installs xCAT)", (demo.xcatha, one, SETUP))
    demo.step("set up host2 (installs xCAT)", (demo.xcatha, two, SETUP))
    demo.step("activate host1", (demo.xcatha, one, ACTIVATE), active="host1")
    demo.step("define a domain and a node, watch from here", (demo.define_cluster, one),
              active="host1")
    demo.step("planned failover to host2", (demo.xcatha, one, DEACTIVATE),
              (demo.xcatha, two, ACTIVATE), active="host2")
    demo.step("planned failover back to host1", (demo.xcatha, two, DEACTIVATE),
              (demo.xcatha, one, ACTIVATE), active="host1")
    demo.step("unplanned failover to host2", (demo.power_off, one), (demo.xcatha, two, ACTIVATE),
              active="host2")
    return demo.table()


def main():
    """Show the main job; exit 1 with the evidence if a step fails."""
    began = time.monotonic()
    print("Starting two hosts and a client (the first time, their image is built) ...", flush=True)
    try:
        with Lab() as lab:
            print(f"Ready after {time.monotonic() - began:.0f} s.", flush=True)
            table = play(lab)
    except (AssertionError, TimeoutError) as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1
    print(f"\n{table}\n\nAll steps succeeded, in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
