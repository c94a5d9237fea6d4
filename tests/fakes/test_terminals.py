"""Terminals, logs and clocks that fail do not stop a run, and take nothing away from it."""

import fcntl
import os
import subprocess

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP


def in_shell(node, text, line, **options):
    """Run the script by a line of sh, in which $@ stands for it."""
    return node.run("sh", "-c", text, "sh", *node.script(*line), timeout=120, **options)


# ---- Terminals -------------------------------------------------------------------------------


def test_closed_streams_do_not_stop_a_first_setup(node):
    assert in_shell(node, 'exec "$@" <&- >&- 2>&-', SETUP).returncode == 0
    assert losses.is_standby(node)


def test_full_pipe_that_nobody_reads_does_not_stop_deactivate(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    host1.shorten(ASK_LIMIT=3)
    reading, writing = os.pipe()
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096))
    line = ["nsenter", "-t", str(host1.pid), "-m", "-n", "-u", "-p", *host1.script(*DEACTIVATE)]
    done = subprocess.run(line, stdout=writing, stderr=writing, timeout=50, check=False)
    os.close(reading)
    os.close(writing)
    assert done.returncode == 0 and losses.is_standby(host1)


# ---- Log, clock, umask -----------------------------------------------------------------------


def test_full_file_system_of_the_log_stops_nothing(members):
    host1, _ = members
    host1.succeed("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/var/log")
    host1.run("dd", "if=/dev/zero", "of=/var/log/filler", "bs=4k", "count=1")
    host1.xcatha(*ACTIVATE)
    assert losses.is_active(host1) and host1.path("/var/log/xcatha.log").stat().st_size == 0


def test_clock_of_the_node_that_takes_over_may_be_an_hour_behind(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    host2.succeed("faketime", "-f", "-1h", *host2.script(*ACTIVATE))
    assert losses.is_active(host2)
    assert (host2.share / ".xcatha/history").read_text().count("active (planned") == 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("umask", ["000", "077"])
def test_modes_do_not_depend_on_the_umask(node, umask):
    for line in (SETUP, ACTIVATE):
        done = in_shell(node, f'umask {umask}; exec "$@"', line)
        assert done.returncode == 0, done.stderr
    below = "/HA/.xcatha"
    names = node.succeed("find", below, "-printf", "%M %U %p\\n").splitlines()
    assert len(names) > 5
    assert {name[:12] for name in names} == {"drwx------ 0", "-rw------- 0"}
    own = {"/var/log/xcatha.log": "600", "/run/xcatha": "700", "/var/lib/xcatha": "700"}
    for_all = {"/etc/hosts": "644", "/etc/resolv.conf": "644", "/HA/var/lib": "755"}
    for path, mode in {**own, **for_all}.items():
        assert node.succeed("stat", "-c", "%a %U", path) == f"{mode} root\n", path
