"""Three networks in a namespace: the cluster's, the storage's and the one that tests come over."""
from tests.lab import network

NETWORKS = ("cluster", "storage", "control")
CONTROL_ADDRESS = "192.168.78.254"


class Network(network.Network):
    """The lab's switch for the cluster, where the client is too, and one each for the others."""

    def __init__(self, name):
        super().__init__(name)
        for bridge in NETWORKS[1:]:
            self.on_switch("link", "add", bridge, "type", "bridge")
            self.on_switch("link", "set", bridge, "up")
        self.on_switch("address", "add", f"{CONTROL_ADDRESS}/24", "dev", "control")
        self.on_switch("link", "set", "lo", "up")

    def tap(self, machine, net):
        """The name of a new port of a switch, for a virtual machine to be plugged into."""
        port = f"{machine}-{net}"
        self.on_switch("tuntap", "add", port, "mode", "tap")
        self.on_switch("link", "set", port, "master", "bridge" if net == "cluster" else net, "up")
        return port

    def inside(self, *argv):
        """The command that runs `argv` where the switches are."""
        return ["ip", "netns", "exec", self.switch, *map(str, argv)]
