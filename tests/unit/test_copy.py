"""Whether a directory that was copied while its node served is complete as it was copied."""

import os
import time

import pytest

import xcatha

EARLIER = 3600


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("text")
    return str(tmp_path)


def ago(seconds):
    """A moment of both clocks, so many seconds ago; seconds may be negative."""
    return time.time() - seconds, time.monotonic() - seconds


def test_tree_that_nobody_touched_since_has_not_changed(tree):
    assert not xcatha.has_changed(tree, ago(-EARLIER))


def test_tree_that_was_made_since_has_changed(tree):
    assert xcatha.has_changed(tree, ago(EARLIER))


def test_time_stamp_of_a_file_can_be_set_back_but_not_its_change(tree):
    os.utime(os.path.join(tree, "below", "file"), (0, 0))
    assert xcatha.has_changed(tree, ago(EARLIER))


def test_what_cannot_be_looked_at_has_changed(tree):
    assert xcatha.has_changed(os.path.join(tree, "gone"), ago(-EARLIER))


@pytest.mark.parametrize("clock_was_set", [-2 * EARLIER, 2 * EARLIER])
def test_clock_that_was_set_meanwhile_hides_no_change(tree, clock_was_set):
    """The tree was changed since; the clock was set by so many seconds, before or after that."""
    epoch, steady = ago(EARLIER)
    assert xcatha.has_changed(tree, (epoch - clock_was_set, steady))
