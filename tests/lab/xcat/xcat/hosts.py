"""makehosts: the nodes' lines of /etc/hosts; and the reading of that file for the DNS."""
import pathlib

from xcat.objects import expand

HOSTS = pathlib.Path("/etc/hosts")
USAGE = """\
Usage: makehosts <noderange> [-d] [-n] [-l] [-a] [-o] [-m]
       makehosts -h
       makehosts -v"""


def entries():
    """(address, names) of each line of /etc/hosts."""
    lines = [line.split("#")[0].split() for line in HOSTS.read_text().splitlines()]
    return [(line[0], line[1:]) for line in lines if len(line) > 1]


def makehosts(db, reply, args):
    """Give each node with an address its line; another line for the node goes."""
    if "-h" in args:
        for line in USAGE.splitlines():
            reply.say(line)
        return
    domain = db.site().get("domain")
    wanted = set(expand(db, args[0])) if args else None
    rows = [row for row in db.rows("hosts")
            if row["ip"] and (wanted is None or row["node"] in wanted)]
    replaced = {row["node"] for row in rows}
    kept = [line for line in HOSTS.read_text().splitlines()
            if not replaced.intersection(line.split("#")[0].split()[1:2])]
    HOSTS.write_text("\n".join([*kept, *(line_of(row, domain) for row in rows)]) + "\n")


def line_of(row, domain):
    node = row["node"]
    names = [node, f"{node}.{domain}" if domain else "", row["hostnames"] or ""]
    return " ".join([row["ip"], *filter(None, names)]) + " "
