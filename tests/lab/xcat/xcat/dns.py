"""makedns: BIND's configuration and zones, made from /etc/hosts."""
import ipaddress
import os
import pathlib
import shutil
import socket
import time

from xcat import hosts, system
from xcat.objects import expand
from xcat.reply import CommandError

BIND = pathlib.Path("/etc/bind")
USAGE = """\
makedns - sets up domain name services (DNS).
Usage:
\tmakedns [-h|--help ]
\tmakedns [-v|--version]
\tmakedns [-V|--verbose] [-n|--new] [noderange]
\tmakedns [-V|--verbose] [-e|--external] [-n|--new] [noderange]
\tmakedns [-V|--verbose] [-d|--delete noderange]
\tmakedns [-V|--verbose] [-e|--external] [-d|--delete noderange]"""


def makedns(db, reply, args):
    """Write the zones anew and restart named. With a noderange too, its nodes must be known."""
    if "-h" in args:
        for line in ([] if reply.daemon else [""]) + USAGE.splitlines():
            reply.say(line)
        return
    words = [word for word in args if not word.startswith("-")]
    wanted = expand(db, words[0]) if words else None
    site = db.site()
    if not site.get("domain"):
        raise CommandError("domain not defined in site table")
    networks = [network_of(row) for row in db.rows("networks")]
    records = read_hosts(reply, site["domain"], domains(db, site), networks, wanted)
    progress(reply, "getting reverse zones", ", this may take several minutes for a large cluster")
    if site.get("externaldns"):
        return
    with_server(records, site)
    write_zones(forward_zones(db, site, records) | reverse_zones(networks, records), site)
    progress(reply, "updating zones")
    restart(reply)
    progress(reply, "updating DNS records", ", this may take several minutes for a large cluster")
    reply.say("DNS setup is completed")


def progress(reply, what, remark=""):
    reply.say(f"{what[0].upper()}{what[1:]}{remark}.")
    reply.say(f"Completed {what}.")


def network_of(row):
    return ipaddress.ip_network(f"{row['net']}/{row['mask']}")


def domains(db, site):
    """Every domain that is served here."""
    return {site["domain"], *(row["domain"] for row in db.rows("networks") if row["domain"])}


# ---- What is served ----

def read_hosts(reply, default, served, networks, wanted):
    """(address, its long names) of each line of /etc/hosts that belongs to domains and networks.

    A name on two lines gets two addresses, and the first name of a line is its canonical one.
    """
    records = []
    for address, names in hosts.entries():
        if wanted is None or names[0].split(".")[0] in wanted:
            reply.say(f"Handling {names[0].split('.')[0]} in /etc/hosts.")
        if ":" not in address and any(ipaddress.ip_address(address) in net for net in networks):
            full = [name if "." in name else f"{name}.{default}" for name in names]
            records.append((address, [name for name in full if name.split(".", 1)[1] in served]))
    return records


def with_server(records, site):
    """The name server is a record too: BIND loads no zone whose server has no address."""
    address = (site.get("nameservers") or site.get("master")).split(",")[0]
    if not any(server(site) in names for _, names in records):
        records.append((system.address_of(address) or address, [server(site)]))


def server(site):
    return f"{socket.gethostname().split('.')[0]}.{site['domain']}"


def forward_zones(db, site, records):
    """Zone name -> its lines, for the names."""
    zones = {}
    for domain in domains(db, site):
        members = dict.fromkeys((name, address) for address, names in records for name in names
                                if name.split(".", 1)[1] == domain)
        zones[domain] = [f"{name}. IN A {address}" for name, address in members]
    return zones


def reverse_zones(networks, records):
    """Zone name -> its lines, for the addresses."""
    zones = {}
    for network in networks:
        for part in whole_octets(network):
            first = dict.fromkeys(
                (ipaddress.ip_address(address).reverse_pointer, names[0])
                for address, names in records if names and ipaddress.ip_address(address) in part)
            zone = part.network_address.reverse_pointer.split(".", 4 - part.prefixlen // 8)[-1]
            zones[zone] = [f"{pointer}. IN PTR {name}." for pointer, name in first]
    return zones


def whole_octets(network):
    """The network in parts whose prefix is 8, 16 or 24: a reverse zone is cut at an octet."""
    if network.prefixlen > 24:
        return [network.supernet(new_prefix=24)]
    return list(network.subnets(new_prefix=max(8, -(-network.prefixlen // 8) * 8)))


# ---- The files and the server ----

def write_zones(zones, site):
    """named.conf and a db file for each zone; those of an earlier run, or of the package, go."""
    for old in BIND.glob("db.*"):
        old.unlink()
    head = (f"$TTL 86400\n@ IN SOA {server(site)}. root.{server(site)}."
            f" {int(time.time())} 10800 3600 604800 86400\n@ IN NS {server(site)}.\n")
    forwarders = "".join(f" {address};" for address in site.get("forwarders", "").split(",")
                         if address)
    config = ['options {\n  directory "/var/cache/bind";\n  dnssec-validation no;\n'
              f"  allow-recursion {{ any; }};\n  forwarders {{{forwarders} }};\n}};\n"]
    for zone, lines in zones.items():
        name = zone.removesuffix(".in-addr.arpa")
        file = BIND / ("db." + (name if name == zone else ".".join(reversed(name.split(".")))))
        file.write_text(head + "".join(f"{line}\n" for line in lines))
        config.append(f'zone "{zone}" in {{\n  type master;\n  file "{file}";\n}};\n')
    (BIND / "named.conf").unlink(missing_ok=True)
    (BIND / "named.conf").write_text("".join(config))
    shutil.chown(BIND / "named.conf", "root", "bind")
    os.chmod(BIND / "named.conf", 0o660)


def restart(reply):
    reply.say(f"Restarting {'bind9' if system.is_debian() else 'named'}")
    unit = system.unit("named", "bind9")
    if not system.quiet("systemctl", "restart", unit):
        raise CommandError("failed to start named.")
    system.quiet("systemctl", "enable", unit)
    reply.say("Restarting named complete")
