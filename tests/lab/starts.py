"""Starting points of real sites, and a pair's way from there through its failovers."""
from tests.lab import image
from tests.lab.lab import configure
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, VIP, write_trees, xcat

GO_XCAT = "/opt/xcat-repo/go-xcat"
STAGES = ("first activation", "planned failover", "power loss")
DATABASE_SERVERS = "postgres|postmaster|mariadbd|mysqld"
TABLES_FOR_ALL = "GRANT ALL ON SCHEMA public TO PUBLIC"
POSTGRESQL_BY_HAND = """
set -e
cd /
systemctl enable --now postgresql
su postgres -c "psql -q -c \\"CREATE USER xcatadm PASSWORD 'byhand1'\\""
su postgres -c "createdb -O xcatadm xcatdb"
echo "host all all $1/32 md5" >>/etc/postgresql/15/main/pg_hba.conf
echo "listen_addresses = 'localhost,$1'" >>/etc/postgresql/15/main/postgresql.conf
systemctl restart postgresql
dumpxCATdb -p /root/dump
systemctl stop xcatd
(umask 077; echo "Pg:dbname=xcatdb;host=$1|xcatadm|byhand1" >/etc/xcat/cfgloc)
XCATBYPASS=1 restorexCATdb -p /root/dump
systemctl start xcatd
"""

OLD = "10.5.106.4"
# The address that was there first is the VIP; the administrator has added the other one.
INTERFACES = f"""\
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address {VIP}/8
    up ip address add {OLD}/8 broadcast 10.255.255.255 dev eth0
    up ip address add 10.5.107.1/8 broadcast 10.255.255.255 dev eth0
    up ip route add default via 10.5.106.9 src {VIP}
    up ip route add 172.16.0.0/12 via 10.5.106.9
    up sysctl -w net.ipv4.conf.eth0.promote_secondaries=0 net.ipv4.conf.all.promote_secondaries=0
"""
PASSWORDS = {"XCATMYSQLADMIN_PW": "Adm1nSecret", "XCATMYSQLROOT_PW": "R00tSecret"}
TRACE = "strace -f -qq -e trace=execve -s 4096 -o /root/setup.trace".split()


def install_xcat(host):
    """A management node as xCAT's installer leaves it, data in SQLite."""
    host.succeed(GO_XCAT, "--yes", "install")


def move_to_postgresql(host):
    """xCAT's own switch on EL's layout, done by an administrator who knows of PostgreSQL 15."""
    for command in ("initdb -D /var/lib/pgsql/data", f"psql -d template1 -c '{TABLES_FOR_ALL}'"):
        host.succeed("su", "-", "postgres", "-c", command)
        host.succeed("systemctl", "start", "postgresql")
    host.xcat("sh", "-c", f"XCATPGPW=cluster pgsqlsetup -i -V -a {VIP}")


def move_to_postgresql_by_hand(host):
    """The switch on Debian's layout, where xCAT's own tool fails."""
    host.xcat("sh", "-c", POSTGRESQL_BY_HAND, "sh", host.address)


def make_existing(lab, hosts_line):
    """host1 is a management node with the VIP as its own first address."""
    one = lab.host1
    one.succeed("tee", "/etc/network/interfaces", input=INTERFACES)
    one.succeed("sed", "-i", f"s/.* host1$/{hosts_line}/", "/etc/hosts")
    one.reboot()
    install_xcat(one)
    one.xcat("chdef", "-t", "site", "domain=cluster.test")
    network = one.xcat("lsdef", "-t", "network").split()[0]
    one.xcat("chdef", "-t", "network", "-o", network, f"tftpserver={hosts_line.split()[0]}")
    one.xcat("chdef", "-t", "node", "-o", "cn1", "groups=all")
    write_trees(one, "first")
    one.succeed("sh", "-c", "head -c 300M /dev/urandom >/install/zzz-large")


def existing_in_sqlite(lab):
    """The node has always been known by the address that becomes the VIP."""
    make_existing(lab, f"{VIP} host1")


def existing_in_postgresql(lab):
    """The node is known by its other address, and so is its database."""
    make_existing(lab, f"{OLD} host1")
    move_to_postgresql(lab.host1)
    lab.host1.succeed("systemctl", "stop", "xcatd")


def existing_in_mysql(lab):
    """The node is known by its other address; its data are in MariaDB."""
    make_existing(lab, f"{OLD} host1")
    lab.host1.succeed("systemctl", "start", "mariadb")
    # A connection to one's own second address comes from the first one.
    lab.host1.xcat("sh", "-c", f"printf '{VIP}\\n{OLD}\\n' >/root/hosts; XCATMYSQLADMIN_PW=cluster "
                   "XCATMYSQLROOT_PW=cluster mysqlsetup -i -V -f /root/hosts")


EXISTING = {"sqlite": existing_in_sqlite, "postgresql": existing_in_postgresql}


def pair_on_mariadb(lab):
    """Both hosts, each by another name of the engine; all that the first one shows is kept."""
    line = SETUP.format(path="/HA", engine="mysql").split()
    one = lab.host1
    outputs = [one.succeed(*line, "--dryrun", env=PASSWORDS),
               one.succeed(*TRACE, *line, env=PASSWORDS)]
    one.succeed("tee", "/root/setup.output", input="".join(outputs))
    lab.host2.succeed(*SETUP.format(path="/HA", engine="mariadb").split(), env=PASSWORDS)


def pair_on_debian(lab):
    """host1 brings its data in PostgreSQL; host2 is fresh."""
    install_xcat(lab.host1)
    move_to_postgresql_by_hand(lab.host1)
    for host in lab.hosts:
        host.succeed(*SETUP.format(path="/HA", engine="postgresql").split())


# What the script of 2018 leaves on the share and on a node; the lines of ha_mn lack their newline.
OLD_SCRIPT_DATA = f"""
set -e
ip address add {VIP}/8 dev eth0 label eth0:0
hostname hamn
echo '{VIP} hamn' >>/etc/hosts
{GO_XCAT} --yes install
chdef -t site domain=cluster.test
chdef -t node -o cn1 groups=all
su - postgres -c 'initdb -D /var/lib/pgsql/data'
systemctl start postgresql
su - postgres -c "psql -d template1 -c '{TABLES_FOR_ALL}'"
XCATPGPW=cluster pgsqlsetup -i -V -a {OLD} -a 10.5.106.5
echo "listen_addresses = 'localhost,{VIP},{OLD},10.5.106.5'" >>/var/lib/pgsql/data/postgresql.conf
systemctl stop xcatd
systemctl stop postgresql
for name in /install /etc/xcat /root/.xcat /tftpboot /var/lib/pgsql; do
    mkdir -p /HA${{name%/*}}
    cp -a $name /HA$name
done
printf '{OLD} host110.5.106.5 host2' >/HA/etc/xcat/ha_mn
hostname host1
"""
OLD_SCRIPT_NODE = f"""
set -e
grep -qw hamn /etc/hosts || echo '{VIP} hamn' >>/etc/hosts
for name in /install /etc/xcat /root/.xcat /tftpboot /var/lib/pgsql; do
    mv $name $name.xcatbak
    ln -s /HA$name $name
done
systemctl stop xcatd
systemctl disable xcatd postgresql named isc-dhcp-server
"""
OLD_SCRIPT_ACTIVE = f"""
set -e
ip address add {VIP}/8 dev eth0 label eth0:0
hostname hamn
systemctl start postgresql
systemctl start xcatd
"""


def pair_of_the_old_script(lab):
    """Both hosts as standbys of the script of 2018, which leaves the links."""
    lab.host1.xcat("sh", "-c", OLD_SCRIPT_DATA)
    install_xcat(lab.host2)
    for host in lab.hosts:
        host.succeed("sh", "-c", OLD_SCRIPT_NODE)


def rebuild(lab, host, name=None, address=None):
    """An empty disk for a host that is off; boots under its own or a new name and address."""
    host.name, host.address = name or host.name, address or host.address
    image.command("umount", host.root)
    for directory in (host.upper, host.directory / "work"):
        image.remove(directory)
        directory.mkdir()
    image.mount_overlay(host.root, [lab.host_layer / "disk", lab.base], host.upper,
                        host.directory / "work")
    configure(host)
    host.boot()


def database_directories(host):
    """The working directory of every database server process, whatever the engine."""
    pids = host.run("pgrep", "-x", DATABASE_SERVERS).stdout.split()
    return {host.succeed("readlink", f"/proc/{pid}/cwd").strip() for pid in pids}


class Journey:
    """A pair that is activated on host1, moves to host2 as planned and back after a power loss."""

    def __init__(self, lab, engines):
        self.lab, self.engines, self.done, self.nodes = lab, engines, 0, []
        self.active, self.standby = lab.host2, lab.host1

    def go_to(self, stage):
        """Pass through the stages up to this one; a node is defined in each."""
        while self.done <= STAGES.index(stage):
            self.leave(STAGES[self.done])
            self.active, self.standby = self.standby, self.active
            engine = self.engines[self.done % len(self.engines)]
            self.active.succeed(*ACTIVATE.format(path="/HA", engine=engine).split())
            self.nodes.append(f"cn{self.done}")
            xcat(self.active, "chdef", "-t", "node", "-o", self.nodes[-1], "groups=all")
            self.done += 1

    def leave(self, stage):
        """Let the active host go, as the stage has it."""
        if stage == "planned failover":
            self.active.succeed(*DEACTIVATE.split())
        elif stage == "power loss":
            self.active.power_off()

    def defined_before(self):
        """The nodes that were defined while the other host was active."""
        return set(self.nodes[:-1])

    def defined(self):
        """The nodes that xCAT knows now."""
        return {line.split()[0] for line in xcat(self.active, "lsdef").splitlines()}
