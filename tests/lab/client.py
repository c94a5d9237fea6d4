"""The client: a third machine on the switch, from which tests judge what the hosts do."""
import shutil
import subprocess

from tests.lab import image
from tests.lab.host import Machine
from tests.lab.image import wait_for
from tests.lab.network import configuration, mac

UDHCPC_SCRIPT = """\
#!/bin/sh
if [ "$1" = bound ]; then env; fi
"""


class Client(Machine):
    """A namespace of the network; the commands are the machine's own."""

    name = "client"

    def __init__(self, lab, address):
        self.address, self.network = address, lab.network
        self.directory = lab.directory / "client"
        self.directory.mkdir()
        self.cgroup = image.cgroup_root() / lab.name / "client"
        self.cgroup.mkdir(parents=True)
        self.network.plug(self.name, address)
        self.forget_name_servers()
        self.succeed("ip", "link", "set", "lo", "up")
        self.succeed("ip", "address", "add", f"{address}/8", "broadcast", "+", "dev", "eth0")
        self.succeed("ip", "link", "set", "eth0", "up")
        self.serve_downloads(lab.host_layer)

    def entry(self):
        """The command that enters the client's network."""
        return ["ip", "netns", "exec", self.network.namespace(self.name)]

    def forget_name_servers(self):
        """The machine's name servers cannot be reached from here: waiting for them is no use."""
        etc = configuration(self.network.namespace(self.name))
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text("# none\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")

    def serve_downloads(self, certificates):
        """Be the https server that xCAT's installer is downloaded from."""
        documents = self.directory / "downloads"
        go_xcat = documents / "xcat2/xcat-core/master/xCAT-server/share/xcat/tools/go-xcat"
        go_xcat.parent.mkdir(parents=True)
        if (image.STAND_IN / "go-xcat").exists():
            shutil.copy(image.STAND_IN / "go-xcat", go_xcat)
        self.popen("openssl", "s_server", "-quiet", "-WWW", "-accept", "443",
                   "-cert", certificates / "server.pem", "-key", certificates / "server.key",
                   cwd=documents, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.connects(self.address, 443), 10, "download server")

    def connects(self, address, port, timeout=2):
        """True if a TCP connection can be made."""
        return self.run("timeout", timeout, "bash", "-c",
                        f": </dev/tcp/{address}/{port}").returncode == 0

    def pings(self, address):
        """True if the address answers a ping."""
        return self.run("ping", "-n", "-c", "1", "-W", "1", address).returncode == 0

    def macs_answering(self, address):
        """The hardware addresses that answer ARP requests for an address: two = a conflict."""
        found = self.run("arping", "-b", "-c", "2", "-w", "1", "-I", "eth0", address).stdout
        return {line.split("[")[1].split("]")[0].lower()
                for line in found.splitlines() if "reply from" in line}

    def arp_entry(self, address):
        """The hardware address that the client's own ARP table has for an address, or None."""
        words = self.succeed("ip", "neighbour", "show", "to", address, "dev", "eth0").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None

    def holder(self, address):
        """The name of the host that answers ARP requests for an address, or None."""
        hosts = {mac(host.address): host.name for host in self.hosts}
        names = [hosts[found] for found in self.macs_answering(address)]
        assert len(names) < 2, f"{address} is on {names}"
        return names[0] if names else None

    def dig(self, name, server, record="A"):
        """The answers that a name server gives, as a list; None if no server answers."""
        result = self.run("dig", "+short", "+time=1", "+tries=2", f"@{server}", name, record)
        return None if result.returncode else result.stdout.split()

    def dhcp(self, hardware_address, timeout=15):
        """What a machine with that hardware address is told by DHCP (udhcpc's names), or {}."""
        script = self.directory / "udhcpc"
        script.write_text(UDHCPC_SCRIPT)
        script.chmod(0o755)
        self.network.cable("dhcp", self.name, "dhcp", hardware_address)
        try:
            self.succeed("ip", "link", "set", "dhcp", "up")
            lease = self.run("udhcpc", "-i", "dhcp", "-n", "-q", "-f", "-t", "5", "-T", "1",
                             "-s", script, timeout=timeout).stdout
        finally:
            self.network.remove_port("dhcp")
        return dict(line.split("=", 1) for line in lease.splitlines() if "=" in line)
