"""The harness of the fakes level itself: what a node is, and that its stand-ins do their part."""

import signal

UNIT = "/run/systemd/system/{}.service"


def install_unit(node, name, *service):
    """Write a unit file as xcatha does."""
    node.path("/run/systemd/system").mkdir(parents=True, exist_ok=True)
    node.path(UNIT.format(name)).write_text("[Service]\n" + "\n".join(service) + "\n")


def state(node, name):
    return node.run("systemctl", "is-active", name).stdout.strip()


def test_node_has_its_own_host_name_and_address(node):
    assert node.succeed("hostname") == "host1\n"
    assert node.addresses() == ["127.0.0.1", "10.5.106.4"]


def test_node_writes_to_no_file_of_this_machine(node):
    node.succeed("tee", "/usr/lib/xcatha-test", input="text")
    assert node.path("/usr/lib/xcatha-test").read_text() == "text"
    assert node.run("ls", "/install").returncode != 0
    with open("/proc/self/mounts") as mounts:
        assert str(node.home) not in mounts.read()


def test_two_nodes_share_one_directory_and_one_network(pair):
    host1, host2 = pair
    host1.succeed("tee", "/HA/file", input="text")
    assert host2.succeed("cat", "/HA/file") == "text"
    host1.succeed("ping", "-c", "1", "-W", "5", "10.5.106.5")


def test_disk_survives_a_power_cut_and_processes_do_not(node):
    node.succeed("tee", "/etc/kept", "/run/lost", input="text")
    node.power_off()
    node.boot()
    assert node.succeed("cat", "/etc/kept") == "text"
    assert node.run("cat", "/run/lost").returncode == 1


def test_calls_are_recorded_in_order(node):
    node.succeed("systemctl", "daemon-reload")
    node.succeed("hostname", "hamn")
    assert node.calls()[-2:] == [["systemctl", "daemon-reload"], ["hostname", "hamn"]]


def test_command_fails_once_at_its_position(node):
    node.plan("FAIL_AT", 2)
    codes = [node.run("hostname").returncode for _ in range(3)]
    assert codes == [0, 1, 0]


def test_commands_fail_for_ever_from_a_position(node):
    node.plan("FAIL_FROM", 2)
    codes = [node.run("hostname").returncode for _ in range(3)]
    assert codes == [0, 1, 1]
    node.heal()
    assert node.run("hostname").returncode == 0


def test_command_fails_by_its_words(node):
    node.plan("FAIL_ON", "hostname ha")
    assert node.run("hostname", "hamn").returncode == 1
    assert node.run("hostname").returncode == 0


def test_command_kills_its_caller(node):
    node.plan("SIGKILL_AT", 1)
    done = node.run("sh", "-c", "hostname; echo survived")
    assert done.returncode == -signal.SIGKILL and not done.stdout


def test_command_hangs_until_it_is_killed(node):
    node.plan("HANG_AT", 1)
    assert node.run("timeout", "0.5", "hostname").returncode == 124


def test_unit_runs_until_it_is_stopped(node):
    install_unit(node, "demo", "ExecStart=/bin/sleep infinity")
    node.succeed("systemctl", "start", "demo")
    pid = node.succeed("systemctl", "show", "demo", "-p", "MainPID", "--value").strip()
    assert state(node, "demo") == "active" and node.path(f"/proc/{pid}").exists()
    node.succeed("systemctl", "stop", "demo")
    assert state(node, "demo") == "inactive" and not node.path(f"/proc/{pid}").exists()


def test_unit_that_is_not_installed_cannot_be_started(node):
    done = node.fail("systemctl", "start", "demo", code=5)
    assert done.stderr == "Failed to start demo.service: Unit demo.service not found.\n"


def test_unit_is_enabled_and_disabled(node):
    install_unit(node, "demo", "ExecStart=/bin/true", "[Install]", "WantedBy=multi-user.target")
    node.succeed("systemctl", "enable", "demo")
    assert node.succeed("systemctl", "is-enabled", "demo") == "enabled\n"
    node.succeed("systemctl", "disable", "demo")
    assert node.run("systemctl", "is-enabled", "demo").stdout == "disabled\n"


def test_show_separates_units_by_a_blank_line(node):
    install_unit(node, "demo", "ExecStart=/bin/true")
    shown = node.succeed("systemctl", "show", "-p", "LoadState,ActiveState", "demo", "none")
    assert shown == (
        "LoadState=loaded\nActiveState=inactive\n\nLoadState=not-found\nActiveState=inactive\n"
    )


def notifying(message):
    code = "import os,socket,time; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); "
    code += f"s.sendto(b'{message}', os.environ['NOTIFY_SOCKET']); time.sleep(60)"
    return f'ExecStart=/usr/bin/python3 -c "{code}"'


def test_notify_unit_is_started_once_it_says_so(node):
    install_unit(node, "demo", "Type=notify", notifying("READY=1"))
    node.succeed("systemctl", "start", "demo")
    assert state(node, "demo") == "active"


def test_notify_unit_that_ends_before_it_is_ready_has_failed(node):
    stop_post = "ExecStopPost=/usr/bin/touch /run/stopped"
    install_unit(node, "demo", "Type=notify", "ExecStart=/bin/false", stop_post)
    node.fail("systemctl", "start", "demo", code=1)
    assert state(node, "demo") == "failed" and node.path("/run/stopped").exists()


def test_silent_notify_unit_fails_at_its_watchdog(node):
    install_unit(node, "demo", "Type=notify", "WatchdogSec=0.2", notifying("READY=1"))
    node.succeed("systemctl", "start", "demo")
    node.succeed("timeout", "10", "sh", "-c", "while systemctl is-active demo; do :; done")
    assert "Result=watchdog" in node.succeed("systemctl", "show", "demo")


def test_bound_unit_needs_the_other_and_ends_with_it(node):
    install_unit(node, "bound", "ExecStart=/bin/sleep infinity", "[Unit]", "BindsTo=demo.service")
    node.fail("systemctl", "start", "bound", code=5)
    install_unit(node, "demo", "ExecStart=/bin/sleep infinity")
    node.succeed("systemctl", "start", "bound")
    assert state(node, "demo") == "active"
    node.succeed("systemctl", "stop", "demo")
    assert state(node, "bound") == "inactive"


def test_xcat_comes_with_go_xcat_and_moves_to_postgresql(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    assert "dbengine=SQLite" in node.succeed("/opt/xcat/bin/lsxcatd", "-a")
    node.succeed("dnf", "-y", "install", "postgresql-server")
    node.succeed("/opt/xcat/bin/pgsqlsetup", "-i", "-a", "10.5.106.4")
    assert "dbengine=Pg" in node.succeed("/opt/xcat/bin/lsxcatd", "-a")
    pid = node.succeed("systemctl", "show", "postgresql", "-p", "MainPID", "--value").strip()
    assert node.succeed("readlink", f"/proc/{pid}/cwd") == "/var/lib/pgsql/data\n"


def test_xcat_clients_fail_as_the_real_ones_without_xcatd(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")
    node.succeed("systemctl", "stop", "xcatd")
    assert "localhost:3001" in node.fail("/opt/xcat/bin/lsdef", "-t", "site", code=111).stdout


def test_picture_shows_a_rewritten_file(node):
    before = node.picture()
    assert node.changes_since(before) == []
    node.succeed("sh", "-c", "cp /etc/hosts /etc/hosts.new; mv /etc/hosts.new /etc/hosts")
    assert "etc/hosts" in node.changes_since(before)
