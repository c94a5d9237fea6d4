"""pgsqlsetup: moves the tables to a PostgreSQL server on this host, faults included.

It believes that PostgreSQL is version 9 on Debian, ignores how initdb, the restore and the start
of xcatd end, and reports success without having looked.
"""
import argparse
import getpass
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys

from xcat import dump, system
from xcat.database import CFGLOC, cfgloc

BACKUP = pathlib.Path("/root/xcat-dbback")


class SetupError(Exception):
    """The text is for the caller; exit 1."""


def main(args):
    options = parse(args)
    if not options.init:
        print("Either -i  or -o flag must be chosen")
        return 1
    try:
        return set_up(options)
    except SetupError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def parse(args):
    parser = argparse.ArgumentParser(prog="pgsqlsetup", allow_abbrev=False)
    parser.add_argument("-i", "--init", action="store_true")
    parser.add_argument("-N", "--nostart", action="store_true")
    parser.add_argument("-l", "--listen", action="append", help="not heeded")
    parser.add_argument("-a", "--access", action="append", default=[])
    parser.add_argument("-V", "--verbose", action="store_true")
    return parser.parse_args(args)


def set_up(options):
    """The whole switch."""
    if cfgloc().startswith("Pg:"):
        say("The /etc/xcat/cfgloc file is already configured for PostgreSQL. xcat database"
            " initialization will not take place.")
        return 0
    secret = password()
    data, commands, config = paths()
    if not options.nostart:
        back_up()
        say("Shutting down the xcatd daemon during database migration.")
        subprocess.call(["systemctl", "stop", "xcatd"])
    master = master_address(options.nostart)
    initialise(data, commands, config, [*options.access, master], master)
    subprocess.call(["systemctl", "enable", "postgresql"])
    create_database(commands, secret)
    CFGLOC.touch(mode=0o600)
    CFGLOC.write_text(f"Pg:dbname=xcatdb;host={master}|xcatadm|{secret}\n")
    if options.nostart:
        say("xCAT PostgreSQL database is setup.")
        return 0
    restore()
    say("xCAT is running on the PostgreSQL database.")
    return 0


def say(text):
    """In order with the output of the commands between."""
    print(text, flush=True)


def password():
    """XCATPGPW, else the next line of standard input."""
    secret = os.environ.get("XCATPGPW")
    if secret is None:
        say("Input the password for xcatadm id: ")
        secret = getpass.getpass("") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if re.search("[^a-zA-Z0-9]", secret):
        raise SetupError("The password in the env variable XCATPGPW is not alpha-numeric.")
    return secret


def paths():
    """Directories of data, commands and configuration. On Debian only version 9 is known."""
    if not system.is_debian():
        return (pathlib.Path("/var/lib/pgsql/data"), "/usr/bin",
                pathlib.Path("/var/lib/pgsql/data"))
    packages = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\\n", "postgresql-9*"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False).stdout.split()
    version = packages[0].removeprefix("postgresql-") if packages else "9.1"
    return (pathlib.Path(f"/var/lib/postgresql/{version}/main"),
            f"/usr/lib/postgresql/{version}/bin",
            pathlib.Path(f"/etc/postgresql/{version}/main"))


def back_up(bypass=True):
    """Dump the tables, with or without the daemon; what the directory held goes first."""
    say(f"Backing up xCAT Database to {BACKUP}.\nThis could take several minutes.")
    BACKUP.mkdir(exist_ok=True)
    for old in BACKUP.iterdir():
        old.unlink()
    if bypass:
        os.environ["XCATBYPASS"] = "1"
    if dump.dump(["-p", str(BACKUP)]):
        raise SetupError(f"dumpxCATdb -p {BACKUP} failed.")
    os.environ["XCATBYPASS"] = "1"


def master_address(nostart):
    """The address of site.master as dumped, else of the host name."""
    name = socket.gethostname()
    if not nostart:
        found = re.search('^"master","([^"]+)"', (BACKUP / "site.csv").read_text(), re.MULTILINE)
        name = found[1] if found else name
    address = system.address_of(name)
    if not address:
        raise SetupError(f"Hostname resolution for {name} failed.")
    return address


def initialise(data, commands, config, admitted, master):
    """Make the cluster, admit the addresses, listen on the master's, restart the server."""
    as_postgres(f"{commands}/initdb -D {data}")
    access, settings = config / "pg_hba.conf", config / "postgresql.conf"
    if not access.exists():
        raise SetupError(f"awk ... {access} > {access}.xcat failed.")
    text = access.read_text()
    for address in dict.fromkeys(admitted):
        if address not in text:  # fgrep: 10.0.0.1 is there once 10.0.0.10 is
            text = text.replace("IPv4 local connections:", "IPv4 local connections:\n"
                                f"host    all          all        {address}/32      md5", 1)
    access.write_text(text)
    if "setup by xCAT" not in settings.read_text():
        with settings.open("a") as file:
            file.write(f"#setup by xCAT\nlisten_addresses = 'localhost,{master}'\n")
    say("Starting the PosgreSQL Server")
    if subprocess.call(["systemctl", "restart", "postgresql"]):
        raise SetupError(" failed to start postgresql.")


def as_postgres(command, **options):
    """Run a shell command line as the database user; its failure is nobody's business."""
    return subprocess.run(["su", "-", "postgres", "-c", command], stderr=subprocess.STDOUT,
                          text=True, check=False, **options)


def create_database(commands, secret):
    """The database, and its two users, one statement each."""
    result = as_postgres(f"{commands}/createdb xcatdb", stdout=subprocess.PIPE)
    say(result.stdout.rstrip())
    if "could not connect to database postgres" in result.stdout:
        raise SetupError("Failed creating the xcatdb database")
    line = [f"{commands}/psql", "-q", "-d", "xcatdb", "-U", "postgres"]
    for user in ("xcatadm", "root"):
        options = {"input": f"CREATE USER {user} WITH PASSWORD '{secret}';\n",
                   "stdout": subprocess.DEVNULL}
        if system.is_debian():
            as_postgres(shlex.join(line), **options)
        # On EL it is root who logs in as postgres: 2 where the server does not let him (psql(1)).
        elif subprocess.run(line, text=True, check=False, **options).returncode == 2:
            raise SetupError(f"Failed creating {user} id.")


def restore():
    """Read the dump into the new database and start xcatd; neither is asked how it went."""
    dump.restore(["-p", str(BACKUP)])
    os.environ.pop("XCATBYPASS")
    subprocess.call(["systemctl", "start", "xcatd"])
