"""makeconservercf and makegocons: the consoles of the nodes that have nodehm.cons set."""
import pathlib
import re

from xcat import system
from xcat.reply import CommandError

CONSOLE = "/opt/xcat/share/xcat/cons/echo"
CONFIGURATION = pathlib.Path("/etc/conserver.cf")
NO_SSL = "config * {\n  sslrequired no;\n}\n"
NODES = pathlib.Path("/var/lib/goconserver/nodes")


def consoles(db):
    return [row["node"] for row in db.rows("nodehm") if row["cons"]]


def makeconservercf(db, reply, args):
    """Write conserver.cf; with consoles in it, restart the server and enable it at boot.

    What is the administrator's stays, but for blocks that begin as xCAT's own two.
    """
    if system.runs("goconserver"):
        raise CommandError("goconserver is started, please stop it at first.")
    reply.warn("makeconservercf is deprecrated, use makegocons instead.")
    kept = CONFIGURATION.read_text() if CONFIGURATION.exists() else NO_SSL
    kept = re.sub(r"(?ms)^(access|default) \* \{.*?^\}\n", "", kept)
    kept = re.sub(r"(?ms)^#xCAT BEGIN (\S+) CONS$.*?^#xCAT END \1 CONS\n", "", kept)
    CONFIGURATION.write_text(head(db.site()["master"]) + kept + "".join(
        map(console, consoles(db))))
    unit = system.unit("conserver", "conserver-server")
    if consoles(db) and unit:
        system.quiet("systemctl", "restart", unit)
        system.quiet("systemctl", "enable", unit)


def head(master):
    """The console client is let in from the master's and this host's addresses."""
    local = [str(address.ip) for _, address in system.interfaces()]
    others = [ip for ip in dict.fromkeys(local) if ip != master]
    return f"""access * {{
  trusted 127.0.0.1;
  trusted {master};
{f"  trusted {','.join(others)};" if others else ""}
}}
default * {{
  logfile /var/log/conserver/&.log;
  timestamp "";
  rw *;
  master localhost;
}}
"""


def console(node):
    return f"""#xCAT BEGIN {node} CONS
console {node} {{
  type exec;
  exec {CONSOLE} {node};
}}
#xCAT END {node} CONS
"""


def makegocons(db, reply, args):
    """Tell goconserver the nodes with consoles; it is restarted and enabled at boot.

    What it had of nodes that are gone stays, but with --cleanup, which does nothing else.
    """
    known = NODES.read_text().split() if NODES.exists() else []
    if "--cleanup" in args:
        write_nodes(node for node in known if node in consoles(db))
        return
    if not consoles(db):
        raise CommandError("Could not get any console request entry.")
    if system.runs("conserver"):
        raise CommandError("conserver is started, please stop it at first.")
    if not system.unit("goconserver"):
        raise CommandError("goconserver is not installed.")
    write_nodes(dict.fromkeys(known + list(consoles(db))))
    system.quiet("systemctl", "restart", "goconserver")
    system.quiet("systemctl", "enable", "goconserver")


def write_nodes(nodes):
    NODES.write_text("".join(f"{node}\n" for node in nodes))
