"""The lab's network: a switch and the cables to it, all in network namespaces of their own."""
import ipaddress
import pathlib
import shutil

from tests.lab.image import command


class Network:
    """A bridge in a namespace, and per machine a namespace with eth0, whose cable can be cut."""

    def __init__(self, name):
        self.name = name
        self.switch = f"{name}-switch"
        command("ip", "netns", "add", self.switch)
        self.on_switch("link", "add", "bridge", "type", "bridge")
        self.on_switch("link", "set", "bridge", "up")

    def on_switch(self, *argv):
        """Run an ip command in the namespace of the switch."""
        return command("ip", "-n", self.switch, *argv)

    def namespace(self, machine):
        """The name of the machine's namespace."""
        return f"{self.name}-{machine}"

    def plug(self, machine, address):
        """A new namespace for the machine, its eth0 (not configured) on the switch."""
        self.unplug(machine)
        command("ip", "netns", "add", self.namespace(machine))
        self.cable(machine, machine, "eth0", mac(address))

    def cable(self, port, machine, interface, hardware_address):
        """A cable from a port of the switch to a new interface of the machine."""
        self.on_switch("link", "add", port, "type", "veth", "peer", "name", interface,
                       "netns", self.namespace(machine), "address", hardware_address)
        self.on_switch("link", "set", port, "master", "bridge", "up")

    def unplug(self, machine):
        """Take the machine's namespace away, if it has one."""
        if (pathlib.Path("/run/netns") / self.namespace(machine)).exists():
            self.remove_port(machine)
            command("ip", "netns", "del", self.namespace(machine))

    def remove_port(self, port):
        """Remove a port of the switch, and with it the interface at the other end."""
        self.on_switch("link", "del", port)

    def set_cable(self, machine, state):
        """Set the switch's side of the machine's cable "up" or "down"."""
        self.on_switch("link", "set", machine, state)


def mac(address):
    """The hardware address that goes with an IPv4 address: the same at every boot."""
    return ":".join(["52", "54", *(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)])


def configuration(namespace):
    """The directory whose files `ip netns exec` shows in place of those in /etc."""
    return pathlib.Path("/etc/netns") / namespace


def remove_namespaces(name):
    """Delete every namespace of the network `name` and its configuration."""
    for namespace in pathlib.Path("/run/netns").glob(f"{name}-*"):
        command("ip", "netns", "del", namespace.name)
    for directory in pathlib.Path("/etc/netns").glob(f"{name}-*"):
        shutil.rmtree(directory)
