"""The bench's table comes from raw data, and that of tests/README.rst from those that are kept."""
import json
import pathlib

import pytest

from tests.bench import table, timeline

HERE = pathlib.Path(__file__).parent
LOG = """\
2026-01-31 10:00:01,500 - INFO - systemctl stop named.service (0.50 s) [Passed]
2026-01-31 10:00:01,600 - INFO - Stop DNS                 stopped: named (0.60 s)
2026-01-31 10:00:03,000 - INFO - systemctl daemon-reload (0.20 s) [Passed]
2026-01-31 10:00:06,000 - INFO - makedns -n (2.00 s) [Failed]
2026-01-31 10:00:07,000 - INFO - makedhcp -n (2.00 s) [Passed]
2026-01-31 10:00:07,000 - ERROR - makedns -n failed
"""
START = timeline.moment("2026-01-31 10:00:00")


@pytest.fixture(scope="module")
def record():
    """The raw data of the run that the README shows."""
    return json.loads((HERE / "record.json").read_text())


def test_commands_of_a_log_have_begin_and_end():
    first, *others = timeline.commands(LOG)
    assert first == {"what": "systemctl stop named.service", "began": START + 1,
                     "ended": START + 1.5}
    assert [span["what"] for span in others] == ["systemctl daemon-reload", "makedns -n",
                                                 "makedhcp -n"]


def test_steps_of_a_log_are_not_its_commands():
    assert [step["what"] for step in timeline.steps(LOG)] == ["Stop DNS"]


def test_a_reload_is_the_scripts_own():
    assert "systemctl daemon-reload" not in [span["what"] for span in timeline.services(LOG)]


def test_what_runs_side_by_side_is_counted_once():
    services = timeline.services(LOG)
    assert timeline.covered(services, START, START + 10) == pytest.approx(0.5 + 3)


def test_only_what_lies_between_the_two_moments_is_counted():
    services = timeline.services(LOG)
    assert timeline.covered(services, START + 1.25, START + 5) == pytest.approx(0.25 + 1)


def test_own_time_is_what_no_service_was_at_work_in():
    run = {"began": START, "ended": START + 8, "services": timeline.services(LOG)}
    assert table.own_time(run) == pytest.approx(8 - 3.5)


@pytest.mark.parametrize("figure, met", [(1.5, True), (1.51, False)])
def test_goal_is_met_up_to_its_limit(figure, met):
    assert table.at_most("activate", figure, "", 1.5)[-1] is met


def test_each_part_of_the_record_gives_rows(record):
    parts = ("failover", "side by side", "copying", "scale")
    assert all(table.rows({part: record[part]}) for part in parts)


def test_table_of_the_readme_is_that_of_the_record(record):
    readme = (HERE.parent / "README.rst").read_text()
    assert table.text(record) in readme
    assert table.circumstances(record) in readme


@pytest.mark.parametrize("name", ["failover.svg", "downtime.svg"])
def test_picture_is_small_and_shown_in_the_readme(name):
    assert (HERE / name).stat().st_size < 50000
    assert f".. image:: bench/{name}\n" in (HERE.parent / "README.rst").read_text()
