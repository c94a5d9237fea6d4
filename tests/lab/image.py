"""The disk of the lab's hosts: Debian 12 with PostgreSQL in one of two layouts, kept in a cache.

Two layers, each named by a hash of what it is made from, so that a changed recipe makes a new one:
the base (Debian and the service packages) and, on top, what `host_layer` adds: the layout of the
flavour, the stand-in for xCAT in /opt/xcat-repo and trust in the lab's download server.
"""
import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import time

STAND_IN = pathlib.Path(__file__).parent / "xcat"
DOWNLOAD_SERVER = "raw.githubusercontent.com"
SUITE = "bookworm"

PACKAGES = """
    acl apache2 attr bind9 bind9-dnsutils bind9-utils ca-certificates conserver-client
    conserver-server dbus ifupdown iproute2 iputils-arping iputils-ping isc-dhcp-client
    isc-dhcp-server less libdbd-mysql-perl libdbd-pg-perl mariadb-server net-tools openssh-server
    openssl postgresql-15 procps python-is-python3 python3 python3-netifaces python3-psutil
    python3-psycopg2 python3-pymysql rsync strace systemd systemd-sysv tftpd-hpa
""".split()

DPKG_OPTIONS = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
"""

# Nothing but apache2 starts at boot: enabling the rest is the xCAT installer's part.
INSTALL = """
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install $PACKAGES
systemctl disable apt-daily.timer apt-daily-upgrade.timer conserver-server dpkg-db-backup.timer \\
    isc-dhcp-server logrotate.timer mariadb named postgresql ssh tftpd-hpa
rm -rf /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.conf /var/lib/apt/lists/*
apt-get clean
sed -i 's/^hosts:.*/hosts: files dns/' /etc/nsswitch.conf
"""

EL_POSTGRESQL_UNIT = """\
[Unit]
Description=PostgreSQL database server
After=network.target

[Service]
Type=notify
User=postgres
Group=postgres
Environment=PGDATA=/var/lib/pgsql/data
ExecStartPre=/usr/bin/test -s ${PGDATA}/PG_VERSION
ExecStart=/usr/bin/postmaster -D ${PGDATA}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
KillSignal=SIGINT
TimeoutSec=300

[Install]
WantedBy=multi-user.target
"""

# EL's conserver reads the file that xCAT writes.
# xCAT's database tools ask for /etc/debian_version to tell Debian from EL.
EL_LAYOUT = f"""
rm -rf /etc/debian_version /etc/postgresql /var/lib/postgresql /etc/init.d/postgresql
rm -f /lib/systemd/system/postgresql*.service /lib/systemd/system-generators/postgresql-generator
rm -f /etc/rc?.d/*postgresql
ln -sf ../conserver.cf /etc/conserver/conserver.cf
usermod --home /var/lib/pgsql postgres
install -d -m 0700 -o postgres -g postgres /var/lib/pgsql /var/lib/pgsql/data /var/lib/pgsql/backups
ln -sf /usr/lib/postgresql/15/bin/* /usr/bin/
ln -sf postgres /usr/bin/postmaster
cat > /lib/systemd/system/postgresql.service <<'END'
{EL_POSTGRESQL_UNIT}END
"""

# As the package leaves it when it is not told otherwise.
DEBIAN_LAYOUT = "pg_createcluster 15 main"

# ocf-tester comes with resource-agents and needs xmllint.
CLUSTER_MANAGER = """
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install corosync crmsh libxml2-utils pacemaker \\
    pacemaker-cli-utils pcs resource-agents
systemctl disable corosync pacemaker pcsd
rm -rf /var/lib/apt/lists/*
apt-get clean
"""

# EL's and SLES's package managers, and small packages for them.
RPM_BUILD = (pathlib.Path(__file__).parent / "rpm/build.py").read_text()
RPM = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install createrepo-c dnf rpm zypper
rm -rf /var/lib/apt/lists/*
apt-get clean
{EL_LAYOUT}
python3 - <<'END'
{RPM_BUILD}END
"""

# For tests/vm: a kernel, NFS at both ends and a login; the initial file system is kept small.
VIRTUAL_MACHINE = """
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install initramfs-tools kmod lz4 udev
printf 'ext4\\nvirtio_blk\\nvirtio_net\\nvirtio_pci\\n' >>/etc/initramfs-tools/modules
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=lz4/' \\
    /etc/initramfs-tools/initramfs.conf
apt-get -q -y --no-install-recommends install linux-image-cloud-amd64 nfs-common \\
    nfs-kernel-server rpcbind
systemctl enable ssh
systemctl disable nfs-server
systemctl mask e2scrub_reap.service getty@tty1.service
rm -rf /var/lib/apt/lists/*
apt-get clean
"""

FLAVOURS = {"el": EL_LAYOUT, "debian": DEBIAN_LAYOUT, "pacemaker": CLUSTER_MANAGER + EL_LAYOUT,
            "rpm": RPM, "vm": VIRTUAL_MACHINE + EL_LAYOUT}


def cache():
    """The directory that holds images, frozen states and running labs, all on one filesystem."""
    return pathlib.Path(os.environ.get("XCATHA_LAB_CACHE", "/var/cache/xcatha-lab"))


@contextlib.contextmanager
def cache_lock():
    """One process at a time builds or deletes things in the cache."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(*parts):
    """A short hash of strings, files and directory trees (names and contents)."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            for file in tree(part):
                total.update(f"{file.relative_to(part.parent)}\0{file.stat().st_mode}\0".encode())
                total.update(file.read_bytes())
        else:
            total.update(f"{part}\0".encode())
    return total.hexdigest()[:12]


def tree(top):
    """Every file of a tree, or the file itself, but for what Python leaves behind."""
    found = [top] if top.is_file() else sorted(top.rglob("*"))
    return [file for file in found if file.is_file() and "__pycache__" not in file.parts]


def stored(path, fill):
    """`path`, built by `fill(directory)` unless it is there; it only ever appears complete."""
    if not path.exists():
        partial = path.with_name(path.name + ".partial")
        remove(partial)
        partial.mkdir(parents=True)
        fill(partial)
        partial.rename(path)
    return path


def remove(directory):
    """Delete a directory that a killed run may have left mounts in."""
    for mount in reversed(command("findmnt", "-rno", "TARGET").splitlines()):
        if mount.startswith(f"{directory}/"):
            command("umount", mount)
    if directory.exists():
        shutil.rmtree(directory)


def command(*argv, **options):
    """Run a command of the machine; what it printed is shown when it fails."""
    result = subprocess.run(argv, stdin=options.pop("stdin", subprocess.DEVNULL), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if result.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {result.returncode}\n"
                           f"{result.stdout[-4000:]}")
    return result.stdout


def wait_for(condition, timeout, what, pause=0.02):
    """The first true value of `condition()`; TimeoutError that names `what` after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(pause)


@functools.lru_cache(maxsize=None)
def cgroup_root():
    """Where the machine has the unified control group hierarchy."""
    return pathlib.Path(command("findmnt", "-nfo", "TARGET", "-t", "cgroup2").strip())


def in_cgroup(cgroup, *argv):
    """The command that runs `argv` in a control group."""
    return ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; unset PWD; exec "$@"',
            *map(str, (cgroup, *argv))]


def remove_cgroup(cgroup):
    """Kill everything in a control group and delete it."""
    if cgroup.exists():
        (cgroup / "cgroup.kill").write_text("1")
        wait_for(lambda: "populated 0" in (cgroup / "cgroup.events").read_text(), 30,
                 f"end of all processes in {cgroup}")
        for group, _, _ in os.walk(cgroup, topdown=False):
            os.rmdir(group)


def base():
    """The base layer: Debian with the services installed."""
    name = digest(SUITE, PACKAGES, DPKG_OPTIONS, INSTALL)

    def fill(root):
        command("debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, root,
                mirror())
        copy_apt_configuration(root)
        inside(root, f"PACKAGES='{' '.join(PACKAGES)}'\n{INSTALL}")

    return stored(cache() / "images" / f"base-{name}", fill)


def mirror():
    """Where this machine gets Debian from."""
    lines = command("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)",
                    "Created-By: Packages").splitlines()
    for line in lines:
        suite, component, uri = line.split(maxsplit=2)
        if (suite, component) == (SUITE, "main"):
            return uri
    raise RuntimeError(f"the machine's apt sources do not list {SUITE} main")


def copy_apt_configuration(root):
    """The host installs from where the machine does, and without what slows it down."""
    for place in ("etc/apt", "usr/share/keyrings"):
        shutil.copytree(f"/{place}", root / place, symlinks=True, dirs_exist_ok=True)
    (root / "etc/dpkg/dpkg.cfg.d/lab").write_text(DPKG_OPTIONS)


def inside(root, script):
    """Run a shell script in a container on `root` that shares the machine's network."""
    proxies = [f"--setenv={name}" for name in os.environ if name.lower().endswith("_proxy")]
    cgroup = cgroup_root() / "xcatha-image"
    remove_cgroup(cgroup)
    cgroup.mkdir()
    try:
        command(*in_cgroup(
            cgroup, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", *proxies,
            "--resolv-conf=copy-host", "--timezone=off", "--private-users=no", "-D", root,
            "/bin/sh", "-e", "-c", script))
    finally:
        remove_cgroup(cgroup)


def host_layer(lower, flavour="el"):
    """What makes the base a host of the lab; the directory also holds the server's certificate.

    disk/ is the layer; server.pem and server.key are for the download server alone.
    """
    name = digest(lower.name, FLAVOURS[flavour], STAND_IN, certificates.__doc__, DOWNLOAD_SERVER)

    def fill(layer):
        for part in ("disk", "work", "root"):
            (layer / part).mkdir()
        certificates(layer)
        with overlay(layer / "root", [lower], layer / "disk", layer / "work") as root:
            inside(root, FLAVOURS[flavour])
            if STAND_IN.exists():
                shutil.copytree(STAND_IN, root / "opt/xcat-repo",
                                ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(layer / "ca.pem", root / "usr/local/share/ca-certificates/lab.crt")
            command("chroot", root, "update-ca-certificates")

    return stored(cache() / "images" / f"host-{flavour}-{name}", fill)


def certificates(directory):
    """ca.pem and a server certificate that it signed, good for ten years; the CA's key is gone."""
    def openssl(*argv):
        command("openssl", *argv, cwd=directory)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=lab",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={DOWNLOAD_SERVER}",
            "-addext", f"subjectAltName=DNS:{DOWNLOAD_SERVER}",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", "server.key", "-out", "server.pem")
    (directory / "ca.key").unlink()


@contextlib.contextmanager
def overlay(root, lowers, upper, work):
    """`root` shows the layers `lowers` (topmost first) with `upper` taking the changes."""
    mount_overlay(root, lowers, upper, work)
    try:
        yield root
    finally:
        command("umount", root)


def mount_overlay(root, lowers, upper, work):
    """Mount an overlay in which directories of lower layers can be renamed, as on a plain disk."""
    layers = ":".join(map(str, lowers))
    command("mount", "-t", "overlay", "xcatha-lab", root, "-o",
            f"redirect_dir=on,lowerdir={layers},upperdir={upper},workdir={work}")
