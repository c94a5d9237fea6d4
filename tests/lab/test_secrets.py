"""Database passwords stay where root alone reads them, whatever runs and whoever looks."""
import threading

import pytest

from tests.lab.host import children
from tests.lab.lab import Lab
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, Pair

SECRET = "HushHush2026"
VARIABLES = ("XCATPGPW", "XCATMYSQLADMIN_PW", "XCATMYSQLROOT_PW")
ENVIRONMENT = dict.fromkeys(VARIABLES, SECRET)
STRACE = "strace -f --seccomp-bpf -s 4096 -e trace=execve -e signal=none -o /root/trace".split()


def descendants(pid):
    """A process and all that it started, directly or not."""
    return [pid] + [below for child in children(pid) for below in descendants(child)]


def command_line(pid):
    """The argv of a process, nothing once it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Watcher(threading.Thread):
    """Looks at every argv on a host again and again, as another user of it could."""

    def __init__(self, host):
        super().__init__()
        self.host, self.seen, self.stopped = host, set(), threading.Event()

    def run(self):
        while not self.stopped.wait(0.01):
            commands = (self.host.cgroup / "cgroup.procs").read_text().split()
            self.seen |= {command_line(pid) for pid in commands + descendants(self.host.pid)}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()


class Story:
    """All commands on a host with passwords of its own, and what could be seen meanwhile."""

    def __init__(self, lab, engine):
        self.host, self.pair, self.engine = lab.host1, Pair(lab, engine), engine
        lines = [self.pair.line(line, self.host) for line in (SETUP, ACTIVATE, DEACTIVATE)]
        with Watcher(self.host) as watcher:
            self.said = self.say([*lines[0], "--dryrun"], lines[0])
            self.said += self.say([*lines[1], "--dryrun"], lines[1], [*lines[0][:2], "--status"])
            self.running = self.host.succeed("cat", "/etc/xcat/cfgloc")
            self.said += self.say(lines[2])
        self.seen = watcher.seen

    def say(self, *lines):
        """What the script says, under strace, when it is run with these command lines."""
        said = ""
        for line in lines:
            done = self.host.run(*STRACE, *line, env=ENVIRONMENT)
            assert done.returncode == 0, self.host.report(done)
            said += done.stdout + done.stderr + self.host.succeed("cat", "/root/trace")
        return said


ENGINES = ["postgresql", pytest.param("mysql", marks=pytest.mark.long)]


@pytest.fixture(scope="module", params=ENGINES)
def story(request):
    with Lab() as lab:
        yield Story(lab, request.param)


def test_database_has_the_given_password(story):
    assert story.running.strip().endswith("|" + SECRET)


def test_password_is_in_no_argv_that_was_seen_during_the_runs(story):
    assert any("xcatha.py -s" in line for line in story.seen)
    assert [line for line in story.seen if SECRET in line] == []


def test_password_is_in_no_argv_of_what_the_script_started_nor_in_its_output(story):
    assert 'execve("/usr/bin/rsync"' in story.said
    assert [line for line in story.said.splitlines() if SECRET in line] == []


@pytest.mark.parametrize("place", ["/var/log", "/HA/.xcatha", "/run/xcatha", "/etc/systemd"])
def test_password_is_in_no_log_record_or_unit(story, place):
    assert story.host.run("grep", "-rl", SECRET, place).stdout == ""


def test_no_other_user_can_read_the_password(story):
    places = ("/etc", "/var", "/run", "/tmp", "/install", "/tftpboot", "/root", "/HA", "/opt")
    found = story.host.run("runuser", "-u", "nobody", "--", "grep", "-rls", SECRET, *places)
    assert found.stdout == ""


def test_root_finds_the_password_where_xcat_keeps_it(story):
    found = story.host.succeed("grep", "-rl", SECRET, "/HA/etc/xcat")
    assert "/HA/etc/xcat/cfgloc" in found.split()


def test_password_given_after_a_setup_that_failed_is_the_one_that_counts():
    """pgsqlsetup leaves a user that it finds as it is, and says nothing."""
    with Lab() as lab:
        host, line = lab.host1, Pair(lab, "postgresql").line(SETUP, lab.host1)
        in_the_way = lab.share / "tftpboot.xcatha-partial"
        in_the_way.touch()
        done = host.run(*line, env={"XCATPGPW": "first1"})
        assert done.returncode == 1 and "Database switch" in done.stdout, host.report(done)
        in_the_way.unlink()
        host.succeed(*line, env={"XCATPGPW": SECRET})
        host.succeed(*Pair(lab, "postgresql").line(ACTIVATE, host))
        assert host.succeed("cat", "/etc/xcat/cfgloc").strip().endswith("|" + SECRET)
