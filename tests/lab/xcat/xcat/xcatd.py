"""The daemon: answers requests on port 3001 and has the TFTP server as its child."""
import contextlib
import json
import math
import os
import pathlib
import select
import signal
import socketserver
import subprocess
import sys
import time

from xcat import command
from xcat.database import Database
from xcat.reply import Reply

PIDFILE = pathlib.Path("/run/xcatd.pid")
TFTPD = ["/usr/sbin/in.tftpd", "-v", "-L", "-s", "/tftpboot", "-m", "/etc/tftpmapfile4xcat.conf"]


class Handler(socketserver.StreamRequestHandler):
    """One request: a line of JSON; the answer is lines of JSON."""

    def handle(self):
        name, args = json.loads(self.rfile.readline())
        reply = Reply(self.send, os.uname().nodename)
        db = Database(patience=0)
        if permitted(db):
            command.carry_out(db, reply, name, args)
        else:
            reply.refuse("Permission denied for request")
        self.send("exit", reply.status)

    def send(self, stream, content):
        self.wfile.write((json.dumps([stream, content]) + "\n").encode())


def permitted(db):
    """True if the policy lets root in; without a database there is no policy."""
    try:
        return any(row["name"] == "root" and row["rule"] in ("allow", "accept", "trusted")
                   for row in db.rows("policy"))
    except db.error:
        return False


class Server(socketserver.ForkingMixIn, socketserver.TCPServer):
    """A process for each request. The port is shared while one daemon takes over from another."""
    allow_reuse_address = True
    allow_reuse_port = True


def main(args):
    """Start the daemon; comes back when it serves, however long the database lets it wait."""
    ready, done = os.pipe()
    if os.fork():
        os.close(done)
        return 0 if os.read(ready, 1) else 1
    os.setsid()
    os.chdir("/")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Database(patience=math.inf).wait()
    time.sleep(command.times().get("xcatd", [0])[0])
    with Server(("", command.PORT), Handler) as server:
        take_over()
        detach()
        with tftp_server():
            os.write(done, b"1")
            server.serve_forever()
    return 0


def take_over():
    """Enter this process in the pid file and end the daemon that stood there.

    In this order: systemd looks into the file when its main process ends.
    """
    old = PIDFILE.read_text().strip() if PIDFILE.exists() else ""
    PIDFILE.write_text(f"{os.getpid()}\n")
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.pidfd_open(int(old))
        if b"xcatd" in pathlib.Path(f"/proc/{old}/cmdline").read_bytes():
            os.kill(int(old), signal.SIGTERM)
            select.select([descriptor], [], [])


def detach():
    """Let go of the starter's output: it may be a pipe that somebody reads to its end."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)


@contextlib.contextmanager
def tftp_server():
    """in.tftpd runs as long as the daemon, which at its end still wants its database."""
    tftpd = subprocess.Popen(TFTPD)
    try:
        yield
    finally:
        tftpd.terminate()
        tftpd.wait()
        Database(patience=math.inf).wait()


def restart(args):
    """restartxcatd: a new daemon takes over from the running one."""
    status = subprocess.call(["/opt/xcat/sbin/xcatd", "-p", str(PIDFILE)])
    print(f"{'Restarting xCATd':<60}{'[ FAILED  ]' if status else '[  OK  ]'}")
    return 1 if status else 0
