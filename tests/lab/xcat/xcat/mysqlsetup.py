"""mysqlsetup: moves the tables to a MariaDB server on this host, faults included.

It says that it will not initialise a running server's database and then does, admits nobody but
the master and localhost, leaves the passwords in the client's history, and enables the server at
boot with a tool that fails on Debian, where it stays as it was.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

from xcat import system
from xcat.database import CFGLOC, cfgloc
from xcat.pgsqlsetup import SetupError, back_up, master_address, restore, say

SETTINGS = ("/etc/mysql/mariadb.conf.d/50-server.cnf", "/etc/mysql/my.cnf", "/etc/my.cnf")
PASSWORDS = {"admin": "XCATMYSQLADMIN_PW", "root": "XCATMYSQLROOT_PW"}


def main(args):
    options = parse(args)
    if options.init == options.update or options.update and not options.hosts:
        print("Either -i  or -u with -f or -o must be chosen")
        return 1
    try:
        return set_up(options) if options.init else update(options)
    except SetupError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def parse(args):
    parser = argparse.ArgumentParser(prog="mysqlsetup", allow_abbrev=False)
    parser.add_argument("-i", "--init", action="store_true")
    parser.add_argument("-u", "--update", action="store_true")
    parser.add_argument("-f", "--hosts", type=pathlib.Path)
    parser.add_argument("-V", "--verbose", action="store_true")
    return parser.parse_args(args)


def set_up(options):
    """The whole switch."""
    if cfgloc().startswith("mysql:"):
        say("The /etc/xcat/cfgloc file is already configured for MySQL xCAT. "
            " No xCAT setup is required.")
        return 0
    secrets = passwords()
    back_up(bypass=False)
    say("Shutting down the xcatd daemon during database migration.")
    subprocess.call(["systemctl", "stop", "xcatd"])
    master = master_address(nostart=False)
    initialise()
    accounts(secrets, ["localhost", master, *listed(options.hosts)])
    write_cfgloc(f"mysql:dbname=xcatdb;host={master}|xcatadmin|{secrets['admin']}\n")
    restore()
    say("xCAT is running on the MySQL database.")
    return 0


def update(options):
    """Admit the hosts of the file as well."""
    if not cfgloc().startswith("mysql:"):
        raise SetupError("The /etc/xcat/cfgloc file is not configured for MySQL xCAT.")
    secrets = passwords()
    check_root_password(secrets["root"])
    grant(secrets, listed(options.hosts))
    return 0


def passwords():
    """From the environment; else from standard input, which nobody here is asked for."""
    found = {name: os.environ.get(variable) for name, variable in PASSWORDS.items()}
    for name, secret in found.items():
        if secret is None:
            raise SetupError(f"Input the password for the {name} id: end of input.")
        if re.search("[^a-zA-Z0-9]", secret):
            raise SetupError(f"The password in the env variable {PASSWORDS[name]} is not "
                             "alpha-numeric.")
    return found


def listed(file):
    """The lines of the host file, each without its last character, whatever that is."""
    lines = file.read_text().splitlines(keepends=True) if file else []
    return [line[:-1] for line in lines]


def initialise():
    """A server that listens on every address; mysql_install_db lets an existing database be."""
    if system.runs("mariadbd"):
        say("MySQL is running. Database initialization will not take place.")
        subprocess.call(["systemctl", "stop", "mariadb"])
    free_bind_address()
    subprocess.call(["/usr/bin/mysql_install_db", "--user=mysql"], stdout=subprocess.DEVNULL)
    say("Starting the MySQL Server")
    if subprocess.call(["systemctl", "start", "mariadb"]):
        raise SetupError(" failed to start mysql.")
    if system.is_debian():
        print("update-rc.d mysql defaults failed. MySQL will not restart on reboot.",
              file=sys.stderr)
    else:
        subprocess.call(["systemctl", "enable", "mariadb"])


def free_bind_address():
    """The first of the settings files that exists no longer binds the server to an address."""
    file = next(pathlib.Path(path) for path in SETTINGS if os.path.exists(path))
    file.write_text(re.sub("^bind", "#bind", file.read_text(), flags=re.MULTILINE))


def accounts(secrets, hosts):
    """The password of root, the database, and its users at these hosts."""
    mysql(None, f"ALTER USER root@localhost IDENTIFIED BY '{secrets['root']}';")
    check_root_password(secrets["root"])
    mysql(secrets["root"], "CREATE DATABASE IF NOT EXISTS xcatdb;")
    grant(secrets, hosts)


def check_root_password(secret):
    if mysql(secret, "SELECT 1;"):
        raise SetupError("Wrong MySQL root password.")


def grant(secrets, hosts):
    for host in hosts:
        for user, secret in (("xcatadmin", secrets["admin"]), ("root", secrets["root"])):
            mysql(secrets["root"],
                  f"GRANT ALL on xcatdb.* TO {user}@'{host}' IDENTIFIED BY '{secret}';")


def mysql(secret, statement):
    """Let the client run a statement, which it keeps in its history; its exit status."""
    with open(os.environ.get("MYSQL_HISTFILE", "/root/.mysql_history"), "a") as history:
        history.write(f"{statement}\n")
    credentials = {"MYSQL_PWD": secret} if secret else {}
    return subprocess.run(["mysql", "--protocol=socket", "-u", "root"], input=statement,
                          text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env={**os.environ, **credentials}, check=False).returncode


def write_cfgloc(text):
    """cfgloc.mysql, copied to cfgloc; what that said before is kept."""
    if CFGLOC.exists():
        CFGLOC.rename(CFGLOC.with_suffix(".olddb"))
    for file in (CFGLOC.with_suffix(".mysql"), CFGLOC):
        file.touch(mode=0o600)
        file.write_text(text)
