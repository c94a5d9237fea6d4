"""How the tests judge a host: by other tools than the script's, and never by its word."""
import json
import pathlib

from tests.lab import image
from tests.lab.pair import VIP, xcat

PICTURE = pathlib.Path(__file__).with_name("picture.py").read_text()
# Those of the lab's services that belong to the active node alone; apache2 may run on both.
MANAGED = ("postgresql", "xcatd", "named", "isc-dhcp-server", "conserver-server")
PROGRAMS = ("postgres", "postmaster", "xcatd", "in.tftpd", "named", "dhcpd", "conserver")
LINKS = ("/install", "/etc/xcat", "/root/.xcat", "/tftpboot")
PLACES = ("/etc", "/root", "/install", "/tftpboot", "/opt/xcat", "/usr/lib/systemd", "/var/lib",
          "/run/systemd/system", "/run/xcatha")


# ---- Network ---------------------------------------------------------------------------------

def in_namespace(host, *query):
    """What `ip` says of a host's network, asked from outside the host."""
    namespace = host.network.namespace(host.name)
    return json.loads(image.command("ip", "-n", namespace, "-4", "-j", *query))


def addresses(host):
    """(label, address, prefix length, broadcast) of each IPv4 address but those of lo."""
    return [(entry["label"], entry["local"], entry["prefixlen"], entry.get("broadcast"))
            for nic in in_namespace(host, "address", "show") if nic["ifname"] != "lo"
            for entry in nic["addr_info"]]


def routes(host):
    """Every IPv4 route."""
    return in_namespace(host, "route", "show")


def holders(lab):
    """The hosts that have the VIP."""
    return [host.name for host in lab.hosts
            if host.pid and VIP in [address for _, address, *_ in addresses(host)]]


def host_name(host):
    """The running host name."""
    return host.succeed("uname", "-n").strip()


def name_servers(host):
    """The name servers that a host asks, in order."""
    lines = [line.split() for line in host.succeed("cat", "/etc/resolv.conf").splitlines()]
    return [words[1] for words in lines if words[:1] == ["nameserver"]]


# ---- Services --------------------------------------------------------------------------------

def unit(host, name):
    """(state, state at boot) of a unit."""
    return (host.run("systemctl", "is-active", name).stdout.strip(),
            host.run("systemctl", "is-enabled", name).stdout.strip())


def units(host):
    """unit() of each managed unit."""
    return {name: unit(host, name) for name in MANAGED}


def programs(host):
    """Which of the programs of the managed services run."""
    running = host.succeed("ps", "-e", "-o", "comm=").splitlines()
    return [name for name in PROGRAMS if name in running]


def invocations(host):
    """The run of each managed unit that is on: another one if it was restarted since."""
    return {name: host.succeed("systemctl", "show", "-P", "InvocationID", name)
            for name in (*MANAGED, "xcatha-lease")}


def database_directories(host):
    """The working directory of every database server process."""
    pids = host.run("pgrep", "-x", "postgres|postmaster").stdout.split()
    return {host.succeed("readlink", f"/proc/{pid}/cwd").strip() for pid in pids}


# ---- Files and definitions -------------------------------------------------------------------

def links_into_share(host):
    """Every link on the host's own disk that points below its share."""
    return host.succeed("find", "/", "-xdev", "-type", "l", "-lname",
                        f"{host.share_at}/*").split()


def files(host, *tops):
    """The picture of directory trees, as the host sees them."""
    there = [top for top in tops if host.run("test", "-d", f"{top}/.").returncode == 0]
    return json.loads(host.succeed("python", "-c", PICTURE, *there))


def definitions(host):
    """Every row of every xCAT table."""
    return {table: sorted(xcat(host, "tabdump", table).splitlines())
            for table in xcat(host, "tabdump").split()}


def picture(host):
    """All that a second run of a command must leave as it is, except the lease's counter."""
    return {"name": host_name(host), "addresses": addresses(host), "routes": routes(host),
            "units": units(host), "invocations": invocations(host), "programs": programs(host),
            "databases": sorted(database_directories(host)),
            **files(host, *PLACES, host.share_at)}


def differences(before, after):
    """{name: (before, after)} of what is not the same in two pictures."""
    return {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()
            if before.get(name) != after.get(name)}
