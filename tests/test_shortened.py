"""The copy with other time limits is the script in all else."""
import re

import pytest

from tests.shortened import SCRIPT, shortened

LIMIT = re.compile(r"[A-Z_]+ = \d+(  # .*)?")


def test_only_the_lines_of_the_named_limits_differ():
    changed = shortened(LEASE_TIME=18, LOCK_EXPIRY=9).splitlines()
    pairs = zip(SCRIPT.read_text().splitlines(), changed)
    assert [new for old, new in pairs if old != new] == ["LEASE_TIME = 18", "LOCK_EXPIRY = 9"]


def test_copy_has_as_many_lines_as_the_script():
    text = shortened(LEASE_TIME=18)
    assert len(text.splitlines()) == len(SCRIPT.read_text().splitlines())


def test_limits_are_numbers_of_seconds_in_the_script():
    changed = shortened(LEASE_TIME=99)
    lines = [line for line in SCRIPT.read_text().splitlines() if line not in changed.splitlines()]
    assert [bool(LIMIT.fullmatch(line)) for line in lines] == [True]


def test_nothing_but_a_time_limit_can_be_changed():
    with pytest.raises(AssertionError, match="no time limit VERSION"):
        shortened(VERSION=2)
