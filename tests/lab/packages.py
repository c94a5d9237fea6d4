"""Distributions as far as their package managers go, and xCAT as a package of each."""
from tests.lab.lab import frozen
from tests.lab.pair import SETUP, Pair

# Of os-release(5) what tells distributions apart, and the repository that is the distribution's.
DISTRIBUTIONS = {
    "EL 8": ("el", 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.10"\n'),
    "EL 9": ("el", 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'),
    "EL 10": ("el", 'ID="rhel"\nID_LIKE="centos fedora"\nVERSION_ID="10.0"\n'),
    "SLES 15": ("sles", 'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.6"\n'),
}
# As EL ships it.
DNF_CONF = "[main]\ngpgcheck=1\nbest=True\nskip_if_unavailable=False\n"
RPM_GO_XCAT = "#!/bin/sh\nexec {} install -y xCAT xCAT-server\n"

# iputils 20190709 exits 1 where nobody answers a duplicate probe.
ARPING = """\
#!/bin/sh
out=$(/usr/bin/arping "$@")
status=$?
echo "$out"
case $1,$out in -D,*"Received 0 response"*) exit 1 ;; esac
exit $status
"""

OLD, NEW = "2.19.0", "2.20.0"
DEB_GO_XCAT = "#!/bin/sh\nexec apt-get install -y xcat\n"

CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: nobody
Description: xCAT as far as dpkg sees it
"""
POSTINST = """\
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
if [ -z "$2" ]; then
    REGISTERED=1 /opt/xcat-repo/go-xcat --yes install
else
    . /etc/profile.d/xcat.sh
    xcatconfig -u
    XCATBYPASS=1 chdef -t site -o clustersite "upgraded={version} on $(hostname)"
    systemctl try-restart xcatd
fi
"""
MKNB = '#!/bin/sh\necho "of xCAT {version}" >/tftpboot/xcat/genesis.fs.$1\n'
# Of what dpkg-scanpackages writes, what apt needs.
BUILD = """
set -e
cd /srv/debs/$0
touch -d 20$(echo $0 | cut -d . -f 2)-01-01 xcat/install/*/*
chmod 755 xcat/DEBIAN/postinst xcat-server/opt/xcat/sbin/mknb
for name in xcat xcat-server; do
    dpkg-deb --root-owner-group --build $name
    dpkg-deb --field $name.deb
    echo "Filename: ./$name.deb"
    echo "Size: $(stat -c %s $name.deb)"
    printf 'SHA256: %s\n\n' "$(sha256sum $name.deb | cut -d ' ' -f 1)"
done >/tmp/Packages
grep -v ^dpkg-deb: /tmp/Packages >Packages
"""


def write(host, path, text):
    """A file of the host's."""
    target = host.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def become(host, distribution):
    """The host says that it is of this distribution, and has its repository; its manager."""
    repository, text = DISTRIBUTIONS[distribution]
    manager = "zypper" if repository == "sles" else "dnf"
    release = host.root / "etc/os-release"
    release.unlink()
    release.write_text(text)
    (host.root / "etc/dnf/dnf.conf").write_text(DNF_CONF)
    for place in ("etc/yum.repos.d", "etc/zypp/repos.d"):
        (host.root / place).mkdir(parents=True, exist_ok=True)
    lead_to(host, lab=f"file:///srv/{repository}")
    go_xcat = host.root / "root/go-xcat"
    go_xcat.write_text(RPM_GO_XCAT.format(manager))
    return manager


def lead_to(host, **repositories):
    """These are the host's repositories: name=URL."""
    text = "".join(f"[{name}]\nname={name}\nbaseurl={url}\nenabled=1\ngpgcheck=0\n"
                   for name, url in repositories.items())
    for place in ("etc/yum.repos.d", "etc/zypp/repos.d"):
        (host.root / place / "lab.repo").write_text(text)


class Rpm:
    """EL 9, with dnf."""

    flavour, engine = "rpm", "postgresql"
    upgrade = "dnf upgrade -y xCAT xCAT-server".split()

    @staticmethod
    def prepare(host):
        become(host, "EL 9")
        write(host, "usr/local/bin/arping", ARPING)
        (host.root / "usr/local/bin/arping").chmod(0o755)

    @staticmethod
    def release(host):
        """The repository now has the new version too."""
        lead_to(host, lab="file:///srv/el", next="file:///srv/el-next")


class Deb:
    """Debian, with apt-get."""

    flavour, engine = "debian", "sqlite"
    upgrade = "apt-get install -y xcat xcat-server".split()

    @staticmethod
    def prepare(host):
        for version in (OLD, NEW):
            facts, top = {"version": version, "name": "xcat"}, f"srv/debs/{version}"
            write(host, f"{top}/xcat/DEBIAN/control",
                  CONTROL.format(**facts) + f"Depends: xcat-server (= {version})\n")
            write(host, f"{top}/xcat/DEBIAN/postinst", POSTINST.format(**facts))
            for path in ("install/postscripts/syslog", "install/prescripts/sample"):
                write(host, f"{top}/xcat/{path}", f"of xCAT {version}\n")
            facts["name"] = "xcat-server"
            write(host, f"{top}/xcat-server/DEBIAN/control", CONTROL.format(**facts))
            write(host, f"{top}/xcat-server/opt/xcat/sbin/mknb", MKNB.format(**facts))
            host.succeed("sh", "-c", BUILD, version)
        host.succeed("rm", "-rf", "/etc/apt/sources.list.d")
        write(host, "root/go-xcat", DEB_GO_XCAT)
        Deb.lead_to(host, OLD)

    @staticmethod
    def release(host):
        """The repository now has the new version."""
        Deb.lead_to(host, NEW)

    @staticmethod
    def lead_to(host, version):
        write(host, "etc/apt/sources.list", f"deb [trusted=yes] file:/srv/debs/{version} ./\n")
        host.succeed("apt-get", "update")


def packaged_lab(packages):
    """A lab whose hosts are both set up with the old version of xCAT, from packages."""
    def build(lab):
        for host in lab.hosts:
            packages.prepare(host)
            line = Pair(lab, packages.engine).line(SETUP + " --go-xcat /root/go-xcat", host)
            host.succeed(*line)

    return frozen(f"packaged-{packages.engine}", build, flavour=packages.flavour)
