"""Running commands: argument lists, time limits that hold, no secrets, honest dry runs."""

import os
import signal
import threading
import time

import pytest

import xcatha


def test_result_is_status_and_both_outputs():
    assert xcatha.run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10) == (3, "out\n", "err\n")


def test_arguments_reach_the_command_as_they_are():
    assert xcatha.run(["printf", "%s", "a b;$HOME"], 10)[1] == "a b;$HOME"


def test_command_that_does_not_exist_is_exit_127():
    status, _, err = xcatha.run(["no-such-command"], 10)
    assert status == 127 and "no-such-command" in err


def test_limit_ends_the_command_and_all_it_started(tmp_path):
    started = time.monotonic()
    pid_file = str(tmp_path / "pid")
    status, _, err = xcatha.run(["sh", "-c", "sleep 60 & echo $! >" + pid_file + "; wait"], 0.5)
    assert status == 124 and "no end within" in err
    assert time.monotonic() - started < 10
    with open(pid_file) as file:
        child = file.read().strip()
    assert xcatha.wait_until(lambda: not is_alive(child), 5)


def is_alive(pid):
    """True while a process runs; a zombie that nobody has collected yet is dead."""
    try:
        with open("/proc/%s/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_daemon_that_keeps_its_output_open_does_not_hold_the_command():
    started = time.monotonic()
    assert xcatha.run(["sh", "-c", "sleep 5 & echo started"], 10)[:2] == (0, "started\n")
    assert time.monotonic() - started < 4


def test_command_has_no_standard_input():
    assert xcatha.run(["cat"], 10) == (0, "", "")


def test_environment_is_c_locale_and_has_no_passwords(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("XCATPGPW", "secret")
    out = xcatha.run(["env"], 10)[1].splitlines()
    assert "LC_ALL=C" in out and not any("secret" in line for line in out)


def test_environment_leads_no_command_to_another_server(monkeypatch):
    """A profile may name the xcatd or the database of somewhere else."""
    for name in ("PGHOST", "PGPORT", "MYSQL_HOST"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("XCATHOST", "elsewhere:3005")
    found = xcatha.command_environment({"MYSQL_PWD": "given"})
    assert "elsewhere" not in "".join(found.values())
    assert (found["XCATHOST"], found["MYSQL_PWD"]) == ("localhost:3005", "given")


@pytest.mark.parametrize(
    "host, own", [("[fd00::1]:3005", "localhost:3005"), ("hamn", "localhost:3001")])
def test_xcatd_is_asked_at_its_own_port(monkeypatch, host, own):
    monkeypatch.setenv("XCATHOST", host)
    assert xcatha.command_environment({})["XCATHOST"] == own


def test_environment_has_the_directories_of_xcat_and_the_system(monkeypatch):
    monkeypatch.setenv("PATH", "/bin")
    path = xcatha.command_environment({})["PATH"].split(":")
    assert path[0] == "/bin" and {"/usr/sbin", "/opt/xcat/sbin"} < set(path)


def test_failing_change_is_an_error_with_command_and_last_lines_of_both_streams():
    with pytest.raises(xcatha.HAError) as error:
        xcatha.do(["sh", "-c", "printf '%s\\n' a b c d; echo noise >&2; echo last >&2; exit 7"])
    assert error.value.what == "sh failed"
    assert error.value.evidence.endswith(": exit 7, b | c | d | last")


def test_failing_script_is_named_not_the_shell_that_runs_it(tmp_path):
    script = tmp_path / "go-xcat"
    script.write_text("echo unknown codename; exit 1")
    with pytest.raises(xcatha.HAError) as error:
        xcatha.do(["bash", str(script), "--yes", "install"])
    assert error.value.what == "go-xcat failed" and "unknown codename" in error.value.evidence


def test_failed_command_has_no_output_to_be_read():
    assert xcatha.output_of(["echo", "2.19"]) == "2.19\n"
    assert xcatha.output_of(["sh", "-c", "echo host=10.5.106.50; exit 1"]) == ""
    assert xcatha.output_of(["sh", "-c", "echo 10.5; sleep 9"], 0.2) == ""


def test_failing_change_that_may_fail_is_not():
    assert xcatha.do(["false"], may_fail=True)[0] == 1


def test_dry_run_prints_a_change_as_it_could_be_pasted(dry_run, tmp_path, capsys):
    target = str(tmp_path / "a b")
    assert xcatha.do(["touch", target]) == (0, "", "")
    assert not os.path.exists(target)
    assert "would run: touch '%s'" % target in capsys.readouterr().out


def test_dry_run_still_asks(dry_run):
    assert xcatha.ask(["echo", "answer"]) == (0, "answer\n", "")


def test_secrets_are_blanked_out(run_state):
    run_state.secrets.append("hunter2")
    assert xcatha.without_secrets("password hunter2!") == "password ********!"


@pytest.mark.parametrize(
    "out, err, last",
    [
        ("a\nb\n", "", "b"),
        ("a\n", "b\n\n", "b"),
        ("", " \n", "no output"),
    ],
)
def test_evidence_is_the_last_line_that_says_something(out, err, last):
    assert xcatha.last_line(out, err) == last


def test_signal_stops_the_run_at_its_next_command(run_state):
    run_state.signal = 15
    with pytest.raises(xcatha.HAError) as error:
        xcatha.ask(["true"])
    assert "SIGTERM" in error.value.what


def test_waiting_ends_with_the_condition_or_the_limit():
    states = iter([False, False, True])
    assert xcatha.wait_until(lambda: next(states), 10)
    assert not xcatha.wait_until(lambda: False, 0.2)


def test_error_is_what_evidence_and_next_step():
    error = xcatha.HAError("it failed", "its last line", "do this")
    assert error.lines() == ["it failed", "  evidence: its last line", "  next: do this"]


def test_error_without_evidence_is_one_line():
    assert xcatha.HAError("it failed").lines() == ["it failed"]


def test_second_look_of_a_step_fails_where_the_change_is_missing():
    with pytest.raises(xcatha.HAError):
        xcatha.expect(False, "it is not there")


def test_dry_run_has_no_second_look(dry_run):
    xcatha.expect(False, "it is not there")


def test_failed_step_is_said_and_the_error_goes_on(capsys):
    def action():
        raise xcatha.HAError("broken")

    with pytest.raises(xcatha.HAError):
        xcatha.step("Title", action)
    assert "Title" in capsys.readouterr().out


def test_failed_step_that_does_not_end_the_run_has_an_empty_outcome():
    failed = []
    assert xcatha.step("Read", xcatha.do, ["false"], failed=failed) == ""
    assert failed == ["Read"]


def test_step_prints_its_outcome(capsys):
    assert xcatha.step("Title", lambda word: word + "!", "done") == "done!"
    assert "done!" in capsys.readouterr().out


def test_undo_runs_in_reverse_order(undo):
    order = []
    for number in (1, 2, 3):
        xcatha.on_failure(order.append, number)
    assert undo() == xcatha.FAILED
    assert order == [3, 2, 1]


def test_undo_goes_on_after_a_step_that_fails_and_says_that_it_is_incomplete(undo):
    order = []
    xcatha.on_failure(order.append, 1)
    xcatha.on_failure(int, "no number")
    assert undo() == xcatha.INCOMPLETE
    assert order == [1]


def test_undo_registers_nothing_to_undo(undo):
    xcatha.on_failure(xcatha.on_failure, print)
    undo()
    assert not xcatha.UNDO.calls


def test_dry_run_has_nothing_to_undo(dry_run):
    xcatha.on_failure(print)
    assert not xcatha.UNDO.calls


def fail_with(error):
    raise error


@pytest.mark.parametrize(
    "error, what, evidence, hint",
    [
        (
            OSError(28, "No space left on device", "/HA/install"),
            "a file operation failed",
            "No space left on device: '/HA/install'",
            "fix the cause, then run this again",
        ),
        (
            KeyError("vip"),
            "an error in xcatha.py itself",
            "KeyError('vip'",  # Python 3.6 has a comma after it
            "report it, with the log",
        ),
    ],
)
def test_unexpected_error_has_evidence_and_a_next_step(error, what, evidence, hint):
    found = xcatha.error_of(fail_with, error)
    assert (found.what, found.hint) == (what, hint)
    assert evidence in found.evidence


def test_failure_past_the_point_of_no_return_is_not_called_undone(undo):
    assert undo() == xcatha.FAILED
    xcatha.point_of_no_return()
    assert undo() == xcatha.INCOMPLETE


@pytest.mark.parametrize("name", ["XCATSHOWXML", "XCATSHOWSVR", "XCATXMLTRACE"])
def test_what_gives_xcats_output_another_form_is_not_handed_on(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert name not in xcatha.command_environment({})


INIT_SCRIPT = "\n".join("%s=%s" % pair for pair in [
    ("Id", "isc-dhcp-server.service"), ("LoadState", "loaded"), ("ActiveState", "active"),
    ("SubState", "exited"), ("UnitFileState", "generated"), ("Job", "0")]) + "\n"


@pytest.mark.parametrize("left, state", [({}, "failed"), ({"dhcpd": "/"}, "active")])
def test_init_script_whose_daemon_has_died_is_down(monkeypatch, left, state):
    """systemd leaves its unit "active (exited)" for ever; a daemon may run outside its unit."""
    monkeypatch.setattr(xcatha, "ask", lambda argv: (0, INIT_SCRIPT, ""))
    monkeypatch.setattr(xcatha, "processes_of", lambda kind: left if kind == "DHCP" else None)
    assert xcatha.active_state("isc-dhcp-server.service") == state


def test_init_script_whose_daemon_has_died_is_restarted(monkeypatch):
    """For systemd it is active, so that a start would do nothing."""
    did = []
    monkeypatch.setattr(
        xcatha, "active_state", lambda unit: "active" if ["restart", unit] in did else "failed")
    monkeypatch.setattr(xcatha, "do", lambda argv, *limit, **more: did.append(argv[1:]))
    assert xcatha.start_unit("isc-dhcp-server.service")
    assert did[-1] == ["restart", "isc-dhcp-server.service"]


@pytest.mark.parametrize("name, ended", [("dnf", False), ("sleeper", True), ("rpm", True)])
def test_signal_waits_for_the_end_of_an_installer(tmp_path, monkeypatch, capfd, name, ended):
    """Half a transaction of its database is worse than a wait."""
    tool = tmp_path / name
    tool.write_text("#!/bin/sh\ntouch %s/begun\nsleep 1\ntouch %s/whole\n" % (tmp_path, tmp_path))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))
    run, others = threading.Thread(target=xcatha.run, args=([name], 30)), threading.active_count()
    run.start()
    assert xcatha.wait_until(  # run's own thread waits, too: the child is entirely made
        lambda: (tmp_path / "begun").exists() and threading.active_count() == others + 2, 10)
    xcatha.note_signal(signal.SIGTERM, None)
    run.join()
    assert (tmp_path / "whole").exists() != ended
    assert ("waiting for the installer" in capfd.readouterr().err) != ended


def test_second_signal_kills_an_installer_and_a_dead_terminal_stops_no_signal(monkeypatch):
    monkeypatch.setattr(xcatha, "PACKAGES", {"sleep": {}})
    run = threading.Thread(target=xcatha.run, args=(["sleep", "60"], 90))
    run.start()
    assert xcatha.wait_until(lambda: xcatha.RUN.children, 10)
    monkeypatch.setattr(xcatha.os, "write", lambda *_: (_ for _ in ()).throw(OSError("EIO")))
    xcatha.note_signal(signal.SIGINT, None)
    run.join(0.5)
    assert run.is_alive()
    xcatha.note_signal(signal.SIGINT, None)
    run.join(10)
    assert not run.is_alive()
