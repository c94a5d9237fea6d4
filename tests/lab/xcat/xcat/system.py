"""What the commands ask of the host: units, addresses, names."""
import ipaddress
import json
import pathlib
import socket
import subprocess


def quiet(*argv, **options):
    """True if the command succeeds; nobody sees what it prints."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, **options).returncode == 0


def unit(*names):
    """The first of these units that is installed, or None."""
    return next((name for name in names if quiet("systemctl", "cat", name)), None)


def runs(program):
    """True if a process of this name lives; a unit's word is not enough for SysV scripts."""
    return quiet("pgrep", "--runstates", "R,S,D", "-x", program)


def is_debian():
    """The real tools tell Debian and EL apart by this file."""
    return pathlib.Path("/etc/debian_version").exists()


def interfaces():
    """(NIC, address with its prefix) of each IPv4 address here but loopback's, primaries first."""
    text = subprocess.run(["ip", "-json", "-4", "address", "show"], stdout=subprocess.PIPE,
                          check=True).stdout
    found = [(nic["ifname"], ipaddress.ip_interface(f"{info['local']}/{info['prefixlen']}"),
              info.get("secondary", False))
             for nic in json.loads(text) for info in nic["addr_info"]]
    return [(nic, address) for nic, address, _ in sorted(found, key=lambda item: item[2])
            if not address.is_loopback]


def facing(network):
    """(NIC, address) with which this host stands in a network, or None."""
    return next(((nic, address.ip) for nic, address in interfaces() if address.ip in network), None)


def address_of(name):
    """The IPv4 address of a name; loopback (as Debian's 127.0.1.1) counts for nothing."""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(name))
    except OSError:
        return None
    return None if address.is_loopback else str(address)
