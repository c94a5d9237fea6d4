"""From a command's name to its function, by way of the daemon or, with XCATBYPASS, without it."""
import json
import math
import os
import pathlib
import socket
import sys
import time

from xcat import (
    VERSION,
    boot,
    console,
    dhcp,
    dns,
    dump,
    hosts,
    mysqlsetup,
    objects,
    pgsqlsetup,
    xcatconfig,
    xcatd,
)
from xcat.database import PATIENCE, Database
from xcat.reply import CommandError, NoderangeError, Reply

PORT = 3001
# What a command past the daemon does first: the real one loads every plugin, in 2 to 6 s.
BYPASS_TIME = 0.5
# {command: [seconds with the daemon, seconds past it]}, where a test wants the real one's times.
TIMES = pathlib.Path("/opt/xcat/times.json")
UNLOADABLE = ("zvm",)  # plugins whose Perl modules are missing: a line of noise for each


def lsxcatd(db, reply, args):
    """-v version, -t kind of node, -d database, -a all."""
    flags = set("vtd") if "-a" in args else {arg.lstrip("-") for arg in args}
    if not flags or flags - set("vtd"):
        reply.say("Usage: lsxcatd [-v] [-t] [-d] [-a]")
        reply.status = 1
        return
    if "v" in flags:
        reply.say(VERSION)
    if "t" in flags and os.path.exists("/etc/xCATMN"):
        reply.say("This is a Management Node")
    if "d" in flags:
        for line in db.engine.description():
            reply.say(line)


# Carried out by the daemon, in the database.
REQUESTS = {function.__name__: function for function in (
    objects.chdef, objects.chtab, objects.lsdef, objects.mkdef, objects.nodels, objects.rmdef,
    objects.tabdump, objects.tabrestore, boot.mknb, boot.nodeset, hosts.makehosts, dns.makedns,
    dhcp.makedhcp, console.makeconservercf, console.makegocons, lsxcatd)}

# Carried out where they are called.
PROGRAMS = {"dumpxCATdb": dump.dump, "restorexCATdb": dump.restore, "xcatd": xcatd.main,
            "mysqlsetup": mysqlsetup.main, "pgsqlsetup": pgsqlsetup.main,
            "restartxcatd": xcatd.restart, "xcatconfig": xcatconfig.main}


def main(name, args):
    """Run a command; gives back its exit code."""
    if name in PROGRAMS:
        return PROGRAMS[name](args)
    call = " ".join([name, *args])
    if os.environ.get("XCATBYPASS"):
        load_plugins(Database(patience=math.inf), times().get(call, [0, BYPASS_TIME])[1])
    else:
        time.sleep(times().get(call, [0])[0])
    return request(name, args, show, math.inf)


def times():
    """What TIMES says, nothing without such a file."""
    return json.loads(TIMES.read_text()) if TIMES.exists() else {}


def load_plugins(db, seconds):
    """What a command does past the daemon, for as long as it takes, before it says a word."""
    time.sleep(seconds)
    if db.engine.remote:
        db.wait(complain_after=10)
    for plugin in UNLOADABLE:
        show("stdout", f"Error loading module /opt/xcat/lib/perl/xCAT_plugin/{plugin}.pm"
                       "  ...skipping")


def show(stream, text):
    print(text, file=getattr(sys, stream), flush=True)


def request(name, args, send, patience=PATIENCE):
    """Have a request carried out and its lines sent; gives back the exit code."""
    if os.environ.get("XCATBYPASS"):
        reply = Reply(send)
        carry_out(Database(patience), reply, name, args)
        return reply.status
    return ask_daemon(name, args, send)


def carry_out(db, reply, name, args):
    """Run the request's function; what goes wrong becomes an error for the caller."""
    try:
        REQUESTS[name](db, reply, args)
    except NoderangeError as error:
        reply.unknown_nodes(error)
    except (CommandError, db.error) as error:
        reply.error(str(error).strip().split("\n")[0])


def ask_daemon(name, args, send):
    try:
        connection = socket.create_connection(("localhost", PORT), timeout=15)
    except OSError as error:
        send("stdout", "Unable to open socket connection to xcatd daemon on localhost:3001.")
        send("stdout", "Verify that the xcatd daemon is running and that your SSL setup is"
                       " correct.")
        send("stderr", f"Connection failure: IO::Socket::INET: connect: {error.strerror or error}"
                       " at /opt/xcat/lib/perl/xCAT/Client.pm line 275.")
        return 111
    connection.settimeout(None)
    with connection, connection.makefile("rw") as talk:
        print(json.dumps([name, args]), file=talk, flush=True)
        for line in talk:
            stream, content = json.loads(line)
            if stream == "exit":
                return content
            send(stream, content)
    send("stderr", "Error: xcatd went away.")
    return 1
