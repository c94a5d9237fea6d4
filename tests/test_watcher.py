"""The watcher of the random schedules can tell the living from the dead."""
import subprocess

import pytest

from tests.watcher import is_doomed


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "infinity"]) as process:
        yield process
        process.kill()


def test_running_process_is_not_doomed(sleeper):
    assert not is_doomed(sleeper.pid)


def test_killed_process_is_doomed_before_anybody_collects_it(sleeper):
    sleeper.kill()
    assert is_doomed(sleeper.pid)
