#!/usr/bin/env python3
"""exportfs as strict as that of nfs-utils: its table has the paths that links resolve to.

Seen with version 2.6.2: once a directory of the table is a link, only what it leads to can be
withdrawn, and what is not in the table ends with exit status 1. IPv6 addresses stand in brackets,
their prefix length behind. Nothing but the table is kept: there is no server.
"""

import os
import re
import sys

EXPORTS, TABLE = "/etc/exports", "/var/lib/nfs/etab"


def read(path):
    """[(resolved path, client(options))] of a file in either form."""
    if not os.path.exists(path):
        return []
    with open(path) as file:
        lines = [line.split("#")[0].split() for line in file]
    return [(os.path.realpath(unescaped(words[0])), word)
            for words in lines if words for word in words[1:]]


def unescaped(text):
    return re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), text)


def write(entries):
    os.makedirs(os.path.dirname(TABLE), exist_ok=True)
    with open(TABLE, "w") as file:
        for path, client in entries:
            file.write("%s\t%s\n" % (path.replace(" ", r"\040"), client))


def withdraw(argument):
    """Take an export out of the table, or end with the real tool's message."""
    ipv6 = re.fullmatch(r"\[(.*)\](/\d+)?:(/.*)", argument)
    host, path = ((ipv6[1] + (ipv6[2] or ""), ipv6[3]) if ipv6 else
                  argument.split(":/", 1) if ":/" in argument else sys.exit("exportfs: Invalid"))
    path = path if ipv6 else "/" + path
    entries = read(TABLE)
    left = [(at, client) for at, client in entries
            if (at, client.split("(")[0]) != (path, host)]
    write(left)
    if left == entries:
        sys.exit("exportfs: Could not find '%s' to unexport." % argument)


def main(argv):
    if "-u" not in argv:
        write(read(EXPORTS))
    elif "-a" in argv:
        write([])
    else:
        withdraw(argv[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
