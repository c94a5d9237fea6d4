"""xCAT's packages are upgraded on a pair: which node first, and what becomes of the shared files."""
import json
import re

import pytest

from tests.lab.lab import frozen
from tests.lab.pair import Pair, xcat
from tests.lab.test_el import become, lead_to

OLD, NEW = "2.19.0", "2.20.0"
GO_XCAT = "#!/bin/sh\nexec apt-get install -y xcat\n"
POSTSCRIPT = "/install/postscripts/syslog"

CONTROL = """\
Package: xcat
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
    /opt/xcat-repo/go-xcat --yes install
else
    . /etc/profile.d/xcat.sh
    xcatconfig -u
    XCATBYPASS=1 chdef -t site -o clustersite "upgraded={version} on $(hostname)"
    systemctl try-restart xcatd
fi
"""
MKNB = '#!/bin/sh\necho "of xCAT {version}" >/tftpboot/xcat/genesis.fs.$1\n'
BUILD = """
set -e
cd "$0"
for name in install/postscripts/syslog install/prescripts/sample; do
    install -D -m 755 /dev/null $name
    echo "of xCAT $1" >$name
    touch -d "20$(echo $1 | cut -d . -f 2)-01-01" $name
done
chmod 755 DEBIAN/postinst opt/xcat/sbin/mknb
dpkg-deb --root-owner-group --build "$0" "/srv/debs/xcat_$1.deb"
"""
# Of what dpkg-scanpackages writes, what apt needs.
INDEX = """
cd /srv/debs
{
    dpkg-deb --field "$0"
    echo "Filename: ./$0"
    echo "Size: $(stat -c %s "$0")"
    echo "SHA256: $(sha256sum "$0" | cut -d ' ' -f 1)"
} >Packages
apt-get update
"""


def write(host, path, text):
    """A file of the host's."""
    target = host.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


class Rpm:
    """EL 9, with dnf."""

    flavour, engine = "rpm", "postgresql"
    upgrade = "dnf upgrade -y xCAT xCAT-server".split()

    @staticmethod
    def prepare(host):
        become(host, "EL 9")

    @staticmethod
    def release(host):
        """The repository now has the new version too."""
        lead_to(host, lab="file:///srv/el", next="file:///srv/el-next")


class Deb:
    """Debian, with apt-get."""

    flavour, engine = "debian", "sqlite"
    upgrade = "apt-get install -y xcat".split()

    @staticmethod
    def prepare(host):
        write(host, "srv/debs/Packages", "")
        write(host, "etc/apt/sources.list", "deb [trusted=yes] file:/srv/debs ./\n")
        host.succeed("rm", "-rf", "/etc/apt/sources.list.d")
        write(host, "root/go-xcat", GO_XCAT)
        for version in (OLD, NEW):
            top = f"srv/build-{version}"
            write(host, f"{top}/DEBIAN/control", CONTROL.format(version=version))
            write(host, f"{top}/DEBIAN/postinst", POSTINST.replace("{version}", version))
            write(host, f"{top}/opt/xcat/sbin/mknb", MKNB.format(version=version))
            host.succeed("sh", "-c", BUILD, f"/{top}", version)
        host.succeed("sh", "-c", INDEX, f"xcat_{OLD}.deb")

    @staticmethod
    def release(host):
        host.succeed("sh", "-c", INDEX, f"xcat_{NEW}.deb")


@pytest.fixture(params=[Rpm, Deb], ids=["rpm", "deb"])
def packages(request):
    return request.param


@pytest.fixture
def pair(packages):
    """Both nodes set up with the old version, from packages; host1 is active."""
    def build(lab):
        for host in lab.hosts:
            packages.prepare(host)
            line = Pair(lab, packages.engine).line(
                "python xcatha.py -s -p {path} -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0 "
                "-t {engine} --go-xcat /root/go-xcat", host)
            host.succeed(*line)

    with frozen(f"packaged-{packages.engine}", build, flavour=packages.flavour) as lab:
        pair = Pair(lab, packages.engine)
        for host in lab.hosts:
            packages.release(host)
        pair.activate(lab.host1)
        yield pair


def version_of(host, path):
    return re.search(r"of xCAT (\S+)", host.succeed("cat", path)).group(1)


def shared_files(pair):
    """The share's files but for the database's, with the time at which each last changed."""
    return pair.lab.host1.succeed("find", "/HA/install", "/HA/tftpboot", "/HA/etc/xcat",
                                  "-type", "f", "-printf", "%p %C@\n")


def upgrade(packages, host):
    host.succeed(*packages.upgrade, env={"DEBIAN_FRONTEND": "noninteractive"})


def status(host):
    result = host.run("python3", "xcatha.py", "--status", "--json")
    return result.returncode, json.loads(result.stdout)


def package_notes(view):
    return [note for note in view["notes"] if "xCAT, which was upgraded" in note["note"]]


def upgraded_by(host):
    """The row that the upgrade leaves in the tables: which version, on which host."""
    return re.search(r"upgraded=(.*)", xcat(host, "lsdef", "-t", "site", "-i", "upgraded")).group(1)


def test_active_node_first_upgrades_shared_files_and_tables_once(packages, pair):
    host1, host2 = pair.lab.hosts
    upgrade(packages, host1)
    pair.activate(host1)
    assert version_of(host1, POSTSCRIPT) == NEW and upgraded_by(host1) == f"{NEW} on hamn"
    assert status(host1)[1]["role"] == "active"

    before = shared_files(pair)
    upgrade(packages, host2)
    pair.setup(host2)
    assert shared_files(pair) == before and upgraded_by(host1) == f"{NEW} on hamn"
    assert status(host2)[1]["problems"] == []

    pair.deactivate(host1)
    pair.activate(host2)
    code, view = status(host2)
    assert (code, view["problems"], package_notes(view)) == (0, [], [])
    assert version_of(host2, POSTSCRIPT) == NEW


def test_standby_first_leaves_shared_files_old_and_status_names_the_remedy(packages, pair):
    host1, host2 = pair.lab.hosts
    upgrade(packages, host2)
    pair.deactivate(host1)
    pair.activate(host2)
    assert version_of(host2, POSTSCRIPT) == OLD
    note, = package_notes(status(host2)[1])
    assert note["note"].startswith("/install/p") and "mknb" in note["mend"]

    host2.succeed("bash", "-lc", note["mend"])
    assert package_notes(status(host2)[1]) == []
    assert {version_of(host2, path) for path in (
        POSTSCRIPT, "/install/prescripts/sample", "/tftpboot/xcat/genesis.fs.x86_64")} == {NEW}
    assert upgraded_by(host2) == f"{NEW} on hamn"
