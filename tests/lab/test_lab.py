"""The lab keeps its own promises: what the other tests take for granted."""
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.lab import image
from tests.lab import lab as lab_module
from tests.lab.image import wait_for
from tests.lab.lab import Lab, frozen
from tests.lab.network import mac
from tests.lab.watch import Watch

DISABLED = ("conserver-server", "isc-dhcp-server", "named", "postgresql", "ssh", "tftpd-hpa")
# A run in the background may have been started with SIGINT ignored.
SCRIPT = """
import signal, time
from tests.lab.lab import Lab
signal.signal(signal.SIGINT, signal.default_int_handler)
with Lab() as lab:
    print(lab.name, flush=True)
    time.sleep(600)
"""


def traces(name):
    """Everything on the machine that belongs to the lab `name`."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    command_lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    places = [image.cgroup_root(), "/run/netns", "/etc/netns", "/run/systemd/nspawn/propagate",
              image.cache() / "labs"]
    return [*(line for line in mounts if name in line),
            *(line for line in command_lines.splitlines() if name in line),
            *(found for place in places for found in pathlib.Path(place).glob(f"{name}*"))]


@pytest.fixture
def lab_process():
    """Another process that runs a lab, and the lab's name."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL, cwd=lab_module.HERE.parents[1])
    yield process, process.stdout.readline().strip()
    process.terminate()
    process.wait()
    process.stdout.close()


# ---- Hosts and network -----------------------------------------------------------------------

def test_systemd_runs_on_both_hosts_and_no_unit_has_failed(lab):
    for host in lab.hosts:
        assert host.succeed("systemctl", "is-system-running") == "running\n"


def test_each_machine_has_its_own_name_address_and_machine_id(lab):
    for host in lab.hosts:
        assert host.succeed("hostname") == f"{host.name}\n"
        assert f"inet {host.address}/8" in host.succeed("ip", "address", "show", "eth0")
    assert len({host.succeed("cat", "/etc/machine-id") for host in lab.hosts}) == 2


def test_machines_reach_each_other(lab):
    lab.host1.succeed("ping", "-c1", "-W2", "host2")
    lab.host2.succeed("ping", "-c1", "-W2", lab.client.address)
    assert lab.client.pings(lab.host1.address)


def test_client_sees_which_host_has_an_address(lab):
    assert lab.client.holder("10.5.106.50") is None
    lab.host2.succeed("ip", "address", "add", "10.5.106.50/8", "dev", "eth0")
    assert lab.client.holder("10.5.106.50") == "host2"
    assert lab.client.pings("10.5.106.50")
    assert lab.client.arp_entry("10.5.106.50") == mac(lab.host2.address)


def test_client_sees_an_address_that_two_hosts_have(lab):
    for host in lab.hosts:
        host.succeed("ip", "address", "add", "10.5.106.50/8", "dev", "eth0")
    with pytest.raises(AssertionError, match="host1.*host2|host2.*host1"):
        lab.client.holder("10.5.106.50")


def test_a_cut_cable_carries_nothing_until_it_is_healed(lab):
    lab.host1.cut()
    assert not lab.client.pings(lab.host1.address)
    lab.host1.heal()
    lab.client.wait_until("ping", "-c1", "-W1", lab.host1.address)


def test_a_paused_host_does_nothing_until_it_resumes(lab):
    ticks = lab.share / "ticks"
    lab.host1.popen("sh", "-c", "while echo >> /HA/ticks; do sleep 0.01; done")
    wait_for(ticks.exists, 5, "first tick")
    lab.host1.pause()
    paused_at = ticks.stat().st_size
    time.sleep(0.2)
    assert ticks.stat().st_size == paused_at
    lab.host1.resume()
    wait_for(lambda: ticks.stat().st_size > paused_at, 5, "next tick")


def test_a_paused_host_can_be_powered_off(lab):
    lab.host1.pause()
    lab.host1.power_off()
    lab.host1.boot()


def test_disk_outlives_power_off_and_run_does_not(lab):
    lab.host1.succeed("touch", "/etc/kept", "/run/lost")
    lab.host1.power_off()
    assert not lab.client.pings(lab.host1.address)
    lab.host1.boot()
    lab.host1.succeed("test", "-e", "/etc/kept")
    lab.host1.fail("test", "-e", "/run/lost", code=1)


def test_reboot_stops_services_in_order_and_comes_back(lab):
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=touch /stopped\n"
    (lab.host1.root / "etc/systemd/system/witness.service").write_text(unit)
    lab.host1.succeed("systemctl", "start", "witness")
    first = lab.host1.pid
    lab.host1.reboot()
    assert lab.host1.pid != first
    lab.host1.succeed("test", "-e", "/stopped")
    lab.host1.fail("systemctl", "is-active", "witness", code=3)


def test_directories_of_the_image_can_be_renamed(lab):
    lab.host1.succeed("python", "-c", "import os; os.rename('/var/lib/pgsql', '/var/lib/moved')")
    lab.host1.succeed("test", "-d", "/var/lib/moved/data")


# ---- Commands --------------------------------------------------------------------------------

def test_run_tells_exit_status_and_both_outputs(lab):
    result = lab.host1.run("sh", "-c", "cat; echo err >&2; exit 7", input="in\n")
    assert (result.returncode, result.stdout, result.stderr) == (7, "in\n", "err\n")


def test_commands_run_in_roots_home_in_a_clean_environment(lab, monkeypatch):
    monkeypatch.setenv("XCATHA_LAB_LEAK", "1")
    assert lab.host1.succeed("pwd") == "/root\n"
    assert "LEAK" not in lab.host1.succeed("env")
    assert "GIVEN=1\n" in lab.host1.succeed("env", env={"GIVEN": "1"})


def test_succeed_shows_both_outputs_of_a_command_that_fails(lab):
    with pytest.raises(AssertionError, match="(?s)exit 7.*said.*complained"):
        lab.host1.succeed("sh", "-c", "echo said; echo complained >&2; exit 7")


def test_fail_raises_on_success_and_on_another_exit_status(lab):
    with pytest.raises(AssertionError):
        lab.host1.fail("true")
    with pytest.raises(AssertionError):
        lab.host1.fail("false", code=2)


def test_wait_until_gives_up_at_its_limit(lab):
    with pytest.raises(TimeoutError, match="host1: false"):
        lab.host1.wait_until("false", timeout=0.1)


def test_a_command_that_exceeds_its_limit_is_killed(lab):
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        lab.host1.run("sh", "-c", "echo begun; sleep 6000", timeout=0.5)
    assert caught.value.stdout == "begun\n"
    lab.host1.fail("pgrep", "-x", "sleep", code=1)


def test_a_daemon_that_keeps_the_output_open_does_not_hold_up_the_caller(lab):
    assert lab.host1.run("sh", "-c", "sleep 600 & echo on", timeout=10).stdout == "on\n"


def test_signals_reach_the_command_in_the_host(lab):
    process = lab.host1.popen(
        "sh", "-c", "trap 'echo caught; exit 9' TERM; sleep 9 >&- 2>&- & echo on; wait")
    assert process.stdout.readline() == "on\n"
    process.terminate()
    assert process.communicate(timeout=10)[0] == "caught\n"
    assert process.returncode == 9


# ---- Share -----------------------------------------------------------------------------------

def test_share_is_a_mount_of_its_own_with_the_same_files_on_both_hosts(lab):
    for host in lab.hosts:
        host.succeed("mountpoint", "/HA")
    lab.host1.succeed("touch", "/HA/file")
    lab.host2.succeed("test", "-e", "/HA/file")


def test_share_can_be_mounted_at_another_place_on_each_host():
    with Lab(share_at={"host1": "/xcat/HA/host1", "host2": "/xcat/HA/host2"}) as lab:
        lab.host1.succeed("touch", "/xcat/HA/host1/file")
        lab.host2.succeed("test", "-e", "/xcat/HA/host2/file")


def test_a_lock_held_by_one_host_is_seen_by_the_other_and_freed_at_power_off(lab):
    holder = lab.host1.popen("flock", "/HA/lock", "sh", "-c", "echo held; exec sleep 600")
    assert holder.stdout.readline() == "held\n"
    lab.host2.fail("flock", "--nonblock", "/HA/lock", "true", code=1)
    lab.host1.power_off()
    lab.host2.succeed("flock", "--nonblock", "/HA/lock", "true")


# ---- Services of the image -------------------------------------------------------------------

def test_of_the_services_only_apache_starts_at_boot(lab):
    lab.host1.succeed("systemctl", "is-enabled", "apache2")
    for unit in DISABLED:
        lab.host1.fail("systemctl", "is-enabled", unit)
        lab.host1.fail("systemctl", "is-active", unit, code=3)


def test_postgresql_is_laid_out_as_on_el(lab):
    lab.host1.fail("systemctl", "start", "postgresql")
    lab.host1.succeed("su", "-", "postgres", "-c", "initdb -D /var/lib/pgsql/data")
    lab.host1.succeed("systemctl", "start", "postgresql")
    pid = lab.host1.succeed("systemctl", "show", "-P", "MainPID", "postgresql").strip()
    assert lab.host1.succeed("readlink", f"/proc/{pid}/cwd") == "/var/lib/pgsql/data\n"
    lab.host1.succeed("su", "-", "postgres", "-c", "createdb db && psql -c 'select 1' db")


def test_nothing_of_debians_postgresql_layout_is_left(lab):
    for path in ("/etc/debian_version", "/etc/postgresql", "/var/lib/postgresql"):
        lab.host1.fail("test", "-e", path)
    units = lab.host1.succeed("systemctl", "list-unit-files", "--no-legend", "postgresql*")
    assert [line.split()[0] for line in units.splitlines()] == ["postgresql.service"]


def test_installer_is_downloaded_over_https_that_the_hosts_trust(lab):
    go_xcat = lab.host1.succeed("python", "-c", f"""
import urllib.request
url = "https://{image.DOWNLOAD_SERVER}/xcat2/xcat-core/master/xCAT-server/share/xcat/tools/go-xcat"
print(urllib.request.urlopen(url).read().decode(), end="")""")
    assert go_xcat == (image.STAND_IN / "go-xcat").read_text()


def test_client_gets_the_address_that_a_dhcp_server_has_for_it(lab):
    (lab.host1.root / "etc/dhcp/dhcpd.conf").write_text("""
subnet 10.0.0.0 netmask 255.0.0.0 { next-server 10.5.106.4; }
host cn1 { hardware ethernet 52:54:00:00:00:01; fixed-address 10.5.106.101; }""")
    (lab.host1.root / "etc/default/isc-dhcp-server").write_text('INTERFACESv4="eth0"\n')
    lab.host1.succeed("systemctl", "start", "isc-dhcp-server")
    lease = lab.client.dhcp("52:54:00:00:00:01")
    assert (lease["ip"], lease["siaddr"]) == ("10.5.106.101", "10.5.106.4")
    assert lab.client.dhcp("52:54:00:00:00:02") == {}


def test_client_reads_dns_of_a_host(lab):
    (lab.host1.root / "etc/bind/named.conf.local").write_text(
        'zone "cluster.test" { type master; file "/etc/bind/cluster.test"; };\n')
    (lab.host1.root / "etc/bind/cluster.test").write_text(
        "@ 60 SOA ns root 1 60 60 60 60\n@ NS ns\nns A 10.5.106.4\ncn1 A 10.5.106.101\n")
    lab.host1.succeed("systemctl", "start", "named")
    assert lab.client.dig("cn1.cluster.test", lab.host1.address) == ["10.5.106.101"]
    assert lab.client.dig("nosuch.cluster.test", lab.host1.address) == []
    assert lab.client.dig("cn1.cluster.test", lab.host2.address) is None


def test_client_talks_to_a_console(lab):
    (lab.host1.root / "etc/conserver/conserver.cf").write_text("""
config * { sslrequired no; }
default full { rw *; }
access * { trusted 10.5.106.9; }
console cn1 { include full; master 10.5.106.4; type exec; exec cat; }""")
    lab.host1.succeed("systemctl", "start", "conserver-server")
    lab.client.console("cn1", lab.host1.address, "hello", "hello")
    with pytest.raises(TimeoutError):
        lab.client.console("cn1", lab.host1.address, "hello", "good-bye", timeout=0.5)


def test_watch_tells_how_long_an_address_was_away(lab):
    watch = Watch(lab.client, lab.host1.address)
    wait_for(lambda: watch.answers("vip"), 5, "first answer")
    began = time.time()
    lab.host1.cut()
    time.sleep(0.5)
    lab.host1.heal()
    healed = time.time()
    wait_for(lambda: watch.answers("vip")[-1] > healed, 5, "answer after healing")
    gaps = watch.longest_gaps(began)
    assert 0.45 < gaps["vip"] < 1.5
    assert gaps["dns"] == math.inf


# ---- Frozen states ---------------------------------------------------------------------------

@pytest.fixture
def state():
    """A name for a state; what the test froze under it is deleted."""
    name = f"test{os.getpid()}"
    yield name
    for directory in (image.cache() / "states").glob(f"{name}-*"):
        image.remove(directory)


def test_a_frozen_state_brings_back_disks_and_share(state):
    def build(lab):
        lab.host1.succeed("rm", "/etc/motd")
        lab.host2.succeed("touch", "/root/kept")
        lab.host1.succeed("sh", "-c", "touch /HA/a; ln /HA/a /HA/b; setfacl -m u:nobody:r /HA/a")

    with frozen(state, build) as lab:
        lab.host1.fail("test", "-e", "/etc/motd")
        lab.host2.succeed("test", "-e", "/root/kept")
        assert lab.host2.succeed("stat", "-c", "%h", "/HA/b") == "2\n"
        assert "user:nobody:r--" in lab.host2.succeed("getfacl", "/HA/b")
        assert lab.host1.succeed("hostname") == "host1\n"


def test_a_state_is_built_once_and_labs_cannot_change_it(state):
    built = []
    for _ in range(2):
        with frozen(state, built.append) as lab:
            lab.host1.fail("test", "-e", "/HA/changed")
            lab.host1.succeed("touch", "/HA/changed", "/root/changed")
            lab.host2.fail("test", "-e", "/root/changed")
    assert len(built) == 1


def test_a_state_can_be_built_on_another(state):
    with frozen(state, lambda lab: lab.host1.succeed("touch", "/root/first")):
        pass

    def build_second(lab):
        lab.host1.succeed("mv", "/root/first", "/root/second")

    with frozen(f"{state}-second", build_second, start=state) as lab:
        lab.host1.succeed("test", "-e", "/root/second")
        lab.host1.fail("test", "-e", "/root/first")


def test_a_state_of_another_xcatha_is_not_used(state, monkeypatch, tmp_path):
    with frozen(state, lambda lab: None):
        pass
    changed = tmp_path / "xcatha.py"
    changed.write_text("# another\n")
    monkeypatch.setattr(lab_module, "PRODUCT", changed)
    assert not Lab(state).is_frozen()


def test_what_is_stored_appears_complete_or_not_at_all(tmp_path):
    target = tmp_path / "image"

    def broken(directory):
        (directory / "half").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        image.stored(target, broken)
    assert not target.exists()
    image.stored(target, lambda directory: (directory / "whole").touch())
    assert [path.name for path in target.iterdir()] == ["whole"]


# ---- Nothing is left behind ------------------------------------------------------------------

def test_nothing_is_left_behind():
    with Lab() as lab:
        lab.host1.popen("sleep", "600")
        lab.client.popen("sleep", "600")
        lab.host2.power_off()
        assert traces(lab.name)
    assert traces(lab.name) == []


def test_nothing_is_left_behind_by_a_test_that_fails_while_a_host_is_paused():
    with pytest.raises(ZeroDivisionError), Lab() as lab:
        lab.host1.pause()
        raise ZeroDivisionError
    assert traces(lab.name) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind_by_an_interrupted_run(lab_process, how):
    process, name = lab_process
    process.send_signal(how)
    process.wait(30)
    assert traces(name) == []


def test_what_a_killed_run_leaves_is_swept_by_the_next(lab_process):
    process, name = lab_process
    process.kill()
    process.wait(30)
    assert traces(name)
    with Lab():
        assert traces(name) == []


def test_two_labs_run_at_the_same_time(lab, lab_process):
    _, name = lab_process
    with Lab() as other:
        assert other.client.pings(other.host1.address)
        other.host1.power_off()
    assert lab.client.pings(lab.host1.address)
    assert traces(name)
