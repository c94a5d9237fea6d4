"""The pair of management nodes: its command lines, and the states that tests start from."""
from tests.lab.lab import frozen

VIP = "10.5.106.50"
DOMAIN = "cluster.test"
TREES = ("/install/tree", "/tftpboot/tree")

SETUP = "python xcatha.py -s -p {path} -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0 -t {engine}"
ACTIVATE = "python xcatha.py -a -p {path} -v 10.5.106.50 -i eth0:0 -m 255.0.0.0 -t {engine}"
DEACTIVATE = "python xcatha.py -d -v 10.5.106.50 -i eth0:0"

XCAT = {"PATH": "/opt/xcat/bin:/opt/xcat/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
PATH_PER_HOST = {"host1": "/xcat/HA/host1", "host2": "/xcat/HA/host2"}

WRITE_TREE = """
set -e
mkdir -p "$0" && cd "$0"
mkdir -m 2750 directory
head -c 100000 /dev/urandom >blob
chown 1234:4321 blob && chmod 4751 blob
ln blob directory/hard-link
ln -s blob soft-link
truncate -s 10M sparse
echo end >>sparse
mkfifo -m 600 pipe
setfacl -m u:nobody:r,g:games:rw sparse
setfacl -d -m u:nobody:rwx directory
setfattr -n user.origin -v "$0" blob
"""


class Pair:
    """Two hosts of a lab as management nodes: the script's commands as an administrator's lines."""

    def __init__(self, lab, engine):
        self.lab, self.engine = lab, engine

    def line(self, command, host):
        """The command's words; a path of the host's own is given with two slashes, as by xCAT."""
        path = host.share_at if host.share_at == "/HA" else f"/{host.share_at}"
        return command.format(path=path, engine=self.engine).split()

    def setup(self, host):
        return host.succeed(*self.line(SETUP, host))

    def activate(self, host):
        return host.succeed(*self.line(ACTIVATE, host))

    def deactivate(self, host):
        return host.succeed(*self.line(DEACTIVATE, host))


def xcat(host, *argv):
    """Run one of xCAT's commands on a host; what it printed."""
    return host.succeed(*argv, env=XCAT)


def define_node(host, number):
    """A compute node, defined and put into /etc/hosts on the active host alone."""
    node = f"cn{number}"
    xcat(host, "chdef", "-t", "node", "-o", node, "groups=compute", f"ip={address_of(number)}",
         f"mac={mac_of(number)}", "mgt=ipmi", "cons=ipmi")
    xcat(host, "makehosts", node)
    return node


def address_of(number):
    """The compute node's address."""
    return f"10.5.106.{100 + number}"


def mac_of(number):
    """The compute node's hardware address."""
    return f"52:54:00:00:01:{number:02x}"


def define_osimage(host, name):
    xcat(host, "chdef", "-t", "osimage", "-o", name, "imagetype=linux", "osarch=x86_64",
         "pkgdir=/install/tree", "provmethod=netboot")


def write_trees(host, name):
    """Files of every kind, below a new directory in each of the trees."""
    for tree in TREES:
        host.succeed("sh", "-c", WRITE_TREE, f"{tree}/{name}")


# ---- States ----------------------------------------------------------------------------------

def watch_no_pid_file(host):
    """Spare the tests a race in Debian's unit of conserver, which ends in 90 s without a console.

    systemd looks into the pid file when it appears, and never again; the pid comes a little later.
    """
    drop_in = host.root / "etc/systemd/system/conserver-server.service.d/lab.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nPIDFile=\n")
    host.succeed("systemctl", "daemon-reload")


def pair_lab(engine="postgresql", **options):
    """A lab whose hosts are both set up."""
    def build(lab):
        for host in lab.hosts:
            watch_no_pid_file(host)
            Pair(lab, engine).setup(host)

    return frozen(f"pair-{engine}", build, **options)


def cluster_lab(engine="postgresql", **options):
    """As pair_lab; while host1 was active, a domain, a compute node and an osimage were defined."""
    def build(lab):
        pair = Pair(lab, engine)
        pair.activate(lab.host1)
        xcat(lab.host1, "chdef", "-t", "site", f"domain={DOMAIN}")
        define_node(lab.host1, 1)
        define_osimage(lab.host1, "first")
        write_trees(lab.host1, "first")
        pair.deactivate(lab.host1)

    pair_lab(engine, **options)
    return frozen(f"cluster-{engine}", build, start=f"pair-{engine}", **options)
