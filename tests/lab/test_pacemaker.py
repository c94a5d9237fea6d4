"""The pair under Pacemaker and Corosync, as the README configures them, with real fencing.

What takes longest is left out by default: -m long.
"""
import time
from xml.etree import ElementTree

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.pacemaker.cluster import (
    AGENT,
    LIMIT,
    Cluster,
    configuration_lines,
    moments,
    pacemaker_lab,
)
from tests.lab.pair import ACTIVATE, DEACTIVATE, VIP

PARAMETERS = "-o path=/HA -o vip=10.5.106.50 -o nic=eth0:0 -o netmask=255.0.0.0".split()
REFUSED = 3
# Beyond what Corosync takes to declare a node lost and the resource to start.
OVERHEAD = 5
STRAY_SERVER = """
cp /bin/sleep /usr/local/bin/postgres
cd /HA/var/lib/pgsql/data && exec /usr/local/bin/postgres infinity
"""


@pytest.fixture(scope="module")
def lab():
    with pacemaker_lab() as booted:
        yield booted


@pytest.fixture(scope="module")
def running(lab):
    with Cluster(lab) as cluster:
        yield cluster


@pytest.fixture
def cluster(running):
    """Both hosts in the cluster, one of them active; never two during the test."""
    running.settle()
    with running.never_two():
        yield running


# ---- Without a cluster -----------------------------------------------------------------------

def test_ocf_tester_finds_nothing(lab):
    said = lab.host1.succeed("ocf-tester", "-n", "xcat", *PARAMETERS, AGENT)
    assert "passed all tests" in said


def test_readmes_lines_make_a_valid_configuration(lab):
    lab.host1.succeed("sh", "-c", "cibadmin --empty >/root/cib.xml")
    # By force, because the lab has no fence_ipmilan.
    lines = configuration_lines().replace("pcs ", "pcs --force -f /root/cib.xml ")
    lab.host1.succeed("sh", "-e", "-s", input=lines)
    result = lab.host1.run("crm_verify", "--verbose", "--xml-file", "/root/cib.xml")
    assert (result.returncode, result.stdout + result.stderr) == (0, ""), lab.host1.report(result)
    made = ElementTree.fromstring(lab.host1.succeed("cat", "/root/cib.xml"))
    kinds = [one.get("type") for one in made.iter("primitive")]
    assert kinds == ["fence_ipmilan", "fence_ipmilan", "xcatha"]


def test_crmsh_lists_the_parameters_that_it_would_configure(lab):
    shown = lab.host1.succeed("crm", "ra", "info", "ocf:xcat:xcatha")
    assert all(f"\n{name}" in shown for name in ("path*", "vip*", "nic*", "netmask", "dbtype"))


# ---- By the administrator's word -------------------------------------------------------------

def test_move_standby_and_online(cluster, tell):
    one, other = cluster.active, cluster.standby
    for words, host in ((("resource", "move", "xcat", other.name), other),
                        (("resource", "clear", "xcat"), other),
                        (("node", "standby", other.name), one),
                        (("node", "unstandby", other.name), one)):
        began = time.time()
        cluster.pcs(*words)
        wait_for(cluster.place, LIMIT, "the resource")
        cluster.assert_serves(host)
        tell(f"pcs {' '.join(words)}: {host.name} serves after {time.time() - began:.1f} s")
    assert cluster.switch.turned_off == []


def test_command_by_hand_is_refused_until_the_resource_is_unmanaged(cluster):
    activate, deactivate = (line.format(path="/HA", engine="postgresql").split()
                            for line in (ACTIVATE, f"{DEACTIVATE} --dryrun"))
    for host, line in ((cluster.standby, activate), (cluster.active, deactivate)):
        refused = host.fail(*line, code=REFUSED)
        assert "Pacemaker is in charge of this pair" in refused.stderr
        assert "pcs resource" in refused.stderr
    active = cluster.active
    cluster.pcs("resource", "unmanage", "xcat")
    active.succeed(*deactivate)
    cluster.pcs("resource", "manage", "xcat")
    cluster.assert_serves(active)


def test_status_tells_that_pacemaker_is_in_charge(cluster):
    assert "in charge: resource xcat" in cluster.active.succeed("python", "xcatha.py", "--status")


# ---- A service dies --------------------------------------------------------------------------

@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_database_is_back_on_the_same_host(cluster, tell):
    began, active = time.time(), cluster.active
    active.succeed("systemctl", "kill", "--signal=SIGKILL", "postgresql")
    wait_for(lambda: "active" in moments(active, began), LIMIT, "another start")
    wait_for(cluster.place, LIMIT, "the resource")
    tell(f"database killed: {active.name} serves after {time.time() - began:.1f} s")
    cluster.assert_serves(active)
    cluster.pcs("resource", "cleanup", "xcat")
    assert cluster.switch.turned_off == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_xcatd_that_cannot_start_again_moves_to_the_other_host(cluster, tell):
    began, active = time.time(), cluster.active
    active.succeed("chmod", "-x", "/opt/xcat/sbin/xcatd")
    active.succeed("systemctl", "kill", "--signal=SIGKILL", "xcatd")
    cluster.wait_for_move()
    tell(f"xcatd cannot start: {cluster.standby.name} serves after {time.time() - began:.1f} s")
    active.succeed("chmod", "+x", "/opt/xcat/sbin/xcatd")
    cluster.pcs("resource", "cleanup", "xcat")
    assert cluster.switch.turned_off == []


# ---- A host dies -----------------------------------------------------------------------------

def test_power_loss_is_over_soon_after_it_is_noticed(cluster, tell):
    began, survivor = time.time(), cluster.standby
    cluster.active.power_off()
    wait_for(lambda: cluster.lab.client.connects(VIP, 3001), LIMIT, "xcatd on the VIP")
    served = time.time() - began
    cluster.wait_for_move()
    when = moments(survivor, began)
    detection, activation = when["lost"] - began, when["active"] - when["asked"]
    tell(f"power loss: xcatd on the VIP after {served:.1f} s (node declared lost after "
         f"{detection:.1f} s, other one asked to start {when['asked'] - when['lost']:.1f} s later, "
         f"active {activation:.1f} s after that)")
    assert served <= detection + activation + OVERHEAD
    assert cluster.was_fenced(cluster.active)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_host_that_is_off_the_network_is_fenced_before_the_other_takes_over(cluster, tell):
    began = time.time()
    cluster.active.cut()
    cluster.wait_for_move()
    assert cluster.was_fenced(cluster.active) and not cluster.was_fenced(cluster.standby)
    tell(f"network cut: {cluster.standby.name} serves after {time.time() - began:.1f} s")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_active_host_wins_where_both_only_lose_sight_of_each_other(cluster):
    """Both reach the power switch; the delay that the README names decides."""
    active, standby = cluster.active, cluster.standby
    cluster.pcs("property", "set", "priority-fencing-delay=10s")
    cluster.pcs("resource", "meta", "xcat", "priority=1")
    before = judge.invocations(active)
    for host, other in ((active, standby), (standby, active)):
        host.succeed("ip", "route", "add", "blackhole", other.address)
    wait_for(lambda: cluster.was_fenced(standby), LIMIT, "the power switch")
    active.succeed("ip", "route", "del", "blackhole", standby.address)
    active.succeed("pcs", "property", "set", "priority-fencing-delay=0")
    assert not cluster.was_fenced(active)
    assert judge.invocations(active) == before
    cluster.assert_serves(active)


def test_frozen_host_is_fenced_and_wakes_as_a_standby(cluster, tell):
    began, frozen = time.time(), cluster.active
    frozen.pause()
    cluster.wait_for_move()
    tell(f"frozen: {cluster.standby.name} serves after {time.time() - began:.1f} s")
    assert cluster.was_fenced(frozen)
    cluster.switch.turn_on(frozen)
    wait_for(lambda: cluster.online() == {"host1", "host2"}, LIMIT, "the fenced host's return")
    cluster.assert_serves(cluster.standby)
    assert judge.programs(frozen) == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_frozen_host_that_wakes_before_it_is_fenced_is_fenced_all_the_same(cluster, tell):
    """Until then it serves alone: nobody else starts before the power switch has answered."""
    frozen = cluster.active
    with cluster.switch.held_back():
        frozen.pause()
        wait_for(lambda: frozen.name in cluster.switch.asked_for, LIMIT, "the power switch")
        before = cluster.counter()
        frozen.resume()
        wait_for(lambda: cluster.counter() != before, LIMIT, "life of the host that woke")
        cluster.assert_serves(frozen)
    released = time.time()
    cluster.wait_for_move()
    tell(f"awake before it is fenced: {cluster.standby.name} serves "
         f"{time.time() - released:.1f} s after the power switch's answer")
    assert cluster.was_fenced(frozen) and not cluster.was_fenced(cluster.standby)


def test_stop_that_fails_leads_to_fencing(cluster, tell):
    """A server outside its unit works on: deactivate leaves it alone and keeps the lease."""
    began = time.time()
    cluster.active.popen("sh", "-c", STRAY_SERVER)
    wait_for(lambda: len(judge.database_directories(cluster.active)) == 1, LIMIT, "the server")
    cluster.standby.succeed("pcs", "node", "standby", cluster.active.name)
    cluster.wait_for_move()
    tell(f"stop fails: {cluster.standby.name} serves after {time.time() - began:.1f} s")
    assert cluster.was_fenced(cluster.active)
    cluster.standby.succeed("pcs", "node", "unstandby", cluster.active.name)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_of_two_hosts_that_boot_at_once_one_becomes_active(cluster, tell):
    for host in cluster.lab.hosts:
        host.power_off()
    began = time.time()
    for host in cluster.lab.hosts:
        host.power_on()
    for host in cluster.lab.hosts:
        host.wait_up()
    wait_for(cluster.place, LIMIT, "an active host")
    tell(f"both booted: {cluster.place()} serves after {time.time() - began:.1f} s")
    cluster.assert_serves({host.name: host for host in cluster.lab.hosts}[cluster.place()])
    assert cluster.switch.turned_off == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_host_that_boots_alone_waits_and_can_be_activated_by_hand(cluster):
    """Pacemaker leaves it active when both are in the cluster again."""
    alone = cluster.standby
    for host in cluster.lab.hosts:
        host.power_off()
    cluster.switch.turn_on(alone)
    wait_for(lambda: "Waiting for all cluster members" in log_of_corosync(alone), LIMIT, "corosync")
    assert judge.programs(alone) == []
    alone.succeed("systemctl", "stop", "pacemaker", "corosync")
    alone.succeed(*ACTIVATE.format(path="/HA", engine="postgresql").split())
    before = judge.invocations(alone)
    alone.succeed("systemctl", "start", "corosync", "pacemaker")
    cluster.settle()
    assert cluster.active is alone
    assert judge.invocations(alone) == before


def log_of_corosync(host):
    """What Corosync has said since the host booted."""
    return host.succeed("journalctl", "--boot", "--unit=corosync")
