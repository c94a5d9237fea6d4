"""The Python interpreters on this machine, and an environment for the unit level on each.

Kept to Python 3.6, because tests/conftest.py needs it there.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SUPPORTED = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
CACHE = pathlib.Path(os.environ.get("XCATHA_TEST_CACHE", "/var/cache/xcatha-tests"))
PIP_FOR_3_6 = 'pip==21.3.1; python_version < "3.7"'  # its own, of 2018, cannot install psutil
REQUIREMENTS = pathlib.Path(__file__).with_name("unit") / "requirements.txt"


def candidates(version):
    """Where an interpreter of this version may be: pyenv's first, then those on PATH."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")))
    yield from sorted(pyenv.glob("versions/{}.*/bin/python".format(version)), reverse=True)
    for folder in os.environ["PATH"].split(os.pathsep):
        yield pathlib.Path(folder) / ("python" + version)


def full_version(interpreter):
    """What the interpreter says it is, or None if it does not run (a pyenv shim may not)."""
    ask = "import platform; print(platform.python_version())"
    try:
        return subprocess.check_output(
            [str(interpreter), "-c", ask],
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            timeout=30,
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def find_python(version):
    """The first interpreter of this version that runs, or None."""
    for candidate in candidates(version):
        if (full_version(candidate) or "").startswith(version + "."):
            return candidate
    return None


def missing_pythons():
    """The supported versions of which this machine has no interpreter."""
    return [version for version in SUPPORTED if find_python(version) is None]


def environment(interpreter):
    """The interpreter of a cached virtual environment with what the unit level needs."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + str(interpreter).encode()).hexdigest()[:12]
    home = CACHE / "python-{}-{}".format(full_version(interpreter), key)
    if not home.exists():
        build_environment(interpreter, home)
    home.chmod(0o755)  # for tests that run the script as another user
    return home / "bin" / "python"


def build_environment(interpreter, home):
    """Build aside and rename, so that an interrupted build is never taken for a whole one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    aside = tempfile.mkdtemp(prefix="building.", dir=str(CACHE))
    try:
        subprocess.check_call([str(interpreter), "-m", "venv", aside])
        pip = [aside + "/bin/python", "-m", "pip", "install", "-q"]
        for what in ([PIP_FOR_3_6], ["-r", str(REQUIREMENTS)]):
            subprocess.check_call(pip + what, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        os.rename(aside, str(home))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
