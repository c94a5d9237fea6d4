"""The resource agent: what each action does and returns, and what it leaves to -a and -d.

Exit codes are those of the OCF resource agent API 1.1.
"""

import pathlib
import sys
from xml.etree import ElementTree

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE
from tests.fakes.losses import is_active, is_standby, left_on_standby
from tests.fakes.node import cluster
from tests.fakes.test_commands import DIRECTORIES

SUCCESS, GENERIC, ARGS, UNIMPLEMENTED, PERM, INSTALLED, CONFIGURED, NOT_RUNNING = range(8)
REFUSED = 3
LINK = "/usr/lib/ocf/resource.d/xcat/xcatha"
SCRIPT = "/usr/local/sbin/xcatha.py"
PARAMETERS = {"path": "/HA", "vip": "10.5.106.50", "nic": "eth0:0", "netmask": "255.0.0.0"}
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
ADDRESS_AWAY = "ip address del 10.5.106.50/8 dev eth0"
STUBBORN_IP = """\
#!/bin/sh
case "$*" in "address del"*) exit 2 ;; esac
exec {}.real "$@"
"""
STUBBORN_XCATD = """\
trap '' TERM
/usr/local/lib/fakes/xcatd infinity >/dev/null 2>&1 &
echo $!
"""
CRM_MON = """\
#!/bin/sh
cat <<END
<pacemaker-result api-version="2.25" request="crm_mon --one-shot --inactive --output-as=xml">
  <resources>
    <resource id="fence-host1" resource_agent="stonith:fence_lab" role="Started" managed="true"/>
    <resource id="xcat" resource_agent="ocf:xcat:xcatha" role="Started" active="true" \
orphaned="false" blocked="false" managed="MANAGED" failed="false" nodes_running_on="1">
      <node name="host1" id="1" cached="true"/>
    </resource>
  </resources>
</pacemaker-result>
END
"""


def install(node, **limits):
    """The script, perhaps with short limits, linked as a resource agent where all can read it."""
    node.shorten(**{"AGENT_PATIENCE": 1, **limits})
    node.succeed("install", "-D", "-m", "755", "/root/xcatha.py", SCRIPT)
    node.succeed("mkdir", "-p", pathlib.Path(LINK).parent)
    node.succeed("ln", "-s", "-f", SCRIPT, LINK)


def environment(**changes):
    """What Pacemaker tells the agent; a parameter that is None is left out."""
    given = {name: value for name, value in {**PARAMETERS, **changes}.items() if value}
    return {"OCF_ROOT": "/usr/lib/ocf", **{f"OCF_RESKEY_{name}": given[name] for name in given}}


def call(node, action, code=SUCCESS, **changes):
    """Call the agent as Pacemaker does; it must return this code; its result."""
    done = node.run(sys.executable, LINK, action, env=environment(**changes))
    assert done.returncode == code, (action, done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture
def standby(members):
    """A clean standby with the agent, for tests that change it; no other node is active."""
    install(members[0])
    return members[0]


@pytest.fixture
def active(standby):
    """The same node, started by the agent."""
    call(standby, "start")
    return standby


@pytest.fixture(scope="module")
def idle(kept, set_up):
    """A clean standby with the agent, for tests that leave it as it is."""
    with cluster(kept / "idle", ["host1"], set_up) as (host1,):
        install(host1)
        yield host1


@pytest.fixture(scope="module")
def serving(kept, set_up):
    """A node that the agent has started, for tests that leave it as it is."""
    with cluster(kept / "serving", ["host1"], set_up) as (host1,):
        install(host1)
        call(host1, "start")
        yield host1


# ---- What anybody may ask --------------------------------------------------------------------


def test_meta_data_is_given_to_nobody_without_the_libraries(idle):
    done = idle.run(*NOBODY, sys.executable, "-IS", LINK, "meta-data")
    assert done.returncode == SUCCESS, done
    actions = [action.get("name") for action in ElementTree.fromstring(done.stdout).iter("action")]
    assert actions == ["start", "stop", "monitor", "validate-all", "meta-data"]


def test_meta_data_names_the_parameters_and_which_are_required(idle):
    described = ElementTree.fromstring(call(idle, "meta-data").stdout).iter("parameter")
    required = {one.get("name"): one.get("required") == "1" for one in described}
    optional = dict.fromkeys(("netmask", "host_name", "dbtype"), False)
    assert required == {"path": True, "vip": True, "nic": True, **optional}


def test_unknown_action_is_not_implemented(idle):
    call(idle, "promote", UNIMPLEMENTED)


def test_ordinary_user_lacks_permission(idle):
    done = idle.run(*NOBODY, sys.executable, LINK, "monitor", env=environment())
    assert done.returncode == PERM, done


def test_missing_library_counts_as_not_installed(idle):
    done = idle.run(sys.executable, "-IS", LINK, "monitor", env=environment())
    assert done.returncode == INSTALLED, done
    assert "install" in done.stderr


def test_missing_library_is_no_reason_to_fence_a_node_where_nothing_was_started(idle, serving):
    for node, code in ((idle, SUCCESS), (serving, INSTALLED)):
        done = node.run(sys.executable, "-IS", LINK, "stop", env=environment())
        assert done.returncode == code, done


@pytest.mark.parametrize("name", ["path", "vip", "nic"])
def test_missing_parameter_is_a_wrong_configuration(idle, name):
    assert name in call(idle, "start", CONFIGURED, **{name: None}).stderr


@pytest.mark.parametrize("wrong", [{"vip": "10.5.106"}, {"dbtype": "oracle"}], ids=str)
def test_impossible_parameter_is_a_wrong_argument(idle, wrong):
    before = idle.picture()
    call(idle, "start", ARGS, **wrong)
    assert idle.changes_since(before) == []


def test_word_that_is_no_option_is_a_usage_error_of_the_script_itself(idle):
    assert idle.run(*idle.script("start")).returncode == 2


# ---- start and stop --------------------------------------------------------------------------


def test_start_makes_the_node_active_and_may_be_repeated(active):
    assert is_active(active)
    call(active, "start")
    assert is_active(active)


def test_stop_makes_the_node_a_standby_and_may_be_repeated(active):
    call(active, "stop")
    assert is_standby(active)
    call(active, "stop")
    assert is_standby(active)


def test_start_succeeds_where_only_an_optional_service_is_down(standby):
    standby.plan("FAIL_ON", "makedns")
    assert "DNS" in call(standby, "start").stderr
    assert is_active(standby)


def test_start_fails_with_a_reason_while_the_other_node_is_active(active, members):
    install(members[1])
    said = call(members[1], "start", GENERIC).stderr
    assert "ocf-exit-reason:host1 is active" in said
    assert is_standby(members[1])


@pytest.mark.parametrize(
    ("call_that_fails", "left"),
    [
        ("systemctl stop xcatd", "the lease"),
        ("systemctl stop postgresql", "the database"),
    ],
)
def test_stop_fails_while_something_is_left(active, call_that_fails, left):
    install(active, ASK_LIMIT=3)
    active.plan("FAIL_ON", call_that_fails)
    said = call(active, "stop", GENERIC).stderr
    assert left in said.partition("ocf-exit-reason:not stopped:")[2]
    active.heal()
    call(active, "stop")
    assert is_standby(active)


def test_stop_fails_while_the_vip_is_left(active):
    """Not even the end of the lease, which removes it again, gets it off."""
    ip = "/usr/local/lib/fakes/real/ip"
    active.succeed("mv", ip, ip + ".real")
    active.succeed("install", "-m", "755", "/dev/stdin", ip, input=STUBBORN_IP.format(ip))
    assert "not stopped: the VIP" in call(active, "stop", GENERIC).stderr
    active.succeed("mv", ip + ".real", ip)
    call(active, "stop")
    assert is_standby(active)


def test_stop_fails_while_an_xcatd_cannot_be_ended(active):
    install(active, ASK_LIMIT=3, ORDERLY_LIMIT=1)
    pid = active.succeed("sh", "-c", STUBBORN_XCATD).strip()
    active.succeed("ln", "-s", "/bin/true", "/usr/local/sbin/kill")
    said = call(active, "stop", GENERIC).stderr
    assert "xcatd" in said.partition("ocf-exit-reason:not stopped:")[2]
    active.succeed("rm", "/usr/local/sbin/kill")
    call(active, "stop")
    assert is_standby(active)
    active.fail("kill", "-0", pid, code=1)


def test_stop_leaves_the_services_of_a_node_alone_that_was_never_set_up(node):
    install(node)
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "start", "xcatd")
    call(node, "stop")
    node.succeed("systemctl", "is-active", "xcatd")


def test_stop_waits_for_the_end_of_another_run(active):
    active.succeed("sh", "-c", "flock /run/xcatha.lock sleep 3 >/dev/null 2>&1 &")
    call(active, "stop")
    assert is_standby(active)


# ---- monitor ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["0", "10"])
def test_monitor_knows_the_active_node(serving, level):
    env = {**environment(), "OCF_CHECK_LEVEL": level}
    assert serving.run(sys.executable, LINK, "monitor", env=env).returncode == SUCCESS


def test_monitor_sees_that_xcatd_does_not_answer_when_it_is_to_look_closely(serving):
    serving.plan("FAIL_ON", "lsdef")
    call(serving, "monitor")
    env = {**environment(), "OCF_CHECK_LEVEL": "10"}
    assert serving.run(sys.executable, LINK, "monitor", env=env).returncode == GENERIC
    serving.heal()


def test_monitor_calls_no_failure_what_is_being_restarted(active):
    install(active, AGENT_PATIENCE=20)
    active.succeed("systemctl", "stop", "xcatd")
    restart = "(sleep 2; systemctl start xcatd) >/dev/null 2>&1 &"  # slower than a look
    active.succeed("sh", "-c", restart)
    call(active, "monitor")


def test_monitor_does_not_find_the_resource_on_a_standby(idle):
    call(idle, "monitor", NOT_RUNNING)


def test_monitor_does_not_find_the_resource_where_nothing_was_set_up(node):
    install(node)
    call(node, "monitor", NOT_RUNNING)


def test_monitor_takes_no_xcatd_of_its_own_for_the_pairs(node):
    install(node)
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "start", "xcatd")
    call(node, "monitor", NOT_RUNNING)


def test_monitor_does_not_find_the_resource_after_a_power_loss(active):
    active.power_off()
    active.boot()
    call(active, "monitor", NOT_RUNNING)


@pytest.mark.parametrize(
    ("loss", "missing"),
    [
        ("systemctl stop xcatd", "xcatd"),
        ("systemctl stop postgresql", "the database"),
        ("systemctl stop xcatha-lease", "the lease"),
        (ADDRESS_AWAY, "the VIP"),
    ],
)
def test_monitor_reports_a_failure_when_something_is_missing(active, loss, missing):
    active.succeed("rm", "-f", "/run/xcatha/kept")  # else the lease's holder may be quicker
    active.succeed(*loss.split())
    if loss.endswith("xcatha-lease"):
        active.succeed("ip", "address", "add", "10.5.106.50/8", "dev", "eth0")
    said = call(active, "monitor", GENERIC).stderr
    assert missing in said.partition("ocf-exit-reason:not up:")[2]


def killed_start(node, position):
    """Kill a start at its k-th external call; True if it got so far."""
    node.plan("SIGKILL_AT", position)
    done = node.run(sys.executable, LINK, "start", env=environment())
    node.heal()
    return done.returncode < 0


def check_killed_start(node, position):
    """Whatever a killed start leaves, monitor does not deny it and stop removes it."""
    reached = killed_start(node, position)
    left = [
        name for name in left_on_standby(node) if name in ("xcatd", "postgresql", "10.5.106.50")
    ]
    code = node.run(sys.executable, LINK, "monitor", env=environment()).returncode
    assert code in ((GENERIC, SUCCESS) if left else (GENERIC, NOT_RUNNING)), (position, left, code)
    call(node, "stop")
    assert is_standby(node), position
    call(node, "monitor", NOT_RUNNING)
    return reached


@pytest.mark.parametrize("position", [20, 50])
def test_monitor_and_stop_cope_with_a_start_that_was_killed(standby, position):
    assert check_killed_start(standby, position)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_monitor_and_stop_cope_with_a_start_that_was_killed_anywhere(standby):
    position = 1
    while check_killed_start(standby, position):
        position += 1
    assert position > 50


def test_monitor_asks_the_service_manager_alone(serving):
    before = len(serving.calls())
    call(serving, "monitor")
    assert {name for name, *_ in serving.calls()[before:]} == {"systemctl"}


def test_monitor_never_touches_the_share(serving):
    """Not even through a link, so that it has an end where the share hangs."""
    trace = ["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-e", "signal=none", "-y"]
    command = [*trace, "-o", "/run/trace", sys.executable, LINK, "monitor"]
    assert serving.run(*command, env=environment()).returncode == SUCCESS
    lines = serving.path("/run/trace").read_text().splitlines()
    places = [*DIRECTORIES, "/HA"]
    lines = [line for line in lines if 'xcatha.py>, "' not in line]  # its own text
    inside = [line for line in lines if any(f'"{place}/' in line for place in places)]
    opened = [line for line in lines if "</HA" in line]
    assert len(lines) > 100
    assert [line for line in inside + opened if "readlink" not in line] == []


def test_monitor_changes_nothing(serving):
    before = serving.picture()
    call(serving, "monitor")
    assert serving.changes_since(before) == []


# ---- validate-all ----------------------------------------------------------------------------


def test_validate_all_accepts_a_member_and_changes_nothing(idle):
    before = idle.picture()
    call(idle, "validate-all")
    assert idle.changes_since(before) == []


@pytest.mark.parametrize("wrong", [{"path": "/nowhere"}, {"nic": "eth7:0"}, {"dbtype": "sqlite"}])
def test_validate_all_tells_what_does_not_fit_the_node(idle, wrong):
    assert "ocf-exit-reason:" in call(idle, "validate-all", ARGS, **wrong).stderr


# ---- Commands by hand ------------------------------------------------------------------------


def put_under_pacemaker(node, managed="true"):
    """crm_mon shows the resource on this node."""
    text = CRM_MON.replace("MANAGED", managed)
    node.succeed("install", "-Dm755", "/dev/stdin", "/usr/local/sbin/crm_mon", input=text)


@pytest.fixture
def managed(serving):
    """The node that the agent has started, for the time that Pacemaker runs on it."""
    put_under_pacemaker(serving)
    yield serving
    serving.succeed("rm", "/usr/local/sbin/crm_mon")


@pytest.mark.parametrize(
    ("line", "crm"),
    [
        (["-d", "--yes"], "crm node standby host1, or crm resource stop xcat"),
        ([*DEACTIVATE, "--dryrun"], "crm node standby host1"),
    ],
    ids=" ".join,
)
def test_command_by_hand_is_refused_on_a_managed_node_and_told_the_crm_command(managed, line, crm):
    before = managed.picture()
    assert crm in managed.xcatha(*line, code=REFUSED).stderr
    assert managed.changes_since(before) == []


def test_activate_by_hand_is_refused_on_a_managed_standby(members):
    host1, _ = members
    put_under_pacemaker(host1)
    said = host1.xcatha(*ACTIVATE, code=REFUSED).stderr
    assert "crm resource start xcat, or crm resource move xcat host1" in said


def test_where_pcs_is_installed_its_command_is_named(managed):
    managed.succeed("ln", "-s", "/bin/true", "/usr/local/sbin/pcs")
    said = managed.xcatha(*DEACTIVATE, code=REFUSED).stderr
    managed.succeed("rm", "/usr/local/sbin/pcs")
    assert "pcs node standby host1, or pcs resource disable xcat" in said


def test_agent_is_not_refused_on_a_managed_node(active):
    put_under_pacemaker(active)
    call(active, "stop")
    assert is_standby(active)
    call(active, "start")
    assert is_active(active)


@pytest.mark.parametrize("line", [ACTIVATE, DEACTIVATE], ids=" ".join)
def test_command_by_hand_works_while_pacemaker_does_not_manage_the_resource(active, line):
    put_under_pacemaker(active, "false")
    active.xcatha(*line)


def test_command_by_hand_works_while_pacemaker_does_not_run(active):
    """crm_mon fails then."""
    active.succeed("ln", "-s", "/bin/false", "/usr/local/sbin/crm_mon")
    active.xcatha(*DEACTIVATE)


def test_what_a_crash_left_is_tidied_up_by_hand_on_a_managed_node(active):
    active.power_off()
    active.boot()
    put_under_pacemaker(active)
    active.xcatha(*DEACTIVATE)
    assert is_standby(active)


def test_cluster_manager_that_hangs_does_not_hang_a_command(active):
    active.shorten(SHARE_LIMIT=1)
    hanging = "#!/bin/sh\nexec sleep infinity\n"
    active.succeed("install", "-m", "755", "/dev/stdin", "/usr/local/sbin/crm_mon", input=hanging)
    active.xcatha(*DEACTIVATE)


def test_status_tells_that_pacemaker_is_in_charge(managed):
    assert "in charge: resource xcat" in managed.xcatha("--status").stdout


def test_dns_that_pacemaker_does_not_watch_is_fixed_by_the_line_in_status(managed):
    managed.succeed("systemctl", "stop", "named")
    said = managed.xcatha("--status", code=1).stdout
    line = said.split("DNS is down\n  fix: ")[1].splitlines()[0]
    managed.succeed(*line.split())
    managed.xcatha("--status")


def test_status_tells_that_pacemaker_is_not_in_charge(serving):
    assert "not in charge" in serving.xcatha("--status").stdout
