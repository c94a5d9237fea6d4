"""The commands on fakes with every Python the product supports, as far as this machine has them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.pythons import SUPPORTED, environment, find_python

FOUND = [version for version in SUPPORTED if find_python(version)]
STANDBY = 3
REPOSITORY = pathlib.Path(__file__).parents[2]
QUICK = [f"tests/fakes/test_{name}.py" for name in ("commands", "usage", "status")]


def script(version, *argv):
    """The command line of the script with this interpreter."""
    return [environment(find_python(version)), "/root/xcatha.py", *argv]


@pytest.mark.parametrize("version", FOUND)
def test_node_is_activated_looked_at_and_deactivated(members, version):
    host1, _ = members
    assert "would link: /install" in host1.succeed(*script(version, *ACTIVATE, "--dryrun"))
    host1.succeed(*script(version, *ACTIVATE))
    assert json.loads(host1.succeed(*script(version, "--status", "--json")))["role"] == "active"
    host1.succeed(*script(version, *DEACTIVATE))
    assert losses.is_standby(host1)
    host1.fail(*script(version, "--status"), code=STANDBY)


@pytest.mark.parametrize("version", [FOUND[0], FOUND[-1]])
def test_node_is_set_up(node, version):
    node.succeed(*script(version, *SETUP))
    node.fail(*script(version, "--status"), code=STANDBY)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("version", FOUND)
def test_quick_part_of_the_level_passes_on(version):
    interpreter = str(environment(find_python(version)))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUICK],
        cwd=REPOSITORY,
        env={**os.environ, "FAKES_PYTHON": interpreter},
        check=True,
    )
