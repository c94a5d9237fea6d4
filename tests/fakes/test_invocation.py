"""However and from wherever it is called: interpreters, directories, locales, cron, postscripts."""

import json
import re
import subprocess
import sys

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.shortened import SCRIPT

STANDBY = 3
OWN = sys.executable.rpartition("/")[0]
C_LOCALE = ["LC_ALL=C", "LANG=C", "PYTHONCOERCECLOCALE=0", "PYTHONUTF8=0"]
MINIMAL = ["env", "-i", "PATH=/usr/bin:/bin"]
BYTES = b"10.1.1.1 z\xfcrich\n10.1.1.2 z\xc3\xbcrich2 # M\xe4rz\n"
# Runs --status in this process and tells what it took by itself, its commands left out.
OWN_TIME = """
import contextlib, io, resource, runpy, sys
sys.argv = ["xcatha.py", "--status"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_path("/root/xcatha.py", run_name="__main__")
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


@pytest.fixture(scope="module")
def help_text():
    line = [sys.executable, SCRIPT, "--help"]
    environment = {"COLUMNS": "80", "PATH": "/usr/bin"}
    return subprocess.run(line, capture_output=True, text=True, env=environment).stdout


# ---- Help --------------------------------------------------------------------------------------


def test_help_fits_on_two_screens(help_text):
    lines = help_text.splitlines()
    assert 20 < len(lines) <= 2 * 24 and max(map(len, lines)) <= 80


def test_help_begins_with_whole_lines(help_text):
    examples = re.findall(r"^ xcatha.py (-.*)$", help_text.partition("options:")[0], re.M)
    setup = " ".join(SETUP).partition(" --go-xcat")[0]
    assert examples == [setup, " ".join(ACTIVATE), " ".join(DEACTIVATE), "--status"]


# ---- Interpreter and directory -----------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["python3 /root/xcatha.py", "python /root/xcatha.py", "/root/xcatha.py", "./xcatha.py"],
)
@pytest.mark.parametrize("directory", ["/root", "/", "/HA"])
def test_interpreter_and_directory_do_not_matter(members, line, directory):
    path = f"{OWN}:/usr/bin:/bin"
    if line.startswith("./"):
        line = "." + "/.." * (directory != "/") + "/root/xcatha.py"
    done = members[0].run("sh", "-c", f"cd {directory} && {line} --status", env={"PATH": path})
    assert done.returncode == STANDBY, done.stderr


def test_directory_that_is_gone_does_not_matter(members):
    text = 'mkdir /tmp/gone && cd /tmp/gone && rmdir /tmp/gone && exec "$@"'
    done = members[0].run("sh", "-c", text, "sh", *members[0].script("--status"))
    assert done.returncode == STANDBY, done.stderr


# ---- Environment -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [[], ["HOME=/root", "SHELL=/bin/sh", "LOGNAME=root"], ["SUDO_USER=admin", "HOME=/home/admin"]],
    ids=["postscript", "cron", "sudo"],
)
def test_minimal_environment_is_enough(members, environment):
    host1, _ = members
    for line in (ACTIVATE, DEACTIVATE):
        host1.succeed("setsid", *MINIMAL, *environment, *host1.script(*line))
    assert losses.is_standby(host1)


def test_c_locale_keeps_bytes_that_are_not_ascii(members):
    host1, host2 = members
    hosts = host1.path("/etc/hosts")
    hosts.write_bytes(hosts.read_bytes() + BYTES)
    host1.succeed(*MINIMAL, *C_LOCALE, *host1.script(*ACTIVATE))
    assert BYTES in hosts.read_bytes()
    host1.succeed(*MINIMAL, *C_LOCALE, *host1.script(*DEACTIVATE))
    host2.succeed(*MINIMAL, *C_LOCALE, *host2.script(*ACTIVATE))
    assert b"10.1.1.1 z\xfcrich\n" in host2.path("/etc/hosts").read_bytes()


def test_c_locale_shows_tables_that_are_not_ascii(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    network = "netname=Zürich mgtifname=eth0:0 net=10.0.0.0 mask=255.0.0.0".split()
    host1.succeed("/opt/xcat/bin/chdef", "-t", "networks", "-o", "Zürich", *network)
    done = host1.run(*MINIMAL, *C_LOCALE, *host1.script("--status"))
    assert done.returncode == 1 and r"mgtifname of Z\xfcrich is eth0:0, an alias" in done.stdout


# ---- Time --------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [None, ACTIVATE], ids=["standby", "active"])
def test_status_takes_little_time_of_its_own(members, line):
    host1, _ = members
    if line:
        host1.xcatha(*line)
    own = min(float(host1.succeed(sys.executable, "-c", OWN_TIME)) for _ in range(3))
    print(f"--status: {own:.2f} s of its own")
    assert own < 0.3


def test_status_never_sleeps(members):
    calls = "-e signal=none -e trace=nanosleep,clock_nanosleep".split()
    trace = ["strace", "-f", "-qq", *calls, "-o", "/root/trace"]
    members[0].run(*trace, *members[0].script("--status"))
    assert members[0].succeed("cat", "/root/trace") == ""


def test_json_is_one_document_in_the_c_locale(members):
    done = members[0].run(*MINIMAL, *C_LOCALE, *members[0].script("--status", "--json"))
    assert json.loads(done.stdout)["role"] == "standby"
