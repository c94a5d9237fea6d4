"""makedhcp: the ISC DHCP server's configuration, and through OMAPI its host entries."""
import base64
import contextlib
import fcntl
import os
import pathlib
import re
import subprocess

from xcat import system
from xcat.dns import network_of
from xcat.objects import expand
from xcat.reply import CommandError, Options

CONFIGURATION = pathlib.Path("/etc/dhcp/dhcpd.conf")
BACKUP = CONFIGURATION.with_name("dhcpd.conf.xcatbak")
DEFAULTS = pathlib.Path("/etc/default/isc-dhcp-server")
LOCK = pathlib.Path("/tmp/xcat/dhcplock")
KEY = "xcat_key"


def makedhcp(db, reply, args):
    """-n: new configuration; -a or a noderange: host entries; -d: delete them; -q: show them.

    -l: on this host alone, no service node is asked.
    """
    parser = Options("makedhcp")
    for flag in "nadql":
        parser.add_argument(f"-{flag}", action="store_true")
    parser.add_argument("noderange", nargs="?")
    options = parser.parse_args(args)
    if options.l and (options.n or options.q):
        raise CommandError("The -l or --localonly option is not valid with -n or -q")
    with locked():
        if db.site().get("externaldhcpservers"):
            return
        if options.n:
            new_configuration(db, reply)
        elif options.q:
            for line in query(db, nodes(db, options.noderange)):
                reply.say(line)
        elif options.a or options.noderange:
            change_hosts(db, nodes(db, options.noderange), delete=options.d)


@contextlib.contextmanager
def locked():
    """One makedhcp at a time."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- Configuration ----

def new_configuration(db, reply):
    """Write dhcpd.conf and restart the server; how the restart went is ignored."""
    if CONFIGURATION.exists():
        CONFIGURATION.rename(BACKUP)
        reply.say(f"Renamed existing dhcp configuration file to  {BACKUP}\n")
    site, key = db.site(), omapi_key(db)
    rows = [(row, system.facing(network_of(row))) for row in db.rows("networks")]
    local = [(row, *here) for row, here in rows if here]
    if not all(row["domain"] or site.get("domain") for row, *_ in local):
        if BACKUP.exists():
            BACKUP.rename(CONFIGURATION)
        raise CommandError("domain not defined in the site or networks table")
    for row, *_ in local:
        if not row["dynamicrange"]:
            reply.warn(f"[{os.uname().nodename}]: No dynamic range specified for {row['net']}."
                       " If hardware discovery is being used, a dynamic range is required.")
    CONFIGURATION.write_text(head(key) + "".join(subnet(site, *entry) for entry in local))
    if DEFAULTS.exists():
        listen_on(sorted({nic for _, nic, _ in local}))
    system.quiet("systemctl", "restart", service())


def service():
    return system.unit("dhcp3-server", "dhcpd", "isc-dhcp-server")


def omapi_key(db):
    """The secret that dhcpd and omshell share, kept in the passwd table."""
    for row in db.rows("passwd"):
        if row["key"] == "omapi":
            return row["password"]
    secret = base64.b64encode(os.urandom(16)).decode()
    db.put("passwd", {"key": "omapi"}, {"username": KEY, "password": secret})
    return secret


def head(key):
    return f"""#xCAT generated dhcp configuration
ddns-update-style none;
option client-architecture code 93 = unsigned integer 16;
key {KEY} {{
  algorithm hmac-md5;
  secret "{key}";
}};
omapi-port 7911;
omapi-key {KEY};
"""


def subnet(site, row, nic, address):
    """A network's part. What is not set is this host's own address there, whatever master says."""
    def servers(column):
        """The servers that the network, else the site, names for something."""
        value = row[column] or site.get(column) or str(address)
        return value.replace("<xcatmaster>", str(address)).replace(",", ", ")

    ranges = (row["dynamicrange"] or "").replace("-", " ")
    return f"""shared-network {nic} {{
  subnet {row['net']} netmask {row['mask']} {{
    authoritative;
    max-lease-time 43200;
    default-lease-time 43200;
    next-server {(row['tftpserver'] or '<xcatmaster>').replace('<xcatmaster>', str(address))};
    option log-servers {servers('logservers')};
    option ntp-servers {servers('ntpservers')};
    option domain-name "{row['domain'] or site['domain']}";
    option domain-name-servers {servers('nameservers')};
{f'    range dynamic-bootp {ranges};' if ranges else ''}
  }}
}}
"""


def listen_on(nics):
    """The init script takes the NICs from its defaults file."""
    text = re.sub(r"(?m)^INTERFACES.*\n?", "", DEFAULTS.read_text())
    DEFAULTS.write_text(f'{text}INTERFACESv4="{" ".join(nics)}"\nINTERFACESv6=""\n')


# ---- Host entries ----

def nodes(db, noderange):
    """(node, address, MAC) of the nodes that have both."""
    wanted = expand(db, noderange) if noderange else None
    macs = {row["node"]: (row["mac"] or "").split("|")[0] for row in db.rows("mac")}
    return [(row["node"], row["ip"], macs[row["node"]]) for row in db.rows("hosts")
            if row["ip"] and macs.get(row["node"]) and (wanted is None or row["node"] in wanted)]


def change_hosts(db, entries, delete):
    """Let the running server forget these hosts, and learn them anew."""
    if not system.runs("dhcpd"):
        raise CommandError("dhcp server is not running.  please start the dhcp server.")
    script = [line for entry in entries for line in remove_lines(entry[0])]
    if not delete:
        script += [line for entry in entries for line in create_lines(*entry)]
    omshell(db, script)


def remove_lines(node):
    return ["new host", f'set name = "{node}"', "open", "remove", "close"]


def create_lines(node, address, mac):
    return ["new host", f'set name = "{node}"', f"set hardware-address = {mac}",
            "set hardware-type = 1", f"set ip-address = {address}", "create", "close"]


def query(db, entries):
    """What the server knows of these hosts."""
    for node, *_ in entries:
        text = omshell(db, ["new host", f'set name = "{node}"', "open"])
        address = re.search(r"ip-address = ([0-9a-f:]{11})\b", text)
        mac = re.search(r"hardware-address = ([0-9a-f:]{17})\b", text)
        if address and mac:
            dotted = ".".join(str(int(byte, 16)) for byte in address[1].split(":"))
            yield f"{node}: ip-address = {dotted}, hardware-address = {mac[1]}"


def omshell(db, lines):
    """Carry out lines in the server; gives back the talk."""
    opening = ["server 127.0.0.1", "port 7911", f"key {KEY} {omapi_key(db)}", "connect"]
    return subprocess.run(["omshell"], input="\n".join([*opening, *lines, ""]), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
