"""The unit level on every Python the product supports, as far as this machine has them."""

import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tests.pythons import SUPPORTED, environment, find_python, full_version

REPOSITORY = pathlib.Path(__file__).parents[1]
FOUND = [version for version in SUPPORTED if find_python(version)]


def run_unit_level(python, results):
    """Run tests/unit with this interpreter; the names of the tests that passed."""
    subprocess.run(
        [python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", results]
        + ["tests/unit"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    cases = ElementTree.parse(results).iter("testcase")
    return {(case.get("classname"), case.get("name")) for case in cases if len(case) == 0}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The tests that the interpreter of this run passes."""
    return run_unit_level(sys.executable, tmp_path_factory.mktemp("expected") / "results.xml")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", FOUND)
def test_unit_level_passes_whole_on(version, expected, tmp_path, record_property):
    interpreter = find_python(version)
    passed = run_unit_level(environment(interpreter), tmp_path / "results.xml")
    assert expected and passed == expected
    record_property("python", full_version(interpreter))
