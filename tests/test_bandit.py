"""What the security linter bandit says of the script; where it is overruled, the line says why."""

import pathlib
import re
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[1] / "xcatha.py"


def test_bandit_finds_nothing():
    line = [sys.executable, "-m", "bandit", "--quiet", str(SCRIPT)]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()


def test_every_exception_says_why():
    exceptions = re.findall(r"# nosec(.*)", SCRIPT.read_text())
    assert exceptions
    assert [text for text in exceptions if not re.match(r"(?: B\d+)*: \w+ \w+", text)] == []
