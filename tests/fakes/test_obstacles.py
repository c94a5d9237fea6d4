"""What stands in the way of one step and keeps none of the others from being done."""

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE

DEGRADED, INCOMPLETE = 4, 5
RECORD = "/HA/.xcatha/cluster.json"
UNREADABLE = f"strace -f -o /run/trace -e trace=openat -P {RECORD} -e inject=openat:error=EIO"


# ---- A resolv.conf that cannot be replaced, because it is a mount point ------------------------


@pytest.fixture
def pinned(members):
    """A standby on whose resolv.conf another file is mounted; activated all the same."""
    host1, _ = members
    host1.succeed("cp", "/etc/resolv.conf", "/run/resolv.conf")
    host1.succeed("mount", "--bind", "/run/resolv.conf", "/etc/resolv.conf")
    host1.said = host1.xcatha(*ACTIVATE, code=DEGRADED).stderr
    return host1


def test_node_whose_resolv_conf_cannot_be_replaced_becomes_active_and_says_so(pinned):
    assert losses.is_active(pinned)
    assert "Device or resource busy" in pinned.said
    assert "Active, but not done or not up: /etc/resolv.conf" in pinned.said


def test_node_whose_resolv_conf_cannot_be_replaced_becomes_a_clean_standby(pinned):
    pinned.xcatha(*DEACTIVATE)
    assert losses.is_standby(pinned)


# ---- A record that cannot be read --------------------------------------------------------------


@pytest.mark.parametrize("line", [DEACTIVATE, ["-d", "--yes"]])
def test_deactivate_without_the_record_does_the_rest_and_says_what_is_left(members, line):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    done = host1.run(*UNREADABLE.split(), *host1.script(*line))
    assert done.returncode == INCOMPLETE, done.stderr
    assert losses.is_standby(host1)
    assert "the record on the share /HA was not released" in done.stderr
    assert "this node is not a clean standby yet: Record" in done.stderr
    assert "next: fix them, then run: xcatha.py -d" in done.stderr


# ---- Full file systems for temporary files -----------------------------------------------------


def test_deactivate_needs_no_room_for_temporary_files(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    for place in ("/tmp", "/var/tmp"):
        host1.succeed("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place)
        host1.succeed("dd", "if=/dev/zero", f"of={place}/filler", "bs=4k", "count=1")
    in_full_place = ["sh", "-c", 'cd /tmp && exec "$@"', "sh"]
    host1.succeed(*in_full_place, *host1.script(*DEACTIVATE))
    assert losses.is_standby(host1)
