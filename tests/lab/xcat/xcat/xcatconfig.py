"""xcatconfig: what the installer of the packages does on a new management node."""
import os
import pathlib
import shutil
import socket
import subprocess

from xcat import system
from xcat.database import Database

ETC = pathlib.Path("/etc/xcat")
ROOT = pathlib.Path("/root/.xcat")
EXPORTS = ("/tftpboot", "/install")
# As the real one has them, but for domain; master and nameservers are this host's.
SITE = """
blademaxp=64 fsptimeout=0 installdir=/install ipmimaxp=64 ipmiretries=3 ipmitimeout=2
consoleondemand=no master= nameservers= maxssh=8 ppcmaxp=64 ppcretry=3 ppctimeout=0
powerinterval=0 syspowerinterval=0 sharedtftp=1 SNsyncfiledir=/var/xcat/syncfiles
nodesyncfiledir=/var/xcat/node/syncfiles tftpdir=/tftpboot xcatdport=3001 xcatiport=3002
xcatconfdir=/etc/xcat timezone=UTC useNmapfromMN=no enableASMI=no db2installloc=/mntdb2
databaseloc=/var/lib sshbetweennodes=ALLGROUPS dnshandler=ddns vsftp=n cleanupxcatpost=no
cleanupdiskfullxcatpost=no dhcplease=43200 auditnosyslog=0 xcatsslversion=TLSv1 auditskipcmds=ALL
"""


def main(args):
    """-i: first installation, with first rows and enabled services; else only missing keys."""
    for name in ("/install/postscripts", "/install/prescripts", "/tftpboot/xcat", "/etc/xcat"):
        os.makedirs(name, exist_ok=True)
    pathlib.Path("/etc/xCATMN").touch()
    pathlib.Path("/etc/tftpmapfile4xcat.conf").touch()
    certificates()
    ssh_keys()
    export()
    if "-i" in args:
        fill_tables()
        enable()
    return 0


# ---- Keys ----

def openssl(*argv):
    subprocess.run(["openssl", *map(str, argv)], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)


def certificates():
    """An authority, the server's certificate in the name of the host, root's credentials."""
    authority, cert = ETC / "ca", ETC / "cert"
    if (cert / "server-cert.pem").exists():
        return
    for directory in (authority, cert, ROOT):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 7300, "-subj",
            "/CN=xCAT CA", "-keyout", authority / "ca-key.pem", "-out", authority / "ca-cert.pem")
    credentials(authority, cert, "server", socket.gethostname())
    credentials(authority, ROOT, "client", "root")
    for directory in (cert, ROOT):
        shutil.copy(authority / "ca-cert.pem", directory / "ca.pem")


def credentials(authority, directory, role, name):
    """ROLE-key.pem, ROLE-cert.pem and both in ROLE-cred.pem."""
    key, cert = directory / f"{role}-key.pem", directory / f"{role}-cert.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 7300, "-subj", f"/CN={name}",
            "-CA", authority / "ca-cert.pem", "-CAkey", authority / "ca-key.pem",
            "-keyout", key, "-out", cert)
    combined = directory / f"{role}-cred.pem"
    combined.touch(mode=0o600)
    combined.write_bytes(key.read_bytes() + cert.read_bytes())


def ssh_keys():
    """Host keys for the nodes, readable for a group of their own, and root's key."""
    system.quiet("groupadd", "--system", "ssh_keys")
    for kind in ("rsa", "ecdsa", "ed25519"):
        key = ETC / f"hostkeys/ssh_host_{kind}_key"
        new_ssh_key(kind, key)
        shutil.chown(key, "root", "ssh_keys")
        key.chmod(0o640)
    mine = pathlib.Path("/root/.ssh/id_rsa")
    if new_ssh_key("rsa", mine):
        with mine.with_name("authorized_keys").open("a") as file:
            file.write(mine.with_suffix(".pub").read_text())


def new_ssh_key(kind, path):
    """True if the key was not there."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return not path.exists() and subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True).returncode == 0


# ---- Tables ----

def fill_tables():
    """The rows that a new management node starts with; rows that are there stay."""
    db = Database()
    name = socket.gethostname()
    master = system.address_of(name) or str(system.interfaces()[0][1].ip)
    site = {**dict(word.split("=") for word in SITE.split()), "master": master,
            "nameservers": master}
    add(db, "site", "key", [{"key": key, "value": value} for key, value in site.items()])
    add(db, "policy", "priority", policy(name))
    add(db, "networks", "netname", [network(nic, at) for nic, at in system.interfaces()])


def add(db, table, key, rows):
    present = {row[key] for row in db.rows(table)}
    for row in rows:
        if row[key] not in present:
            db.put(table, {key: row[key]}, row)


def policy(name):
    allowed = {"2": "getbmcconfig", "2.1": "remoteimmsetup", "2.3": "lsxcatd",
               "3": "nextdestiny", "4": "getdestiny", "4.4": "getpostscript",
               "4.5": "getcredentials", "4.6": "syncfiles", "4.7": "litefile", "4.8": "litetree",
               "4.9": "getadapter"}
    return [{"priority": "1", "name": "root", "rule": "allow"},
            {"priority": "1.2", "name": name, "rule": "trusted"},
            *({"priority": priority, "commands": command, "rule": "allow"}
              for priority, command in allowed.items())]


def network(nic, at):
    net, mask = str(at.network.network_address), str(at.netmask)
    return {"netname": f"{net.replace('.', '_')}-{mask.replace('.', '_')}", "net": net,
            "mask": mask, "mgtifname": nic, "gateway": "<xcatmaster>",
            "tftpserver": "<xcatmaster>", "mtu": "1500"}


# ---- Services ----

def export():
    """The directories that nodes mount."""
    exports = pathlib.Path("/etc/exports")
    text = exports.read_text() if exports.exists() else ""
    present = {line.split()[0] for line in text.splitlines() if line.strip()}
    lines = [f"{path} *(rw,no_root_squash,sync,no_subtree_check,insecure)\n"
             for path in EXPORTS if path not in present]
    exports.write_text(text + "".join(lines))


def enable():
    """All that a new management node starts at boot; only xcatd and the web server start now."""
    system.quiet("systemctl", "daemon-reload")
    for names in (["xcatd"], ["named", "bind9"], ["apache2", "httpd"],
                  ["dhcp3-server", "dhcpd", "isc-dhcp-server"], ["nfs-server"]):
        unit = system.unit(*names)
        if unit:
            system.quiet("systemctl", "enable", unit)
    system.quiet("systemctl", "restart", system.unit("apache2", "httpd"))
