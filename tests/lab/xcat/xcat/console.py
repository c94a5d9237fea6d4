"""makeconservercf and makegocons: the consoles of the nodes that have nodehm.cons set."""
import pathlib

from xcat import system
from xcat.dns import network_of
from xcat.reply import CommandError

CONSOLE = "/opt/xcat/share/xcat/cons/echo"
NODES = pathlib.Path("/var/lib/goconserver/nodes")


def consoles(db):
    return [row["node"] for row in db.rows("nodehm") if row["cons"]]


def configuration():
    """The file that the installed server reads: Debian has a directory for it."""
    place = pathlib.Path("/etc/conserver")
    return (place if place.is_dir() else place.parent) / "conserver.cf"


def makeconservercf(db, reply, args):
    """Write conserver.cf; with consoles in it, restart the server and enable it at boot."""
    if system.runs("goconserver"):
        raise CommandError("goconserver is started, please stop it at first.")
    reply.warn("makeconservercf is deprecrated, use makegocons instead.")
    site = db.site()
    trusted = [site["master"], *(str(address.ip) for _, address in system.interfaces()),
               *(str(network_of(row)) for row in db.rows("networks")), "127.0.0.1"]
    configuration().write_text(head(trusted) + "".join(
        console(node, site["master"]) for node in consoles(db)))
    unit = system.unit("conserver", "conserver-server")
    if consoles(db) and unit:
        system.quiet("systemctl", "restart", unit)
        system.quiet("systemctl", "enable", unit)


def head(trusted):
    return f"""# made by makeconservercf
config * {{
  sslrequired no;
}}
default full {{
  rw *;
}}
default * {{
  logfile /var/log/conserver/&.log;
  timestamp "";
  include full;
}}
access * {{
  trusted {', '.join(dict.fromkeys(trusted))};
}}
"""


def console(node, master):
    return f"""console {node} {{
  master {master};
  type exec;
  exec {CONSOLE} {node};
}}
"""


def makegocons(db, reply, args):
    """Tell goconserver the nodes with consoles; it is restarted and enabled at boot."""
    if not consoles(db):
        raise CommandError("Could not get any console request entry.")
    if system.runs("conserver"):
        raise CommandError("conserver is started, please stop it at first.")
    if not system.unit("goconserver"):
        raise CommandError("goconserver is not installed.")
    NODES.write_text("".join(f"{node}\n" for node in consoles(db)))
    system.quiet("systemctl", "restart", "goconserver")
    system.quiet("systemctl", "enable", "goconserver")
