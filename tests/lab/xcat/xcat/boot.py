"""nodeset and mknb: the files that nodes boot from, each with the address of a server in it."""
import pathlib

from xcat import system
from xcat.dns import network_of
from xcat.objects import definitions, expand
from xcat.reply import CommandError

TFTP = pathlib.Path("/tftpboot")


def nodeset(db, reply, args):
    """Write the GRUB file of each node, for a state such as osimage or shell."""
    if len(args) < 2:
        raise CommandError("Usage: nodeset <noderange> <state>")
    for node in expand(db, args[0]):
        attributes = definitions(db, "node")[node]
        server = attributes.get("xcatmaster") or facing(attributes["ip"])
        state = args[1].replace("osimage", "netboot debian12-x86_64-compute")
        write(TFTP / "boot/grub2" / node, f"""#{state}
set root=tftp,{attributes.get("tftpserver") or server}
linux xcat/kernel imgurl=http://{server}/install/image XCAT={server}:3001
""")
        reply.say(f"{node}: {state}")


def facing(address):
    """The address of this host that is first on the NIC towards another one."""
    for _, mine in system.interfaces():
        if system.ipaddress.ip_address(address) in mine.network:
            return mine.ip
    raise CommandError(f"no facing address for {address}")


def mknb(db, reply, args):
    """Write the discovery file of each network; the site's master counts where it lies in it."""
    if not args:
        raise CommandError("Need to specify architecture (x86, x86_64 or ppc64)")
    for row in db.rows("networks"):
        network, master = network_of(row), system.ipaddress.ip_address(db.site()["master"])
        address = master if master in network else system.facing(network)[1]
        write(TFTP / "xcat/xnba/nets" / str(network).replace("/", "_"),
              f"#!gpxe\nimgfetch -n kernel http://{address}/tftpboot/xcat/"
              f"genesis.kernel.{args[0]} xcatd={address}:3001\n")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
