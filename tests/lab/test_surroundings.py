"""What surrounds a run changes under it: the share, units, the database, records, the terminal."""
import contextlib
import json
import signal

import pytest

from tests.lab import judge
from tests.lab.hanging import HangingLab
from tests.lab.image import wait_for
from tests.lab.lab import Lab
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, VIP, Pair, pair_lab
from tests.shortened import shortened

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LIMITS = {"SERVICE_LIMIT": 8, "ASK_LIMIT": 8, "LOCK_EXPIRY": 5}
DONE, FAILED, REFUSED, CANNOT_TELL, INCOMPLETE = 0, 1, 3, 4, 5
STATUS = "python xcatha.py --status"
# What Pacemaker grants it, by the README.
MONITOR_LIMIT = 60
# A command that does something else first, once.
MEDDLER = """#!/bin/sh
rm "$0"
{action}
PATH={path} exec {command} "$@"
"""
FILL = "dd if=/dev/zero of=/HA/filler bs=1M"
OWN_BIND = "mount --bind /HA /HA; mount -o remount,bind,ro /HA"
DATABASE_GOES = 'ExecStartPre=/bin/sh -c "systemctl stop --no-block postgresql; exec sleep inf"'
NEVER_STOPS = "TimeoutStopSec=infinity\nExecStop=/bin/sleep inf"


@pytest.fixture(scope="module")
def pair():
    """Two members with short limits; every test leaves both standing by."""
    with pair_lab() as lab:
        for host in lab.hosts:
            (host.root / "root/xcatha.py").write_text(shortened(**LIMITS))
        yield Pair(lab, "postgresql")


@pytest.fixture
def host1(pair):
    return pair.lab.host1


def run(host, command, code, env=None):
    """Run one of the script's commands, which must exit with this code; all that it said."""
    done = host.run(*command.format(path="/HA", engine="postgresql").split(), env=env)
    assert done.returncode == code, host.report(done)
    return done.stdout + done.stderr


def run_while(host, command, code, action, tool="hostname"):
    """As run, and something happens to the host just before its name is set, or a tool is used."""
    meddler = MEDDLER.format(action=action, path=PATH, command=tool)
    host.succeed("install", "-D", "-m", "755", "/dev/stdin", f"/root/meddler/{tool}",
                 input=meddler)
    said = run(host, command, code, {"PATH": f"/root/meddler:{PATH}"})
    host.fail("test", "-e", f"/root/meddler/{tool}")
    return said


def is_standby(host):
    """True if nothing of an active node is left on the host."""
    return (judge.programs(host), judge.links_into_share(host), judge.host_name(host),
            [address for _, address, *_ in judge.addresses(host)]) == (
                [], [], host.name, [host.address])


def serve_and_stand_by(host):
    """The host can be active and a standby again, as if nothing had happened."""
    run(host, ACTIVATE, DONE)
    run(host, DEACTIVATE, DONE)
    assert is_standby(host)


# ---- The share -------------------------------------------------------------------------------

@pytest.fixture
def spare(host1):
    """Another mount of the share, from which it can be mounted again."""
    host1.succeed("mkdir", "-p", "/spare")
    host1.succeed("mount", "--bind", "/HA", "/spare")
    yield "/spare"
    host1.succeed("umount", "/spare")


def test_share_is_unmounted_during_activate(host1, spare):
    said = run_while(host1, ACTIVATE, INCOMPLETE, "umount -l /HA")
    assert "NOT as it was found" in said and is_standby(host1)
    host1.succeed("mount", "--bind", spare, "/HA")
    run(host1, DEACTIVATE, DONE)
    serve_and_stand_by(host1)


def test_share_is_unmounted_during_deactivate(host1, spare):
    run(host1, ACTIVATE, DONE)
    said = run_while(host1, DEACTIVATE, INCOMPLETE, "umount -l /HA")
    assert "Record" in said and is_standby(host1)
    host1.succeed("mount", "--bind", spare, "/HA")
    run(host1, DEACTIVATE, DONE)
    serve_and_stand_by(host1)


def test_share_is_remounted_read_only_during_activate(host1):
    run_while(host1, ACTIVATE, INCOMPLETE, OWN_BIND)
    assert is_standby(host1)
    host1.succeed("umount", "/HA")
    run(host1, DEACTIVATE, DONE)


def test_share_is_filled_during_activate(host1):
    host1.succeed("mkdir", "-p", "/small")
    host1.succeed("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", "/small")
    host1.succeed("cp", "-a", "/HA/.", "/small")
    host1.succeed("mount", "--bind", "/small", "/HA")
    run_while(host1, ACTIVATE, INCOMPLETE, FILL)
    assert is_standby(host1)
    host1.succeed("rm", "/HA/filler")
    run(host1, DEACTIVATE, DONE)
    host1.succeed("umount", "/HA")


@pytest.fixture
def fresh():
    """A host without xCAT whose share is a small disk of its own, mounted at /HA and /spare."""
    with Lab() as lab:
        host = lab.host1
        (host.root / "root/xcatha.py").write_text(shortened(**LIMITS))
        host.succeed("mkdir", "-p", "/spare")
        host.succeed("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", "/spare")
        host.succeed("mount", "--bind", "/spare", "/HA")
        yield host


@pytest.mark.parametrize("tool, action, heal, code, error", [
    pytest.param("hostname", FILL, "rm /HA/filler", FAILED, "No space left",
                 marks=pytest.mark.long),
    pytest.param("hostname", OWN_BIND, "umount /HA", INCOMPLETE, "Read-only",
                 marks=pytest.mark.long),
    ("rsync", FILL, "rm /HA/filler", FAILED, "No space left"),
    ("rsync", OWN_BIND, "umount /HA", INCOMPLETE, "Read-only"),
    ("rsync", "umount -l /HA", "mount --bind /spare /HA", INCOMPLETE, "the lease was lost"),
])
def test_share_is_lost_during_setup(fresh, tool, action, heal, code, error):
    assert error in run_while(fresh, SETUP, code, action, tool)
    assert is_standby(fresh)
    fresh.succeed(*heal.split())
    run(fresh, SETUP, DONE)
    serve_and_stand_by(fresh)


# ---- Units -----------------------------------------------------------------------------------

def drop_in(host, unit, setting):
    """Settings of the administrator's own for a unit; none where setting is empty."""
    path = f"/etc/systemd/system/{unit}.service.d/zz-test.conf"
    text = f"[Service]\n{setting}\n" if setting else ""
    host.succeed("install", "-D", "/dev/stdin", path, input=text)
    host.succeed("systemctl", "daemon-reload")


def test_unit_is_masked_during_activate(host1):
    run_while(host1, ACTIVATE, FAILED, "systemctl mask --runtime --now xcatd")
    assert is_standby(host1)
    host1.succeed("systemctl", "unmask", "--runtime", "xcatd")


def test_xcatd_blocks_because_its_database_is_gone(host1):
    drop_in(host1, "xcatd", DATABASE_GOES)
    assert "xcatd.service did not start" in run(host1, ACTIVATE, FAILED)
    assert is_standby(host1)
    drop_in(host1, "xcatd", "")
    serve_and_stand_by(host1)


def test_database_that_starts_for_longer_than_any_limit_of_the_script_is_waited_for(host1):
    """After a crash it replays its log; whoever stops that has it begin all over again."""
    drop_in(host1, "postgresql", f"ExecStartPre=/bin/sleep {2 * LIMITS['SERVICE_LIMIT']}")
    assert "postgresql is still starting" in run(host1, ACTIVATE, DONE)
    drop_in(host1, "postgresql", "")
    run(host1, DEACTIVATE, DONE)
    assert is_standby(host1)


def test_unit_that_never_stops_keeps_the_lease_and_nothing_else(host1):
    run(host1, ACTIVATE, DONE)
    drop_in(host1, "xcatd", NEVER_STOPS)
    assert "xcatd.service does not stop" in run(host1, DEACTIVATE, INCOMPLETE)
    assert [address for _, address, *_ in judge.addresses(host1)] == [host1.address]
    assert judge.database_directories(host1) == set()
    assert judge.unit(host1, "xcatha-lease")[0] == "active"
    drop_in(host1, "xcatd", "")
    host1.succeed("systemctl", "kill", "--signal=SIGKILL", "xcatd")
    run(host1, DEACTIVATE, DONE)
    assert is_standby(host1)


# ---- Records ---------------------------------------------------------------------------------

@pytest.fixture
def change(pair):
    """Writes a file of the share; as it was at the end of the test."""
    saved = {}

    def write(name, text):
        file = pair.lab.share / name
        saved.setdefault(file, file.read_text())
        file.write_text(text)

    yield write
    for file, text in saved.items():
        file.write_text(text)


@pytest.mark.parametrize("cfgloc", ["", "DB2:xcatdb|xcat|secret\n"])
def test_cfgloc_that_names_another_database_is_refused(host1, change, cfgloc):
    change("etc/xcat/cfgloc", cfgloc)
    said = run(host1, ACTIVATE, REFUSED)
    assert "cfgloc" in said and "secret" not in said
    assert is_standby(host1)


@pytest.mark.parametrize("cfgloc", ["", "DB2:xcatdb|xcat|secret\n"])
def test_cfgloc_that_is_spoiled_does_not_keep_an_active_node_from_standing_by(
        host1, change, cfgloc):
    run(host1, ACTIVATE, DONE)
    change("etc/xcat/cfgloc", cfgloc)
    run(host1, DEACTIVATE, DONE)
    assert is_standby(host1)


BROKEN_RECORDS = ["{", "[]", json.dumps({"format": 2})]


@pytest.mark.parametrize("record", BROKEN_RECORDS)
def test_broken_record_is_refused(host1, change, record):
    change(".xcatha/cluster.json", record)
    assert "cluster.json" in run(host1, ACTIVATE, REFUSED)
    assert is_standby(host1)
    run(host1, STATUS, CANNOT_TELL)


def test_broken_record_does_not_keep_an_active_node_from_standing_by(host1, change):
    run(host1, ACTIVATE, DONE)
    record = (host1.share / ".xcatha/cluster.json").read_text()
    change(".xcatha/cluster.json", BROKEN_RECORDS[0])
    assert "cluster.json" in run(host1, DEACTIVATE, INCOMPLETE)
    assert is_standby(host1)
    change(".xcatha/cluster.json", record)
    run(host1, DEACTIVATE, DONE)


# ---- A session through the VIP ---------------------------------------------------------------

def test_session_through_the_vip_dies_and_deactivate_goes_on(pair, host1):
    run(host1, ACTIVATE, DONE)
    login = pair.lab.host2
    login.succeed("ssh-keygen", "-q", "-N", "", "-f", "/root/test-key")
    key = login.succeed("cat", "/root/test-key.pub")
    host1.succeed("install", "-D", "-m", "600", "/dev/stdin", "/root/.ssh/authorized_keys",
                  input=key)
    host1.succeed("systemctl", "start", "ssh")
    session = login.popen("ssh", "-tt", "-i", "/root/test-key", "-o", "StrictHostKeyChecking=no",
                          "-o", "BatchMode=yes", "root@10.5.106.50", DEACTIVATE)
    try:
        wait_for(lambda: judge.holders(pair.lab) == [], 60, "end of the VIP")
    finally:
        session.kill_group()
    script = "pgrep", "-f", "xcatha.py -d"
    wait_for(lambda: host1.run(*script).returncode, 60, "end of deactivate")
    assert is_standby(host1)
    assert json.loads((pair.lab.share / ".xcatha/cluster.json").read_text())["state"] == "standby"


# ---- A share that hangs ----------------------------------------------------------------------

@contextlib.contextmanager
def hanging_for(*names):
    """host1 is active, host2 stands by, and every call of these hosts to the share blocks."""
    pair_lab()  # makes the state, if need be
    with HangingLab("pair-postgresql") as lab:
        for host in lab.hosts:
            # So long that the active host is there to be looked at (test_fence.py has its end).
            (host.root / "root/xcatha.py").write_text(shortened(LEASE_TIME=900, **LIMITS))
            drop_in(host, "postgresql", "TimeoutStopSec=5")
        run(lab.host1, ACTIVATE, DONE)
        for name in names:
            lab.signal(name, signal.SIGSTOP)
        yield lab


@pytest.fixture(scope="module")
def hung():
    """The share hangs for both hosts."""
    with hanging_for("host1", "host2") as lab:
        yield lab


def test_status_on_a_hung_share_cannot_tell(hung):
    run(hung.host1, STATUS, CANNOT_TELL)


def test_activate_on_a_hung_share_is_refused(hung):
    assert "does not answer" in run(hung.host2, ACTIVATE, REFUSED)


@pytest.mark.parametrize("level", ["0", "10"])
def test_monitor_of_the_agent_answers_in_time_on_a_hung_share(hung, level):
    """The holder of the lease writes to the share: once that ends it, the node has failed."""
    agent = {"OCF_ROOT": "/usr/lib/ocf", "OCF_RESKEY_path": "/HA", "OCF_RESKEY_vip": VIP,
             "OCF_RESKEY_nic": "eth0:0", "OCF_CHECK_LEVEL": level}
    done = hung.host1.run("python", "xcatha.py", "monitor", env=agent, timeout=MONITOR_LIMIT)
    assert done.returncode in (DONE, FAILED), hung.host1.report(done)


def test_deactivate_on_a_hung_share_stops_services_and_drops_the_vip(hung):
    said = run(hung.host1, DEACTIVATE, INCOMPLETE)
    assert "power this node off before activating the other" in said
    assert judge.holders(hung) == [] and judge.programs(hung.host1) == []
    assert judge.host_name(hung.host1) == "host1"
