"""A site's own executables and directories go with the active node."""

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.test_dryrun import both

HA_D = "/HA/etc/xcat/ha.d"
# What each of them leaves behind: its name, what runs then, what it was told.
STEP = """\
#!/bin/sh
told="$XCATHA_VIP $XCATHA_HOST_NAME $XCATHA_SHARE"
echo "$(basename $0) $(systemctl is-active xcatd) $told" >>/root/steps
echo "said by $(basename $0)"
"""
FAILING = "#!/bin/sh\necho no such accounting database >&2\nexit 7\n"


def give(node, name, text=STEP, mode="755"):
    """An executable of the site's."""
    node.succeed("mkdir", "-p", HA_D)
    node.succeed("install", "-m", mode, "/dev/stdin", f"{HA_D}/{name}", input=text)


def steps(node):
    """What the executables have left behind, a line each."""
    return node.run("cat", "/root/steps").stdout.splitlines()


@pytest.fixture
def site(members):
    """A pair with four steps of its own, and files that are none."""
    for name in ("activated-20-web", "activated-10-mail", "deactivate-web", "deactivate-mail",
                 "README", "activated-web.rpmsave", "deactivate-web~"):
        give(members[0], name)
    return members


def test_they_run_in_order_of_name_while_the_pairs_services_are_up(site):
    host1, host2 = site
    host1.xcatha(*ACTIVATE)
    told = "active 10.5.106.50 hamn /HA"
    assert steps(host1) == [f"activated-10-mail {told}", f"activated-20-web {told}"]
    host1.xcatha(*DEACTIVATE)
    assert steps(host1)[2:] == [f"deactivate-mail {told}", f"deactivate-web {told}"]
    host2.xcatha(*ACTIVATE)
    assert [line.split()[0] for line in steps(host2)] == ["activated-10-mail", "activated-20-web"]
    assert "said by activated-20-web" in host2.path("/var/log/xcatha.log").read_text()


def test_they_do_not_run_where_nothing_is_to_be_done(site):
    host1, host2 = site
    host1.xcatha(*ACTIVATE)
    done = steps(host1)
    host1.xcatha(*ACTIVATE)
    host2.xcatha(*DEACTIVATE)
    host2.xcatha(*SETUP)
    assert (steps(host1), steps(host2)) == (done, [])


def test_one_that_fails_is_told_of_and_stops_neither_the_others_nor_the_pair(site):
    host1, _ = site
    for name in ("activated-15-books", "deactivate-books"):
        give(host1, name, FAILING)
    done = host1.xcatha(*ACTIVATE, code=4)
    assert "ERROR: activated-15-books failed\n" in done.stderr
    assert "exit 7, no such accounting database" in done.stderr
    assert "Active, but not done or not up: Own steps." in done.stderr
    assert len(steps(host1)) == 2
    done = host1.xcatha(*DEACTIVATE, code=4)
    assert "Standby, but not done or not up: Own steps." in done.stderr
    assert "This machine is set to standby management node successfully" in done.stdout
    assert len(steps(host1)) == 4
    assert host1.xcatha("--status", code=3).stdout.endswith("host1: standby\n")


def test_one_that_does_not_end_is_ended(site):
    host1, _ = site
    give(host1, "activated-15-slow", "#!/bin/sh\nexec sleep 1000\n")
    host1.shorten(DO_LIMIT=3)
    assert "no end within 3 s" in host1.xcatha(*ACTIVATE, code=4).stderr
    assert len(steps(host1)) == 2


def test_run_that_was_killed_at_one_of_them_converges(site):
    host1, _ = site
    give(host1, "activated-15-kills",
         "#!/bin/sh\nmv $0 /root/activated-15-kills\nkill -KILL $PPID\nsleep 1\n")
    assert host1.run(*host1.script(*ACTIVATE)).returncode
    assert len(steps(host1)) == 1
    assert "an earlier run did not finish" in host1.xcatha("--status", code=1).stdout
    host1.xcatha(*ACTIVATE)
    assert [line.split()[0] for line in steps(host1)[1:]] == [
        "activated-10-mail", "activated-20-web"]
    assert host1.xcatha("--status").stdout.endswith("host1: active\n")


def test_one_that_outlives_a_killed_run_is_ended_by_the_next_command(site):
    host1, _ = site
    give(host1, "activated-15-endless",
         "#!/bin/sh\nkill -KILL $PPID\nwhile sleep 1; do :; done\n")
    host1.run(*host1.script(*ACTIVATE))
    assert host1.run("pgrep", "-f", "activated-15-endless").returncode == 0
    host1.xcatha(*DEACTIVATE)
    assert host1.run("pgrep", "-f", "activated-15-endless").returncode == 1


def test_daemon_that_one_of_them_has_started_in_order_outlives_a_killed_run(site):
    host1, _ = site
    give(host1, "activated-15-daemon", "#!/bin/sh\nsetsid sleep 1000 &\n")
    host1.xcatha(*ACTIVATE)
    host1.plan("SIGKILL_ON", "hostname host1")
    host1.run(*host1.script(*DEACTIVATE))
    host1.heal()
    host1.xcatha(*DEACTIVATE)
    host1.succeed("pkill", "-f", "sleep 1000")


def test_run_that_is_stopped_at_one_of_them_undoes_them(site):
    host1, _ = site
    give(host1, "activated-15-stops", "#!/bin/sh\nkill -INT $PPID\nsleep 5\n")
    give(host1, "deactivate-books", FAILING)
    said = host1.xcatha(*ACTIVATE, code=1).stderr
    assert "ERROR: deactivate-books failed\n" in said and "This node is as it was found" in said
    assert [line.split()[:2] for line in steps(host1)] == [
        ["activated-10-mail", "active"], ["deactivate-mail", "active"],
        ["deactivate-web", "active"]]


def test_they_do_not_run_on_a_node_that_died_while_the_other_one_is_active(site):
    """What such a step ends, be it a database elsewhere, is the other node's by now."""
    host1, _ = site
    host1.xcatha(*ACTIVATE)
    before = steps(host1)
    record = "/HA/.xcatha/cluster.json"
    host1.succeed("sed", "-i", 's/"host": "host1"/"host": "host2"/', record)
    host1.xcatha(*DEACTIVATE)
    assert steps(host1) == before and not host1.run("readlink", "/etc/xcat").stdout


@pytest.mark.parametrize("spoil", [f"rm -r {HA_D} && touch {HA_D}",
                                   f"rm -r {HA_D} && ln -s /nowhere {HA_D}"])
def test_directory_of_them_that_is_none_stops_nothing(site, spoil):
    host1, _ = site
    host1.succeed("sh", "-c", spoil)
    said = host1.xcatha(*ACTIVATE, code=4).stderr
    assert "Errno" in said and "'/etc/xcat/ha.d'" in said
    host1.succeed("sh", "-c", f"mv {HA_D} {HA_D}.old")
    host1.xcatha(*ACTIVATE)
    assert host1.xcatha("--status").stdout.endswith("host1: active\n")


@pytest.mark.parametrize("spoil, why", [
    (f"chmod 775 {HA_D}/activated-20-web", "others than root may write it"),
    (f"chown 26 {HA_D}/activated-20-web", "others than root may write it"),
    (f"chmod 777 {HA_D}", "others than root may write it"),
    (f"chmod 644 {HA_D}/activated-20-web", "it is not executable"),
    (f"mv {HA_D}/activated-20-web /root && ln -s /root/activated-20-web {HA_D}",
     "it is no plain file"),
])
def test_one_that_somebody_else_may_have_written_is_not_run(site, spoil, why):
    host1, _ = site
    host1.succeed("sh", "-c", spoil)
    for line in ([*ACTIVATE, "--dryrun"], ACTIVATE):  # the rehearsal ends as the real run does
        said = host1.xcatha(*line, code=4).stderr
        assert "ERROR: /etc/xcat/ha.d/activated-20-web was not run\n  evidence: " + why in said
    assert not [line for line in steps(host1) if "activated-20-web" in line]
    shown = host1.xcatha("--status", code=1).stdout
    assert f"{HA_D}/activated-20-web will not be run: {why}" in shown
    fix = next(line for line in shown.splitlines() if "then: chown root" in line)
    if "plain file" not in why:
        host1.succeed("sh", "-c", fix.partition("then: ")[2])
        assert host1.xcatha("--status").stdout.endswith("host1: active\n")


def test_dry_run_announces_each(members):
    host1, _ = members
    for name in ("activated-10-mail", "deactivate-web"):
        give(host1, name, "#!/bin/sh\ntrue\n")
    said = both(host1, *ACTIVATE)
    assert "would run: /etc/xcat/ha.d/activated-10-mail" in said
    assert "would run: /etc/xcat/ha.d/deactivate-web" in both(host1, *DEACTIVATE)


@pytest.mark.parametrize("name", ["activate-web", "deactivated-web", "activated-web.sh"])
def test_file_whose_name_is_almost_that_of_one_is_told(site, name):
    """Whoever wrote it believes that it runs at a failover."""
    host1, _ = site
    give(host1, name)
    host1.xcatha(*ACTIVATE)
    shown = host1.xcatha("--status").stdout
    assert f"note: {HA_D}/{name} is not run: its name is no own step's\n  fix: name it act" in shown
    assert shown.count("is not run: its name") == 1 and not [
        line for line in steps(host1) if line.startswith(name + " ")]


# ---- --also ----------------------------------------------------------------------------------

LOGS = "/var/consoles"


@pytest.fixture
def with_logs(pair):
    """A pair that shares the logs of consoles, too; host2 had no such directory."""
    host1, host2 = pair
    host1.succeed("sh", "-c", f"mkdir {LOGS} && echo first >{LOGS}/cn1")
    host1.xcatha(*SETUP, "--also", LOGS)
    host2.xcatha(*SETUP)
    return pair


def test_further_directory_follows_the_active_node(with_logs):
    host1, host2 = with_logs
    host1.xcatha(*ACTIVATE)
    host1.succeed("sh", "-c", f"echo second >>{LOGS}/cn1")
    host1.xcatha(*DEACTIVATE)
    assert host1.succeed("cat", f"{LOGS}/cn1") == "first\n"
    host2.xcatha(*ACTIVATE)
    assert host2.succeed("cat", f"{LOGS}/cn1") == "first\nsecond\n"
    host2.xcatha(*DEACTIVATE)
    assert host2.run("test", "-e", LOGS).returncode == 1


def test_dry_run_of_a_setup_with_a_further_directory(node):
    node.succeed("mkdir", LOGS)
    assert f"would link: {LOGS} -> /HA{LOGS}" in both(node, *SETUP, "--also", LOGS)


def test_its_link_is_removed_though_the_share_is_silent(with_logs):
    host1, _ = with_logs
    host1.xcatha(*ACTIVATE)
    host1.succeed("sh", "-c", "mv /HA/.xcatha/cluster.json /root")
    host1.run(*host1.script(*DEACTIVATE))
    assert host1.run("test", "-L", LOGS).returncode == 1


def test_directory_named_twice_is_linked_once(node):
    node.succeed("mkdir", LOGS)
    node.xcatha(*SETUP, "--also", LOGS, "--also", LOGS)


@pytest.mark.parametrize("path, why", [
    ("/etc", "/etc/hosts lies in /etc"), ("/var/lib", "lies in /var/lib"),
    ("/etc/systemd/system", "/etc/systemd/system lies in /etc/systemd"),
    ("/usr/lib", "/usr/lib lies in /usr"), ("/run/lock", "/run/lock lies in /run"),
    ("/var/run/consoles", "/var/run/consoles lies in /run"),
    ("/install/logs", "/install/logs lies in /install"), ("/HA/logs", "/HA/logs lies in /HA")])
def test_directory_that_cannot_be_linked_is_refused(node, path, why):
    said = node.xcatha(*SETUP, "--also", path, code=3).stderr
    assert f"{path} cannot be linked" in said and why in said
    assert f"leave out --also {path}" in said


def test_directory_that_is_not_there_is_refused_until_it_is_made(node):
    said = node.xcatha(*SETUP, "--also", LOGS, code=3).stderr
    assert f"there is no directory {LOGS}" in said
    node.succeed("sh", "-c", said.partition("make it: ")[2].splitlines()[0])
    node.xcatha(*SETUP, "--also", LOGS)


def test_directory_that_the_pair_does_not_have_is_refused(with_logs):
    said = with_logs[0].xcatha(*ACTIVATE, "--also", "/srv", code=3).stderr
    assert "/srv is none of the pair's directories" in said and "leave out --also /srv" in said
    with_logs[0].xcatha(*ACTIVATE, "--also", LOGS)
