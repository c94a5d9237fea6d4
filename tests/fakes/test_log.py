"""The log: for root alone, each command as it could be pasted, with its verdict; no secrets."""

import re
import stat

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (INFO|WARNING|ERROR) - .*")


def log_of(node):
    return node.path("/var/log/xcatha.log").read_text().splitlines()


def test_log_is_for_root_alone(node):
    node.xcatha(*DEACTIVATE)
    assert stat.S_IMODE(node.path("/var/log/xcatha.log").stat().st_mode) == 0o600


def test_log_may_be_elsewhere_and_is_appended(node):
    node.succeed("tee", "/root/log", input="before\n")
    node.xcatha(*DEACTIVATE, "--log", "/root/log")
    lines = node.path("/root/log").read_text().splitlines()
    assert lines[0] == "before" and len(lines) > 1


def test_every_line_of_the_log_has_time_and_level(members):
    lines = log_of(members[0])
    assert lines and [line for line in lines if not LINE.match(line)] == []


def test_command_is_logged_with_its_verdict(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    passed = [line for line in log_of(host1) if line.endswith("[Passed]")]
    assert any("systemctl start postgresql.service" in line for line in passed)


def test_failed_command_is_logged_with_its_output(members):
    host1, _ = members
    host1.plan("FAIL_ON", "systemctl start postgresql")
    earlier = len(log_of(host1))
    host1.xcatha(*ACTIVATE, code=1)
    log = log_of(host1)[earlier:]
    failed = next(n for n, line in enumerate(log) if " systemctl start postgresql" in line)
    assert log[failed].endswith("[Failed, OK to ignore]")
    assert "fake: planned fault" in log[failed + 1]


def test_question_is_logged_once_for_each_answer(members):
    host1, _ = members
    earlier = len(log_of(host1))
    host1.xcatha(*ACTIVATE)
    log = log_of(host1)[earlier:]
    probes = [line for line in log if " arping -D " in line]
    looks = [line for line in log if "UnitFileState,Job xcatd.service" in line]
    assert len(probes) == 1 and probes[0].endswith("[Passed]") and len(looks) == 1


def test_verbose_shows_each_command_and_each_change_of_a_file_as_it_comes(members):
    host1, _ = members
    quiet = host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    shown = host1.xcatha(*ACTIVATE, "--verbose")
    lines = [line[4:] for line in shown.stderr.splitlines() if line.startswith("[#] ")]
    order = ["ip address add 10.5.106.50/8 broadcast 10.255.255.255 dev eth0 label eth0:0",
             "hostname hamn", "rename /install -> /install.xcatbak", "link /install -> /HA/install",
             "systemctl start postgresql.service", "systemctl start xcatd.service"]
    assert [line for line in lines if line in order] == order
    assert "arping -D -c 2 -w 1 -I eth0 10.5.106.50" in lines  # one that changes nothing
    assert "[#]" not in quiet.stderr + quiet.stdout + shown.stdout
    files = {line for line in lines if re.match("(write|make|rename|link|remove) ", line)}
    logged = re.findall(r" - INFO - (.*) \(\d+\.\d\d s\) \[", "\n".join(log_of(host1)))
    assert set(lines) - files <= set(logged)


def test_password_is_in_no_log_no_output_and_no_argument(node):
    done = node.xcatha(*SETUP, env={"XCATPGPW": "hunter2"})
    assert "hunter2" in node.path("/HA/etc/xcat/cfgloc").read_text()
    assert "hunter2" not in done.stdout + done.stderr + "\n".join(log_of(node))
    assert not any("hunter2" in word for call in node.calls() for word in call)
