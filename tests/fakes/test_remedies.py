"""Each refusal names a remedy that works: provoked, refused, fixed as it says, and it is gone.

The cases of a table follow one another on the same two nodes. After its remedy a command only has
to pass all its checks (--dryrun). Refusals that need more than that have tests of their own below.
"""

import json
import re

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.node import ADDRESSES, cluster
from tests.fakes.test_refusals import IP, changed

LIMITS = {"SHARE_LIMIT": 2}
PAIR = ("host1", "host2")
ON_SQLITE = changed(SETUP, "-t", "sqlite")
GO_XCAT = "/usr/local/lib/fakes/go-xcat"
HIDE = "mv $(command -v {0}) /root/{0}.away"
SHOW = "mv /root/{0}.away /usr/bin/{0}"
SYSTEM = "sed -i s/^ID=.*/ID={0}/ /etc/os-release"
RUN_OF_ANOTHER = "setsid -f flock /run/xcatha.lock sleep 9 >/dev/null 2>&1; sleep 1"


class Case:
    """One refusal: how it comes about, the line that is refused, what it says, what fixes it."""

    def __init__(self, provoke, line, said, fix, then=None, code=3, env=None):
        """Commands are shell lines; `fix` may hold {remedy}, what the message names last.

        `then` is the line that passes in the end, where the remedy is another line.
        """
        self.provoke, self.line, self.said, self.fix = provoke, line, said, fix
        self.then, self.code, self.env = then or line, code, env or {}

    def try_on(self, node):
        """Go all the way."""
        if self.provoke:
            node.succeed("sh", "-c", self.provoke)
        before = node.picture()
        refusal = node.xcatha(*self.line, code=self.code, env=self.env).stderr
        assert re.search(self.said, refusal), refusal
        assert "Nothing was changed." in refusal or "another run" in refusal
        assert not node.changes_since(before)
        remedy = re.search(r"next: (?:bring it up: )?(.*)", refusal).group(1)
        if self.fix:
            node.succeed("sh", "-c", self.fix.format(remedy=remedy))
        node.xcatha(*self.then, "--dryrun")


FRESH = {
    "a host without a name": Case(
        "echo '# none' >/etc/hostname", SETUP,
        "/etc/hostname does not name this host\n.*it is empty\n.*next: write this host's own name",
        "echo host1 >/etc/hostname"),
    "a NIC that is not there": Case(
        "", changed(SETUP, "-i", "eth9:0"),
        "there is no NIC eth9\n.*NICs here: eth0, lo\n.*next: give the right one with -i", "",
        changed(SETUP, "-i", "eth0:0")),
    "a NIC that is down": Case(
        f"{IP} link set eth0 down", SETUP, "the NIC eth0 is down", "{remedy}"),
    "a NIC without an address": Case(
        f"{IP} address flush dev eth0", SETUP,
        "eth0 has no address of its own\n.*\n.*next: give the node another address on that NIC",
        f"{IP} address add 10.5.106.4/8 broadcast + dev eth0"),
    "a VIP that is the only address": Case(
        "", changed(SETUP, "-v", ADDRESSES["host1"]),
        "eth0 has no address of its own\n.*its only address is the VIP\n.*next: give the node "
        "another address on that NIC",
        f"{IP} address add 10.5.106.6/8 dev eth0"),
    "a tool that is missing": Case(
        HIDE.format("rsync"), SETUP, "not installed: rsync\n.*\n.*next: dnf install rsync",
        SHOW.format("rsync")),
    "a probe that cannot work": Case(
        "echo FAIL_ON arping -D >/var/lib/fakes/fault", SETUP,
        "cannot probe for 10.5.106.50\n.*\n.*next: make `arping -D .*` work on this host",
        "echo >/var/lib/fakes/fault", code=1),
    "a share that is not there": Case(
        "", changed(SETUP, "-p", "/nowhere"),
        "the share /nowhere is not there\n.*\n.*next: is it mounted. Give its path with -p", "",
        SETUP),
    "a share that is not mounted": Case(
        "mkdir /srv/HA", changed(SETUP, "-p", "/srv/HA"),
        "/srv/HA is not on a mount of its own\n.*\n.*next: is it mounted.",
        "mount --bind /HA /srv/HA"),
    "a share that is not mounted where fstab has it": Case(
        "umount /srv/HA; mount -t tmpfs tmpfs /srv && mkdir /srv/HA && "
        "echo '/HA /srv/HA/ none bind 0 0' >>/etc/fstab", changed(SETUP, "-p", "/srv/HA"),
        "/srv/HA is not on a mount of its own\n.*it lies on /srv\n"
        ".*next: is it mounted. mount /srv/HA", "mount /srv/HA"),
    "a share that is mounted read-only": Case(
        "umount /srv/HA; mount -t tmpfs -o ro tmpfs /srv/HA", changed(SETUP, "-p", "/srv/HA"),
        "/srv/HA is mounted read-only\n.*\n.*next: mount -o remount,rw /srv/HA", "{remedy}"),
    "a share that root cannot write to": Case(
        "mount -t proc proc /srv/HA", changed(SETUP, "-p", "/srv/HA"),
        "root cannot write to /srv/HA\n.*\n.*next: export it with no_root_squash",
        "umount /srv/HA"),
    "a share that squashes root": Case(
        "bindfs --force-user=nobody --create-for-user=nobody /srv/HA /srv/HA",
        changed(SETUP, "-p", "/srv/HA"),
        "/srv/HA squashes root\n.*\n.*next: export it with no_root_squash", "umount /srv/HA"),
    "a share that is too small": Case(
        "mount -o remount,size=1m /srv/HA; mkdir /install; head -c 4M /dev/zero >/install/image",
        changed(SETUP, "-p", "/srv/HA"), "the share is too small\n.*\n.*next: make room on /srv/HA",
        "mount -o remount,size=100m /srv/HA"),
    "a share that is silent": Case(
        "echo HANG_ON stat --file-system >/var/lib/fakes/fault", SETUP,
        "the share /HA does not answer\n.*\n.*next: bring its server or network back",
        "echo >/var/lib/fakes/fault"),
    "a name in the way on the share": Case(
        "mkdir /HA/install", SETUP, "/HA/install is in the way\n.*\n.*next: move it away",
        "mv /HA/install /HA/mine"),
    "a foreign link": Case(
        "mv /install /srv/install; ln -s /srv/install /install", SETUP,
        "/install is a link to /srv/install\n.*\n.*next: rm /install && "
        "mkdir /install && mount --bind /srv/install /install; or add --exclude /install", "",
        [*SETUP, "--exclude", "/install"]),
    "the same, a mount": Case(
        "", SETUP, "/install is a link to /srv/install",
        "rm /install && mkdir /install && mount --bind /srv/install /install"),
    "a filesystem below a directory": Case(
        "mkdir -p /install/iso; mount -t tmpfs tmpfs /install/iso", SETUP,
        "filesystems are mounted below /install\n.*/install/iso\n.*next: unmount",
        "umount /install/iso"),
    "a password that xCAT does not take": Case(
        "", SETUP, "XCATPGPW is not alphanumeric\n.*\n.*next: choose another password", "",
        env={"XCATPGPW": "not;alphanumeric"}),
    "a VIP under the node's own name": Case(
        "", changed(SETUP, "-n", "host1.cluster.test"),
        "the VIP's host name host1.cluster.test is a node's own\n.*host1 boots with it\n.*next: "
        "choose a name for the VIP alone with -n", "", SETUP),
    "no go-xcat": Case(
        "", changed(SETUP, "--go-xcat", "/root/gone"),
        "there is no go-xcat at /root/gone\n.*\n.*next: give a local copy with --go-xcat FILE", "",
        SETUP),
    "a database that cannot be shared": Case(
        "mkdir -p /etc/xcat; echo 'DB2:xcatdb|xcatdb|secret' >/etc/xcat/cfgloc", SETUP,
        "/etc/xcat/cfgloc names a database that xcatha cannot share\n.*\n.*next: move xCAT to "
        "postgresql, mysql or sqlite first", "rm /etc/xcat/cfgloc"),
    "a database that xCAT has left": Case(
        "echo 'Pg:dbname=xcatdb;host=10.5.106.4|xcatadm|x' >/etc/xcat/cfgloc", ON_SQLITE,
        "xCAT already uses postgresql on this node\n.*\n.*next: run setup with -t postgresql", "",
        SETUP),
    "a distribution that pgsqlsetup does not know": Case(
        f"rm -rf /etc/xcat; {SYSTEM.format('debian')}", SETUP,
        "xCAT's pgsqlsetup cannot work on this distribution\n.*\n.*next: .* use -t mysql or "
        "-t sqlite", "", ON_SQLITE),
    "a node that was never set up": Case(
        f"{GO_XCAT} --yes install", ACTIVATE,
        "the share /HA holds no finished setup\n.*\n.*next: run setup first: xcatha.py -s", "",
        ON_SQLITE),
    "another run": Case(
        RUN_OF_ANOTHER, DEACTIVATE,
        "another run of xcatha.py is at work on this node\n.*\n.*next: wait for its end",
        "flock /run/xcatha.lock true"),
}

MEMBER = {
    "another VIP": Case(
        "", changed(ACTIVATE, "-v", "10.5.106.51"),
        "-v 10.5.106.51 differs from the pair's 10.5.106.50\n.*\n.*next: use -v 10.5.106.50", "",
        ACTIVATE),
    "a VIP that is the other node's address": Case(
        "mv /HA/.xcatha/cluster.json /root", changed(SETUP, "-v", ADDRESSES["host2"]),
        "the VIP 10.5.106.5 is host2's physical address\n.*\n.*next: choose an address that no "
        "node has", "", SETUP),
    "a name that another machine has, too": Case(
        "sed -i s/10.5.106.4/10.5.106.5/ /HA/.xcatha/nodes/host1.json", ACTIVATE,
        "another machine has this node's name, host1\n.*10.5.106.5, .* answers\n.*next: give each "
        "its own in /etc/hostname",
        "sed -i s/10.5.106.5/10.5.106.4/ /HA/.xcatha/nodes/host1.json"),
    "a share that is not the pair's": Case(
        "mount -t tmpfs none /HA", ACTIVATE,
        "/HA holds nothing of this node's pair\n.*member of one\n.*next: mount the pair's share",
        "umount /HA"),
    "a record that cannot be read": Case(
        "echo { >/HA/.xcatha/cluster.json", ACTIVATE,
        "the record /HA/.xcatha/cluster.json cannot be read\n.*\n.*next: restore it from a backup",
        "cp /root/cluster.json /HA/.xcatha/"),
    "a record of a newer script": Case(
        "echo '{\"format\": 9}' >/HA/.xcatha/cluster.json", ACTIVATE,
        "the record /HA/.xcatha/cluster.json is of format 9\n.*\n.*next: use the newer xcatha.py",
        "cp /root/cluster.json /HA/.xcatha/"),
    "a cfgloc of another database": Case(
        "mv /HA/etc/xcat/cfgloc /root; echo >/HA/etc/xcat/cfgloc", ACTIVATE,
        "/HA/etc/xcat/cfgloc does not name postgresql\n.*\n.*next: restore its first line from a "
        "backup", "cp /root/cfgloc /HA/etc/xcat/"),
}


@pytest.fixture(scope="module")
def fresh(kept):
    """A fresh node, on which one case follows the other."""
    with cluster(kept / "remedies") as (host1,):
        host1.shorten(**LIMITS)
        yield host1


@pytest.fixture(scope="module")
def member(kept, set_up):
    """A member of a pair, on which one case follows the other."""
    with cluster(kept / "remedies of members", PAIR, set_up) as nodes:
        yield nodes[0]


@pytest.mark.parametrize("name", FRESH)
def test_remedy_of_a_refusal_on_a_fresh_node_works(fresh, name):
    FRESH[name].try_on(fresh)


@pytest.mark.parametrize("name", MEMBER)
def test_remedy_of_a_refusal_on_a_member_works(member, name):
    MEMBER[name].try_on(member)


# ---- Remedies on the other node ----------------------------------------------------------------


def record_falsely(node, name, fact, value):
    """The share has another value of a node's, as a script of old had taken it from an error."""
    path = node.path(f"/HA/.xcatha/nodes/{name}.json")
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **{fact: value})))


@pytest.mark.parametrize("role, line", [("standby", SETUP), ("active", ACTIVATE)])
def test_version_recorded_falsely_is_set_right_by_the_line_that_the_refusal_names(
    members, role, line
):
    host1, host2 = members
    if role == "active":
        host2.xcatha(*ACTIVATE)
    record_falsely(host1, "host2", "xcat", "10.5")
    said = host1.xcatha(*SETUP, code=3).stderr
    assert "xcat differs from host2" in said and "2.19 here, 10.5 there" in said
    assert f"run xcatha.py {line[0]} on host2 first" in said
    host2.xcatha(*line)
    host1.xcatha(*SETUP)
    assert losses.is_standby(host1)


def test_pair_that_was_upgraded_while_nobody_was_active_gets_on_by_an_activate(members):
    host1, host2 = members
    for name in ("host1", "host2"):
        record_falsely(host1, name, "xcat", "2.18")
    for node in members:
        assert "(-a where -s is refused, too)" in node.xcatha(*SETUP, code=3).stderr
    host2.xcatha(*ACTIVATE)
    host2.xcatha(*DEACTIVATE)
    host1.xcatha(*SETUP)


LEASE = '{"host": "host2", "boot": "b", "counter": %s}\n'
COUNTS = f"for n in $(seq 200); do printf {LEASE!r} $n >/HA/.xcatha/lease; sleep 0.3; done"


def test_peer_whose_counter_moves_is_not_off(members):
    """It does not answer, and its lock is not seen: only its counter tells."""
    host1, host2 = members
    host2.power_off()
    host1.shorten(LEASE_TIME=20)
    host1.succeed("tee", "/root/counts", input=COUNTS)
    host1.succeed("sh", "-c", "setsid -f sh /root/counts >/dev/null 2>&1")
    said = host1.xcatha(*ACTIVATE, "--peer-is-off", code=3).stderr
    assert "--peer-is-off refused: the other node is not off" in said
    assert "its counter on the share moves" in said and "power it off first" in said
    host1.succeed("pkill", "-f", "/root/counts")
    host1.xcatha(*ACTIVATE, "--peer-is-off")


def status_lines(node, code):
    return node.xcatha("--status", code=code).stdout.splitlines()


def test_version_recorded_falsely_is_set_right_by_what_status_says(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    record_falsely(host1, "host1", "xcat", "10.5")
    lines = status_lines(host1, 1)
    problem = lines.index("PROBLEM: xcat is 2.19 here, recorded as 10.5")
    host1.succeed("sh", "-c", lines[problem + 1].partition("fix: ")[2])
    status_lines(host1, 0)


def test_node_that_was_renamed_while_it_is_active_is_told_to_deactivate_first(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("sh", "-c", "echo host9 >/etc/hostname")
    said = host1.xcatha(*ACTIVATE, code=3).stderr
    assert "this node itself, as host1, has not let go of the lease" in said
    assert "power it off" not in said
    assert losses.PRIMARY not in said and "next: run xcatha.py -d" in said
    host1.xcatha(*DEACTIVATE)
    assert losses.PRIMARY in host1.xcatha(*ACTIVATE).stdout


def test_half_copy_that_was_put_aside_is_noted_until_it_is_removed(members):
    host1, _ = members
    host1.succeed("mkdir", "/HA/install.xcatha-partial")
    lines = status_lines(host1, 1)
    problem = lines.index("PROBLEM: a half copy is left: /HA/install.xcatha-partial")
    host1.succeed("sh", "-c", lines[problem + 1].partition("fix: ")[2])
    lines = status_lines(host1, 3)
    aside = "/HA/install.xcatha-partial.old"
    note = lines.index(f"note: {aside} is left over from an earlier setup")
    assert lines[note + 1] == "  fix: look into it, then remove it"
    host1.succeed("rmdir", aside)
    assert not any("left over" in line for line in status_lines(host1, 3))


def test_node_without_xcat_is_fixed_by_setup(members):
    host1, _ = members
    host1.succeed("mv", "/opt/xcat/sbin/xcatd", "/opt/xcat/sbin/xcatd.away")
    said = host1.xcatha(*ACTIVATE, code=3).stderr
    assert "xCAT is not installed on this node" in said and "run setup on this node" in said
    host1.xcatha(*SETUP)
    host1.xcatha(*ACTIVATE, "--dryrun")


@pytest.mark.parametrize(
    "moment, remedy",
    [
        ("rsync", "run setup there again"),
        ("rsync", "--peer-is-off"),
        ("systemctl start xcatd", "--peer-is-off"),
    ],
)
def test_setup_that_is_not_finished_elsewhere(pair, moment, remedy):
    """Of the host that was at it, or of its heir if it is dead."""
    host1, host2 = pair
    for host in pair:
        host.shorten(LEASE_TIME=9)
    host1.plan("SIGKILL_ON", moment)
    host1.run(*host1.script(*SETUP))
    host1.heal()
    said = host2.xcatha(*SETUP, code=3).stderr
    assert "setup on host1 is not finished" in said and remedy in said
    if remedy == "--peer-is-off":
        host1.power_off()
        host2.xcatha(*SETUP, "--peer-is-off")
    else:
        host1.xcatha(*SETUP)
        host2.xcatha(*SETUP)
    assert losses.is_standby(host2)
    host2.xcatha(*ACTIVATE)


# ---- Failures that have changed something ------------------------------------------------------

# {(fault, what it meets): what the run says that is undone by it, or by -d is reported}
LIES_ON_FRESH = {
    ("LIE_ON", "go-xcat"): "go-xcat ended without an error, but xCAT is not installed\n.*\n"
                           ".*next: see /tmp/go-xcat.log",
    ("LIE_ON", "pgsqlsetup"): "the switch to postgresql did not happen\n.*still names sqlite\n"
                              ".*next: the log has the tool's output",
    ("LIE_ON", "chdef -t policy"): "xCAT's policy does not trust host1\n.*\n"
                                   ".*next: add them with chdef -t policy",
}
LIES_ON_ACTIVATE = {
    ("LIE_ON", "ip address add"): "the VIP is not on eth0:0",
    ("LIE_ON", "hostname hamn"): "the host name is still host1",
    ("FAIL_ON", "lsdef"): "xcatd does not answer\n.*planned fault\n"
                          ".*next: see `systemctl status xcatd`",
}
LIES_ON_DEACTIVATE = {
    ("LIE_ON", "ip address del"): "the VIP 10.5.106.50 is still on eth0:0",
    ("LIE_ON", "hostname host1"): "the host name is still hamn",
}


def goes_wrong(node, line, fault, what, said, code):
    """The run meets the fault and says so; a name for what happened to its undo."""
    node.plan(fault, what)
    done = node.run(*node.script(*line))
    node.heal()
    assert done.returncode == code and re.search(said, done.stderr), done
    return done.stderr


def test_setup_is_not_taken_in_by_tools_that_only_say_that_they_worked(node):
    for (fault, what), said in LIES_ON_FRESH.items():
        assert "as it was found" in goes_wrong(node, SETUP, fault, what, said, 1)
    node.xcatha(*SETUP)


def test_activate_and_deactivate_are_not_taken_in_either(members):
    host1, _ = members
    host1.shorten(SERVICE_LIMIT=2)
    for (fault, what), said in LIES_ON_ACTIVATE.items():
        assert "as it was found" in goes_wrong(host1, ACTIVATE, fault, what, said, 1)
    host1.xcatha(*ACTIVATE)
    for (fault, what), said in LIES_ON_DEACTIVATE.items():
        goes_wrong(host1, DEACTIVATE, fault, what, said, 5)
        host1.xcatha(*DEACTIVATE)
        host1.xcatha(*ACTIVATE)


def test_directory_that_the_share_has_lost_comes_back_from_a_standby(members):
    host1, _ = members
    host1.succeed("mv", "/HA/tftpboot", "/HA/lost")
    said = host1.xcatha(*ACTIVATE, code=1).stderr
    assert "/HA/tftpboot is missing on the share" in said
    assert "copy /tftpboot of a standby there" in said
    host1.succeed("cp", "-a", "/tftpboot", "/HA/")
    host1.xcatha(*ACTIVATE)


def test_existing_node_whose_tables_or_directories_are_not_complete(node):
    node.succeed(GO_XCAT, "--yes", "install")
    goes_wrong(node, SETUP, "LIE_ON", "chdef -t site", "chdef did not change master of clustersite"
               ".*\n.*\n.*next: run those chdef lines of the log by hand", 1)
    node.succeed("mv", "/tftpboot", "/root")
    said = node.xcatha(*SETUP, code=1).stderr
    assert "/tftpboot is missing on this node" in said and "--exclude /tftpboot" in said
    node.succeed("mv", "/root/tftpboot", "/")
    node.xcatha(*SETUP)


def test_download_that_fails_is_replaced_by_a_local_copy(node):
    said = node.xcatha(*changed(SETUP, "--go-xcat", "https://10.5.106.4:1/go-xcat"), code=1).stderr
    assert "go-xcat could not be downloaded" in said and "--go-xcat FILE" in said
    node.xcatha(*SETUP)


def test_go_xcat_that_fails_is_named_with_its_reason(node):
    node.path("/root/go-xcat").write_text(
        "echo unknown debian/ubuntu codename; echo Warning: noise >&2; exit 1\n")
    said = node.xcatha(*SETUP, code=1).stderr
    assert "go-xcat failed" in said and "unknown debian/ubuntu codename" in said
    assert "bash failed" not in said


def test_go_xcat_is_told_where_to_get_what(node):
    more = ["--xcat-core", "/HA", "--xcat-dep", "https://10.5.106.9/dep"]
    said = node.xcatha(*SETUP, *more, "--dryrun").stdout
    line = "bash /root/go-xcat --yes --xcat-core=/HA --xcat-dep=https://10.5.106.9/dep install"
    assert f"would run: {line}\n" in said
    node.xcatha(*SETUP, *more)
    assert line.split() in node.calls() or line.split()[2:] in [c[1:] for c in node.calls()]


def test_copy_that_fails_is_tried_again_by_the_same_line(node):
    node.plan("FAIL_ON", "rsync")
    said = node.xcatha(*SETUP, code=1).stderr
    assert "copying /" in said and "to the share failed" in said
    assert "fix the cause, then run setup again" in said
    node.heal()
    node.xcatha(*SETUP)


def test_standby_whose_only_address_is_the_vip_gives_it_up_once_it_has_another(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.succeed("sysctl", "-q", "-w", "net.ipv4.conf.eth0.promote_secondaries=1")
    host1.succeed(IP, "address", "del", "10.5.106.4/8", "dev", "eth0")
    said = host1.xcatha(*DEACTIVATE, code=5).stderr
    assert "10.5.106.50 is the only address of eth0" in said
    assert "give the node its own address first" in said
    host1.succeed(IP, "address", "add", "10.5.106.4/8", "broadcast", "+", "dev", "eth0")
    host1.xcatha(*DEACTIVATE)
    assert losses.is_standby(host1)


def test_share_that_is_silent_at_deactivate_is_left_for_the_next_one(members):
    host1, _ = members
    host1.shorten(**LIMITS)
    host1.xcatha(*ACTIVATE)
    host1.plan("HANG_ON", "stat --file-system")
    said = host1.xcatha(*DEACTIVATE, code=5).stderr
    assert "the share /HA does not answer: links, record and lease are as they were" in said
    assert "power this node off before activating the other" in said
    host1.heal()
    host1.xcatha(*DEACTIVATE)
    assert losses.is_standby(host1)
