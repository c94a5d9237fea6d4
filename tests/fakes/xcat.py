"""Stand-ins for xCAT, its database tools and the package manager: just enough state to be asked.

The tables are one file of JSON in the directory of the database that cfgloc names, so they move
with the shared directories. A command without xcatd says and exits what the real one does.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import units

CFGLOC = "/etc/xcat/cfgloc"
BYPASS_TIME = 0.5  # seconds for which a command past the daemon loads plugins (real: 2 to 6)
POSTGRES = "/var/lib/pgsql/data"
DATABASE_UNITS = {"Pg": "postgresql.service", "mysql": "mariadb.service"}
SOURCE = "/usr/local/lib/fakes"  # where the harness laid out what go-xcat and dnf install
FRESH_TABLES = {
    "site": {"master": "", "nameservers": "", "domain": "cluster.test"},
    "policy": {"1": {"name": "root", "rule": "allow"}},
}
COLUMNS = {
    "policy": "priority name host commands noderange parameters time rule comments disable",
    "networks": "netname net mask mgtifname gateway dhcpserver tftpserver domain",
    "noderes": "node servicenode netboot tftpserver nfsserver installnic primarynic xcatmaster",
    "nodehm": "node power mgt cons serialport",
    "passwd": "key username password cryptmethod authdomain",
}


def read(path, default=""):
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        return file.read()
    return default


def write(path, text):
    """Write a file as a database commits: all of it or, on a full disk, nothing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def fail(text, code=1, stream=sys.stderr):
    print(text, file=stream)
    sys.exit(code)


# ---- Tables ----


def engine():
    """Pg, mysql or SQLite, as cfgloc says."""
    return read(CFGLOC, "SQLite:").split(":")[0]


def tables_path():
    folder = {"Pg": POSTGRES, "mysql": "/var/lib/mysql", "SQLite": "/etc/xcat"}[engine()]
    return folder + "/tables.json"


def load():
    return json.loads(read(tables_path(), json.dumps(FRESH_TABLES)))


def save(tables):
    write(tables_path(), json.dumps(tables))


class BlockedError(Exception):
    """The real command would wait for longer than anybody does."""


def need_xcatd():
    """What every client does first, as the real ones in tests/data/xcat-observed.tsv."""
    answers = engine() == "SQLite" or units.is_up(DATABASE_UNITS[engine()])
    if os.environ.get("XCATBYPASS"):
        time.sleep(BYPASS_TIME)
        print("Error loading module /opt/xcat/lib/perl/xCAT_plugin/zvm.pm  ...skipping")
        if not answers:
            source = read(CFGLOC).partition(":")[2].partition("|")[0]
            print(f"DBI connect('{source}','xcatadm',...) failed: Connection refused",
                  file=sys.stderr, flush=True)
            raise BlockedError
        return
    if units.is_up("xcatd.service"):
        if not answers:
            fail("Error: Permission denied for request")
        return
    print("Unable to open socket connection to xcatd daemon on localhost:3001.")
    print("Verify that the xcatd daemon is running and that your SSL setup is correct.")
    fail("Connection failure: IO::Socket::INET: connect: Connection refused at "
         "/opt/xcat/lib/perl/xCAT/Client.pm line 275.", 111)


# ---- Commands of xCAT ----


def lsxcatd(argv):
    need_xcatd()
    print("Version 2.19.0 (git commit 0000000, built Mon Jan  1 00:00:00 UTC 2026)")
    if "-v" in argv:
        return
    print("This is a Management Node")
    cfgloc = read(CFGLOC).strip()
    if engine() != "SQLite":
        print("cfgloc=" + cfgloc.rpartition("|")[0])
    print("dbengine=" + engine())
    if engine() != "SQLite":
        print("dbhost=" + cfgloc.partition("host=")[2].partition("|")[0])


def after(argv, option, default=""):
    """The word after an option."""
    return argv[argv.index(option) + 1] if option in argv else default


def lsdef(argv):
    """lsdef -t site alone; without -c an attribute that is not set has no line at all."""
    need_xcatd()
    if after(argv, "-t") != "site":
        return print("Could not find any object definitions to display.")
    site = load()["site"]
    if "-c" not in argv:
        print("Object name: clustersite")
    for name in after(argv, "-i", ",".join(sorted(site))).split(","):
        if name in site:
            print(("clustersite: " if "-c" in argv else "    ") + f"{name}={site[name]}")
    return None


def chdef(argv):
    need_xcatd()
    tables = load()
    table = tables.setdefault(after(argv, "-t"), {})
    row = table if after(argv, "-t") == "site" else table.setdefault(after(argv, "-o"), {})
    row.update(word.split("=", 1) for word in argv if "=" in word)
    save(tables)
    print("1 object definitions have been created or modified.")


def tabdump(argv):
    need_xcatd()
    name = argv[-1] if argv else ""
    table = load().get(name, {})
    if not name:
        print("\n".join(["site", *COLUMNS]))
        return
    if name == "site":
        columns, rows = ["key", "value"], table.items()
    else:
        columns = COLUMNS[name].split()
        rows = [dict(row, **{columns[0]: key}) for key, row in table.items()]
        rows = [[row.get(column, "") for column in columns] for row in rows]
    print("#" + ",".join(columns))
    for row in rows:
        print(",".join(f'"{value}"' if value else "" for value in row))


def dumpxcatdb(argv):
    need_xcatd()
    folder = after(argv, "-p")
    print(f" Creating {folder} for database dump")
    for name, table in load().items():
        write(f"{folder}/{name}.csv", json.dumps(table))
    print("Backup Complete.")


def makedns(argv):
    need_xcatd()
    if not load()["site"].get("domain"):
        fail("Error: domain not defined in site table")
    write("/etc/named.conf", "# written by makedns\n")
    units.restart("named.service")
    units.enable("named.service")
    print("Restarting named complete\nDNS setup is completed")


def makedhcp(argv):
    need_xcatd()
    if "-n" in argv:
        write("/etc/dhcp/dhcpd.conf", "# written by makedhcp\n")
        units.restart("dhcpd.service")
    elif not units.is_up("dhcpd.service"):
        fail("Error: dhcp server is not running.  please start the dhcp server.")


def makegocons(argv):
    need_xcatd()
    fail("Error: Could not get any console request entry.")


def makeconservercf(argv):
    need_xcatd()
    write("/etc/conserver.cf", "# written by makeconservercf\n")


def makehosts(argv):
    need_xcatd()


def restartxcatd(argv):
    return units.restart("xcatd.service")


def pgsqlsetup(argv):
    """Switch to PostgreSQL; like the real tool it exits 0 when there is nothing to do."""
    if engine() == "Pg":
        print(f"The {CFGLOC} file is already configured for PostgreSQL.")
        return print("xcat database initialization will not take place.")
    master, tables = load()["site"]["master"], load()
    units.stop("xcatd.service")
    if not os.path.exists(POSTGRES + "/PG_VERSION"):
        initdb(["-D", POSTGRES])
    access = [word for flag, word in zip(argv, argv[1:]) if flag == "-a"] + [master]
    rows = "".join(f"host    all          all        {address}/32      md5\n" for address in access)
    write(POSTGRES + "/pg_hba.conf", read(POSTGRES + "/pg_hba.conf") + rows)
    write(POSTGRES + "/postgresql.conf", f"listen_addresses = 'localhost,{master}'\n")
    units.restart("postgresql.service")
    units.enable("postgresql.service")
    password = os.environ.get("XCATPGPW", "cluster")
    write(CFGLOC, f"Pg:dbname=xcatdb;host={master}|xcatadm|{password}\n")
    os.chmod(CFGLOC, 0o600)
    save(tables)
    return units.start("xcatd.service")


# ---- Other tools ----


def quiet(argv):
    """A tool of which only the call matters."""


def install(name):
    """Lay a prepared package over the file system, in place of what an earlier one laid."""
    package = f"{SOURCE}/packages/{name}/."
    subprocess.run(["cp", "-a", "--remove-destination", package, "/"], check=True)


def make_certificate(folder, name):
    os.makedirs(folder, exist_ok=True)
    request = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout"
    key, certificate = folder + "/server-key.pem", folder + "/server-cert.pem"
    subprocess.run(
        [f"{SOURCE}/real/openssl", *request.split(), key, "-out", certificate]
        + ["-subj", "/CN=" + name],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def go_xcat(argv):
    """Install xCAT: what it lays down and starts depends on the host name, as for the real one."""
    install("xcat")
    tables = load()
    hosts = [line.split() for line in read("/etc/hosts").splitlines()]
    address = next((words[0] for words in hosts if os.uname().nodename in words), "")
    tables["site"].update(master=address, nameservers=address)
    tables["policy"]["1.2"] = {"name": os.uname().nodename, "rule": "trusted"}
    save(tables)
    make_certificate("/etc/xcat/cert", os.uname().nodename)
    for folder in ("/install/postscripts", "/root/.xcat", "/tftpboot/xcat"):
        os.makedirs(folder, exist_ok=True)
    units.enable("xcatd.service")
    return units.start("xcatd.service")


def dnf(argv):
    """Install the stand-ins for the database packages: as on EL, neither enabled nor started."""
    if "install" in argv and "postgresql-server" in argv:
        install("postgresql")
        os.makedirs(POSTGRES, exist_ok=True)
        for folder in (os.path.dirname(POSTGRES), POSTGRES):
            shutil.chown(folder, "postgres", "postgres")


def rpm(argv):
    """rpm -q --queryformat %{VERSION} xCAT-server."""
    if not os.path.exists("/opt/xcat/sbin/xcatd"):
        fail("package xCAT-server is not installed", stream=sys.stdout)
    print("2.19.0", end="")


def arping(argv):
    """Where the real tool was taken away (Node.silence): nobody answers."""
    if "-V" in argv:
        print("arping from iputils")
    elif "-D" in argv:
        print("Sent 2 probes (2 broadcast(s))\nReceived 0 response(s)")


def ping(argv):
    """As arping."""
    return 1


def exportfs(argv):
    return [sys.executable, SOURCE + "/exportfs.py", *argv]


def runuser(argv):
    return argv[argv.index("--") + 1 :]


def initdb(argv):
    """What a new data directory has of configuration."""
    data = after(argv, "-D")
    write(data + "/PG_VERSION", "15\n")
    write(data + "/pg_hba.conf", "local all all peer\n# IPv4 local connections:\n")
    write(data + "/postgresql.conf", "#listen_addresses = 'localhost'\n")
    shutil.chown(data, "postgres", "postgres")
    os.chmod(data, 0o700)


def psql(argv):
    if "--version" in argv:
        print("psql (PostgreSQL) 15.6")
    elif not units.is_up("postgresql.service"):
        fail("psql: error: connection to server on socket failed: No such file or directory", 2)


perl = quiet
dumpxCATdb = dumpxcatdb  # noqa: N816
