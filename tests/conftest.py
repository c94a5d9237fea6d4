"""The four levels of tests: which test is in which, and a count of each before the closing line.

A skipped test fails the run, and so does a level that ran nothing in a full run; but the virtual
machines, which take hours, are run for "-m vm" alone, and a full run says that they were left out.
Kept to Python 3.6 and pytest 7.0: the unit level loads this file on every Python.
"""

import functools
import platform

import pytest

from tests.pythons import SUPPORTED, missing_pythons

LEVELS = ("unit", "fakes", "lab", "vm")
ON_REQUEST = ("long", "vm")  # what setup.cfg leaves out
OUTCOMES = ("passed", "failed", "skipped")


def level_of(nodeid):
    """The level a test belongs to by its folder; tests directly in tests/ are unit tests."""
    folder = nodeid.split("/")[1]
    return folder if folder in LEVELS else "unit"


def pytest_itemcollected(item):
    item.add_marker(level_of(item.nodeid))


def pytest_configure(config):
    config.left_out = []


def pytest_deselected(items):
    for item in items:
        reasons = [name for name in ON_REQUEST if item.get_closest_marker(name)]
        item.config.left_out.append(reasons[-1] if reasons else "")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Every worker of a parallel run collects all tests, so one of them tells what it left out."""
    node.config.left_out = getattr(node, "workeroutput", {}).get("left_out", [])


@pytest.fixture
def tell(record_property):
    """Keeps a line about what was measured; it is printed at the end of the run."""
    return functools.partial(record_property, "told")


def is_full_run(config):
    """True if nothing narrows the run: no path, and only what is run on request left out."""
    everything = config.args == config.getini("testpaths")
    return everything and all(config.left_out) and not config.option.collectonly


def count_levels(reporter):
    """How many tests of each level passed, failed (errors too) and were skipped (xfail too)."""
    counts = {level: dict.fromkeys(OUTCOMES, 0) for level in LEVELS}
    outcome_of = {"error": "failed", "xfailed": "skipped", "xpassed": "failed"}
    for status, reports in reporter.stats.items():
        outcome = outcome_of.get(status, status)
        if outcome in OUTCOMES:
            for report in reports:
                counts[level_of(report.nodeid)][outcome] += 1
    return counts


def complaints(config, counts):
    """Why a run whose tests all passed is a failure all the same."""
    found = []
    for level in LEVELS:
        count = counts[level]
        if count["skipped"]:
            found.append("{}: a skipped test is a failure".format(level))
        ran = count["passed"] + count["failed"]
        if is_full_run(config) and not ran and level not in config.left_out:
            found.append("{}: ran nothing".format(level))
    return found


def pytest_sessionfinish(session, exitstatus):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.left_out
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and complaints(session.config, count_levels(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def properties(reporter, wanted):
    """What the tests that passed recorded under this name."""
    return [
        value
        for report in reporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", [])
        if name == wanted
    ]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter, config):
    yield
    counts = count_levels(terminalreporter)
    for line in properties(terminalreporter, "told"):
        terminalreporter.write_line(line)
    terminalreporter.section("levels")
    for level in LEVELS:
        numbers = ", ".join("{} {}".format(counts[level][name], name) for name in OUTCOMES)
        terminalreporter.write_line("{:<6}{}".format(level + ":", numbers))
    pythons = [platform.python_version() + " (this one)"] + properties(terminalreporter, "python")
    terminalreporter.write_line("unit level ran on Python " + ", ".join(pythons))
    if is_full_run(config):
        missing = ", ".join(missing_pythons()) or "none of " + ", ".join(SUPPORTED)
        terminalreporter.write_line("Python versions not found here: " + missing)
    for name in ON_REQUEST:
        if name in config.left_out:
            number = config.left_out.count(name)
            terminalreporter.write_line("left out: {} {} (-m {})".format(number, name, name))
    for complaint in complaints(config, counts):
        terminalreporter.write_line("FAILED " + complaint, red=True)
