"""The counting of levels is itself tested: a run that proves nothing must not look green."""

import pytest

from tests.conftest import LEVELS, complaints, count_levels, level_of


class Report:
    """The part of a pytest report that the count reads."""

    def __init__(self, nodeid):
        self.nodeid = nodeid


class Reporter:
    """The part of pytest's terminal reporter that the count reads."""

    def __init__(self, **stats):
        self.stats = stats


@pytest.mark.parametrize(
    "nodeid, level",
    [
        ("tests/unit/test_a.py::test_b", "unit"),
        ("tests/fakes/test_a.py::test_b", "fakes"),
        ("tests/lab/xcat/test_a.py::test_b", "lab"),
        ("tests/vm/test_a.py::test_b", "vm"),
        ("tests/test_rules.py::test_b", "unit"),
    ],
)
def test_level_follows_the_folder(nodeid, level):
    assert level_of(nodeid) == level


def test_every_outcome_is_counted_under_its_level():
    lab = Report("tests/lab/test_a.py::test_b")
    counts = count_levels(Reporter(passed=[lab, lab], error=[lab], xfailed=[lab], warnings=[lab]))
    assert counts["lab"] == {"passed": 2, "failed": 1, "skipped": 1}
    assert set(counts) == set(LEVELS)


def test_deselected_and_warned_are_not_outcomes():
    unit = Report("tests/unit/test_a.py::test_b")
    counts = count_levels(Reporter(deselected=[unit], warnings=[unit]))
    assert counts["unit"] == {"passed": 0, "failed": 0, "skipped": 0}


class FullRun:
    """The part of pytest's configuration that tells a full run, and what it left out."""

    args = ["tests"]
    option = type("Options", (), {"collectonly": False})

    def __init__(self, *left_out):
        self.left_out = left_out

    def getini(self, name):
        return {"testpaths": self.args}[name]


def ran(*levels):
    reports = [Report("tests/{}/test_a.py::test_b".format(level)) for level in levels]
    return count_levels(Reporter(passed=reports))


def test_full_run_without_the_virtual_machines_is_green():
    assert complaints(FullRun("long", "vm"), ran("unit", "fakes", "lab")) == []


def test_level_that_ran_nothing_though_it_was_not_left_out_is_red():
    assert complaints(FullRun("long", "vm"), ran("unit", "fakes")) == ["lab: ran nothing"]
    assert complaints(FullRun("long"), ran("unit", "fakes", "lab")) == ["vm: ran nothing"]


def test_narrowed_run_may_leave_levels_empty():
    assert complaints(FullRun("vm", ""), ran("unit")) == []
